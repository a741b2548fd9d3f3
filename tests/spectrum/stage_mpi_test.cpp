// The stage from a kernel file to a spectrum file.
#include "spectrum/stage.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>

#include "device/cuda.hpp"
#include "example.hpp"
#include "parallel/collectives.hpp"
#include "parallel/mpi.hpp"
#include "support/files.hpp"

namespace {

using namespace ntk;
using nlohmann::json;
using parallel::AgreedError;
using namespace ntk::spectrum::testing;

class SpectrumStage : public ::testing::Test {
 protected:
  SpectrumStage() {
    std::string path = rank() == 0 ? folder_.path() : "";
    parallel::broadcast(world_, path);
    directory_ = path;
  }
  ~SpectrumStage() override { MPI_Barrier(world_); }

  int rank() const { return world_.rank(); }
  std::string kernel() const { return directory_ + "/kernel.h5"; }
  std::string output() const { return directory_ + "/spectrum.h5"; }
  void write(const Example& example) {
    parallel::collectively(world_, [&] {
      if (rank() == 0) example.write(directory_);
    });
  }
  json run(const Job::Spectrum& options, bool projections) {
    return spectrum::run_spectrum(world_, options, projections, kernel(), output());
  }

  parallel::Communicator world_ = parallel::Communicator::borrow(MPI_COMM_WORLD);
  test::TemporaryFolder folder_;
  std::string directory_;
};

TEST_F(SpectrumStage, FullSpectraOfSumsOfGroups) {
  Example e;
  e.samples = 72;  // several processes in either direction
  write(e);
  Job::Spectrum options;
  options.vectors = -1;
  options.kernels = {{"total", "all"}, {"half", "head + 0.25 * body"}, {"groups/head", "head"}};
  const json result = run(options, true);
  EXPECT_EQ(result["reused"], false);
  EXPECT_EQ(result["order"], 72);
  EXPECT_EQ(result["grid"]["idle"], world_.size() == 6 ? 2 : 0);
  if (rank() == 0) {
    check_file(output(), e, "total", 1, 1, 72, 72);
    check_file(output(), e, "half", 1, 0.25, 72, 72);
    check_file(output(), e, "groups/head", 1, 0, 72, 72);
    EXPECT_FALSE(std::filesystem::exists(output() + ".partial"));
  }
  // Noise floors of K/n: 2 delta / sqrt(n), delta; resolved above 10 delta.
  const json& raw = result["kernels"]["total"]["raw"];
  EXPECT_DOUBLE_EQ(raw["floor_independent"].get<double>(), 2e-3 / std::sqrt(72.0));
  EXPECT_DOUBLE_EQ(raw["floor_correlated"].get<double>(), 1e-3);
  if (rank() == 0) {
    const auto values = h5::read<double>(h5::open_file(output()), "/total/raw/eigenvalues");
    const auto above =
        std::count_if(values.begin(), values.end(), [](double l) { return l > 1e-2; });
    EXPECT_EQ(raw["resolved"], above);
    EXPECT_GT(above, 0);
    EXPECT_LT(above, 72);
    EXPECT_DOUBLE_EQ(raw["l_1"].get<double>(), values.front());
  }
}

TEST_F(SpectrumStage, SeveralOutputsAndOneStoredTriangle) {
  Example e;
  e.samples = 24;
  e.classes = 3;
  e.mirror = false;
  write(e);
  Job::Spectrum options;
  options.vectors = 20;
  run(options, true);
  if (rank() == 0) {
    check_file(output(), e, "total", 1, 1, 72, 20);
    // (I - 11'/N) (x) I_C has C zero modes.
    const auto values = h5::read<double>(h5::open_file(output()), "/total/centred/eigenvalues");
    EXPECT_GT(values[68], 1e-5);
    for (std::size_t m = 69; m < 72; ++m) EXPECT_NEAR(values[m], 0, 1e-14);
  }
}

TEST_F(SpectrumStage, LeadingPairsAgreeWithTheFullSpectrum) {
  const Example e;
  write(e);
  Job::Spectrum options;
  options.method = "leading";
  options.leading = 5;
  options.vectors = -1;
  const json result = run(options, true);
  EXPECT_EQ(result["kernels"]["total"]["raw"]["method"], "EPSKRYLOVSCHUR");
  if (rank() == 0) check_file(output(), e, "total", 1, 1, 5, 5);
  Job::Spectrum full;
  full.method = "full";
  const json values = run(full, false);
  EXPECT_EQ(values["kernels"]["total"]["raw"]["method"], "PDSYEV");
  for (const char* kind : {"raw", "centred"}) {
    const json &a = result["kernels"]["total"][kind], &b = values["kernels"]["total"][kind];
    for (const char* key : {"l_1", "trace", "frobenius"}) {
      EXPECT_NEAR(a[key].get<double>(), b[key].get<double>(), 1e-14) << key;
    }
  }
  if (rank() == 0) {
    EXPECT_FALSE(h5::exists(h5::open_file(output()), "/total/raw/projections"));
    EXPECT_FALSE(h5::exists(h5::open_file(output()), "/total/raw/eigenvectors"));
  }
}

TEST_F(SpectrumStage, ReusesACompleteFileOfTheSameInputs) {
  write(Example{});
  Job::Spectrum options;
  options.centre = "centred";
  const json first = run(options, false);
  EXPECT_EQ(first["reused"], false);
  EXPECT_FALSE(first["kernels"]["total"].contains("raw"));
  json again = run(options, false);
  EXPECT_EQ(again["reused"], true);
  again["reused"] = false;
  EXPECT_EQ(again, first);
  // Projections are missing, then there for good.
  EXPECT_EQ(run(options, true)["reused"], false);
  EXPECT_EQ(run(options, true)["reused"], true);
  EXPECT_EQ(run(options, false)["reused"], true);
  options.centre = "raw";
  EXPECT_EQ(run(options, false)["reused"], false);
  // A damaged file is made again; so is one of another kernel file.
  if (rank() == 0) std::filesystem::resize_file(output(), 1000);
  MPI_Barrier(world_);
  EXPECT_EQ(run(options, false)["reused"], false);
  EXPECT_EQ(run(options, false)["reused"], true);
  if (rank() == 0) {
    std::filesystem::last_write_time(
        kernel(), std::filesystem::file_time_type::clock::now() + std::chrono::seconds(5));
  }
  MPI_Barrier(world_);
  EXPECT_EQ(run(options, false)["reused"], false);
}

TEST_F(SpectrumStage, TinyKernels) {
  for (const std::int64_t samples : {1, 2, 3}) {
    Example e;
    e.samples = samples;
    e.evaluate = 1;
    const std::string place = directory_ + fmt::format("/n{}", samples);
    parallel::collectively(world_, [&] {
      if (rank() == 0) {
        std::filesystem::create_directory(place);
        e.write(place);
      }
    });
    for (const char* method : {"full", "leading", "auto"}) {
      Job::Spectrum options;
      options.method = method;
      options.vectors = -1;
      const std::string out = place + "/spectrum.h5";
      spectrum::run_spectrum(world_, options, true, place + "/kernel.h5", out);
      if (rank() == 0) check_file(out, e, "total", 1, 1, samples, samples);
    }
  }
}

TEST_F(SpectrumStage, RefusesBadInputOnEveryRank) {
  const auto code_of = [&](const Job::Spectrum& options, std::string* text = nullptr) {
    try {
      run(options, true);
    } catch (const AgreedError& error) {
      if (text) *text = error.what();
      return error.code();
    }
    return ExitCode::complete;
  };
  EXPECT_EQ(code_of({}), ExitCode::io);  // no kernel file
  Example e;
  e.poison = std::numeric_limits<double>::quiet_NaN();
  write(e);
  std::string text;
  EXPECT_EQ(code_of({}, &text), ExitCode::numerical);
  EXPECT_THAT(text, ::testing::HasSubstr("row 3, column 3"));
  if (rank() == 0) {
    EXPECT_FALSE(std::filesystem::exists(output()));
  }
  Job::Spectrum options;
  options.kernels = {{"mine", "head + tail"}};
  EXPECT_EQ(code_of(options, &text), ExitCode::usage);
  EXPECT_THAT(text, ::testing::HasSubstr("head, body"));
  for (const char* name : {"", "/x", "x/", "a//b", "a/../b", "a b", "."}) {
    options.kernels = {{name, "head"}};
    EXPECT_EQ(code_of(options), ExitCode::usage) << name;
  }
  options.kernels = {{"fine", "head"}};
  EXPECT_EQ(code_of(options), ExitCode::complete);
}

TEST_F(SpectrumStage, SmallMatricesAreSolvedOnTheCpuUnlessAGpuIsAskedFor) {
  write(Example{});
  Job::Spectrum options;
  options.vectors = -1;
  json found[2];
  for (const char* device : {"auto", "cpu"}) {
    options.device = device;
    options.centre = options.device == "auto" ? "both" : "raw";  // so that it is made again
    json& result = found[options.device == "cpu"];
    result = run(options, true);
    EXPECT_EQ(result["reused"], false);
    EXPECT_EQ(result["kernels"]["total"]["raw"]["device"], "cpu");
  }
  EXPECT_EQ(found[0]["kernels"]["total"]["raw"], found[1]["kernels"]["total"]["raw"]);
  // What a spectrum is made on is not what it is made from.
  options.device = "auto";
  EXPECT_EQ(run(options, true)["reused"], true);
}

TEST_F(SpectrumStage, RefusesAGpuForSeveralRanksOrWithoutOne) {
  write(Example{});
  Job::Spectrum options;
  options.device = "cuda";
  const bool one = world_.size() == 1;
  if (one && !device::cuda_devices().devices.empty()) GTEST_SKIP() << "there is a GPU";
  try {
    run(options, false);
    FAIL() << "no error";
  } catch (const AgreedError& error) {
    EXPECT_EQ(error.code(), one ? ExitCode::resources : ExitCode::usage);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("spectrum.device = \"cuda\""));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("spectrum.device = \"cpu\""));
  }
  if (rank() == 0) {
    EXPECT_FALSE(std::filesystem::exists(output() + ".partial"));
  }
  options.method = "leading";
  options.vectors = 3;
  try {
    run(options, false);
    FAIL() << "no error";
  } catch (const AgreedError& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
  }
}

}  // namespace
