// Whether a spectrum is solved on a GPU, decided without one; and the solve, where there is one.
#include "spectrum/gpu.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "base/memory.hpp"
#include "device/cuda.hpp"
#include "example.hpp"
#include "matrices.hpp"
#include "parallel/collectives.hpp"
#include "spectrum/checks.hpp"
#include "spectrum/stage.hpp"
#include "support/files.hpp"

namespace {

using namespace ntk;
using namespace ntk::spectrum;
using namespace ntk::spectrum::testing;
using ::testing::HasSubstr;

GpuOffer offer(double needed, double free) {
  return {"", 2, "a GPU", needed, free, 5};
}
GpuOffer not_asked(const SolveRequest&) {
  ADD_FAILURE() << "looked for a GPU";
  return {"none", 0, "", 0, 0, 0};
}

TEST(Placement, TheCpuWithoutALook) {
  const SolveRequest big{"auto", 1, auto_gpu_order, true, true};
  SolveRequest cpu = big, ranks = big, leading = big, small = big;
  cpu.device = "cpu";
  ranks.ranks = 2;
  leading.full = false;
  small.order = auto_gpu_order - 1;
  for (const SolveRequest& request : {cpu, ranks, leading, small}) {
    const Placement place = place_solve(request, not_asked);
    EXPECT_FALSE(place.gpu);
    EXPECT_EQ(place.device, "cpu");
    EXPECT_EQ(place.host_bytes, 0);
    EXPECT_EQ(place.passed_over, "");
  }
}

TEST(Placement, TheGpuThatHasTheMemory) {
  for (const SolveRequest& request :
       {SolveRequest{"auto", 1, auto_gpu_order, true, true},
        SolveRequest{"auto", 1, 40000, true, false}, SolveRequest{"cuda", 1, 1, true, true},
        SolveRequest{"cuda", 1, 0, true, false}}) {
    const Placement place =
        place_solve(request, [](const SolveRequest&) { return offer(9 * gib, 10 * gib); });
    EXPECT_TRUE(place.gpu);
    EXPECT_EQ(place.index, 2);
    EXPECT_EQ(place.device, "a GPU");
    EXPECT_EQ(place.host_bytes, 5);
  }
}

TEST(Placement, TooLittleMemoryIsTheCpuOrAnError) {
  const auto full = [](const SolveRequest&) { return offer(9.5 * gib, 10 * gib); };
  const Placement place = place_solve({"auto", 1, 3000, true, true}, full);
  EXPECT_FALSE(place.gpu);
  EXPECT_EQ(place.device, "cpu");
  EXPECT_EQ(place.host_bytes, 0);
  EXPECT_THAT(place.passed_over, HasSubstr("needs 9.5 GiB on a GPU, where 9.2 GiB can be used"));
  const std::string text = test::error_of(ExitCode::resources, [&] {
    place_solve({"cuda", 1, 3000, true, true}, full);
  });
  EXPECT_THAT(text, HasSubstr("order 3000 with vectors"));
  EXPECT_THAT(text, HasSubstr("use spectrum.device = \"cpu\""));
}

TEST(Placement, NoGpuIsTheCpuOrAnError) {
  const auto none = [](const SolveRequest&) { return GpuOffer{"no driver", 0, "", 0, 0, 0}; };
  const Placement place = place_solve({"auto", 1, 3000, true, false}, none);
  EXPECT_FALSE(place.gpu);
  EXPECT_EQ(place.passed_over, "");  // nothing was
  EXPECT_THAT(test::error_of(ExitCode::resources,
                             [&] {
                               place_solve({"cuda", 1, 10, true, false}, none);
                             }),
              HasSubstr("no driver"));
}

TEST(Placement, AGpuThatCannotBeUsedIsTheCpuOrAnError) {
  const auto lost = [](const SolveRequest&) -> GpuOffer {
    fail(ExitCode::resources, "cudaSetDevice failed");
  };
  EXPECT_EQ(place_solve({"auto", 1, 3000, true, false}, lost).passed_over, "cudaSetDevice failed");
  EXPECT_EQ(test::error_of(ExitCode::resources,
                           [&] {
                             place_solve({"cuda", 1, 3000, true, false}, lost);
                           }),
            "cudaSetDevice failed");
  const auto defect = [](const SolveRequest&) -> GpuOffer { fail(ExitCode::internal, "a defect"); };
  EXPECT_EQ(test::error_of(ExitCode::internal,
                           [&] {
                             place_solve({"auto", 1, 3000, true, false}, defect);
                           }),
            "a defect");
}

TEST(Placement, WhatAGpuIsNotForIsAUsageError) {
  EXPECT_THAT(test::error_of(ExitCode::usage,
                             [] {
                               place_solve({"cuda", 2, 10, true, true}, not_asked);
                             }),
              HasSubstr("2 ranks"));
  EXPECT_THAT(test::error_of(ExitCode::usage,
                             [] {
                               place_solve({"cuda", 1, 30000, false, true}, not_asked);
                             }),
              HasSubstr("spectrum.method = \"full\""));
  EXPECT_NO_THROW(require_one_rank_for_gpu("auto", 4));
  EXPECT_NO_THROW(require_one_rank_for_gpu("cuda", 1));
}

// The filter for tests that need a GPU looks for "cuda" in their names.
class cuda_Spectrum : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto found = device::cuda_devices();
    if (found.devices.empty()) GTEST_SKIP() << "no GPU: " << found.problem;
    device_ = found.devices.front().index;
  }

  // Both kinds of solve, checked as in production and against ScaLAPACK.
  template <class Check>
  void solve(std::int64_t n, const Formula& formula, Check&& check) {
    const BlacsGrid grid(MPI_COMM_SELF, {1, 1});
    BlockCyclicMatrix a =
        make(grid, n, std::max<std::int64_t>(1, std::min<std::int64_t>(n, 64)), formula);
    const BlockCyclicMatrix before = a;
    const Norms norm = norms(a);
    const std::vector<double> expected = solve_values(a, "test");
    for (const bool vectors : {false, true}) {
      SCOPED_TRACE(vectors ? "vectors" : "values");
      const Pairs pairs = solve_on_gpu(a, device_, vectors, "test");
      ASSERT_EQ(pairs.values.size(), static_cast<std::size_t>(n));
      EXPECT_EQ(pairs.vectors.rows(), vectors ? n : 0);
      EXPECT_TRUE(std::is_sorted(pairs.values.rbegin(), pairs.values.rend()));
      Checks checks;
      if (vectors) check_vectors(a, pairs, norm, checks);
      check_values(pairs.values, n, norm, 1e-16, false, checks);
      EXPECT_LE(checks.worst_ratio(), 30) << checks.to_json().dump();
      double scale = 0;
      for (const double value : expected) scale = std::max(scale, std::abs(value));
      for (std::size_t k = 0; k < expected.size(); ++k) {
        EXPECT_NEAR(pairs.values[k], expected[k], 1e-13 * scale) << k;
      }
      check(pairs.values);
      EXPECT_TRUE(std::equal(a.data(), a.data() + n * n, before.data()));
    }
  }

  int device_ = 0;
};

TEST_F(cuda_Spectrum, MatrixTypes) {
  for (const std::int64_t n : {1, 2, 3, 45, 257}) {
    for (const Case& one : cases(n, 20)) {
      SCOPED_TRACE(fmt::format("{}, n = {}", one.name, n));
      solve(n, one.formula, [&](const std::vector<double>& values) {
        const double scale = std::max(std::abs(one.exact(0, n)), std::abs(one.exact(n - 1, n)));
        for (std::size_t k = 0; k < values.size(); ++k) {
          EXPECT_NEAR(values[k], one.exact(static_cast<std::int64_t>(k), n), 1e-13 * scale) << k;
        }
      });
    }
  }
}

TEST_F(cuda_Spectrum, MinKernelAndEigenvaluesThatComeInPairs) {
  using std::numbers::pi;
  const std::int64_t n = 257;
  solve(
      n,
      [&](std::int64_t i, std::int64_t j) {
        return number(std::min(i, j) + 1) / number(n) / number(n);
      },
      [&](const std::vector<double>& values) {
        for (std::size_t k = 0; k < values.size(); ++k) {
          const double s =
              std::sin(number(2 * static_cast<std::int64_t>(k) + 1) * pi / number(4 * n + 2));
          const double exact = 1 / (4 * number(n * n) * s * s);
          EXPECT_NEAR(values[k], exact, 1e-13 * values[0]) << k;
        }
      });
  // A circulant: cosine sums of its first row, all but one of them twice.
  const auto profile = [&](std::int64_t lag) {
    const double d = number(lag) / number(n);
    return (d * d - d + 1.0 / 6) / 2 / number(n);
  };
  solve(
      n, [&](std::int64_t i, std::int64_t j) { return profile(std::abs(i - j)); },
      [&](const std::vector<double>& values) {
        for (std::size_t k = 0; k + 2 < values.size(); k += 2) {
          EXPECT_NEAR(values[k], values[k + 1], 1e-13 * values[0]) << k;
          EXPECT_NEAR(values[k], std::pow(pi * number(static_cast<std::int64_t>(k) + 2), -2),
                      2e-3 * values[0]);
        }
      });
}

TEST_F(cuda_Spectrum, NonFiniteInputIsAnError) {
  const BlacsGrid grid(MPI_COMM_SELF, {1, 1});
  const BlockCyclicMatrix a = make(grid, 50, 8, [](std::int64_t i, std::int64_t j) {
    return i * j == 47 * 3 ? std::nan("") : number(i + j);
  });
  EXPECT_THAT(test::error_of(ExitCode::numerical, [&] { solve_on_gpu(a, device_, true, "test"); }),
              HasSubstr("test"));
}

TEST_F(cuda_Spectrum, PlacementKnowsItsMemory) {
  EXPECT_TRUE(place_solve({"cuda", 1, 257, true, true}).gpu);
  EXPECT_TRUE(place_solve({"auto", 1, auto_gpu_order, true, true}).gpu);
  // A million rows are 7 TiB.
  EXPECT_FALSE(place_solve({"auto", 1, 1'000'000, true, false}).gpu);
  EXPECT_NE(test::error_of(ExitCode::resources,
                           [] {
                             place_solve({"cuda", 1, 1'000'000, true, false});
                           }),
            "no error");
}

TEST_F(cuda_Spectrum, StageWritesWhatItWritesOnTheCpu) {
  const test::TemporaryFolder folder;
  const std::string kernel = folder.path("kernel.h5"), file = folder.path("spectrum.h5");
  for (const std::int64_t classes : {1, 3}) {
    SCOPED_TRACE(fmt::format("{} outputs", classes));
    Example e;
    e.samples = 72 / classes;
    e.classes = classes;
    e.write(folder.path());
    Job::Spectrum options;
    options.device = "cuda";
    options.vectors = -1;
    options.kernels = {{"total", "all"}, {"half", "head + 0.25 * body"}};
    const nlohmann::json made = run_spectrum(MPI_COMM_SELF, options, true, kernel, file);
    check_file(file, e, "total", 1, 1, 72, 72);
    check_file(file, e, "half", 1, 0.25, 72, 72);
    const nlohmann::json& raw = made["kernels"]["total"]["raw"];
    EXPECT_EQ(raw["method"], "cusolverDnXsyevd");
    EXPECT_THAT(raw["device"].get<std::string>(), HasSubstr("GPU-"));
    EXPECT_THAT(raw["device"].get<std::string>(), HasSubstr("cuSOLVER"));

    options.vectors = 0;
    const nlohmann::json values = run_spectrum(MPI_COMM_SELF, options, false, kernel, file);
    const nlohmann::json& alone = values["kernels"]["total"]["raw"];
    EXPECT_EQ(alone["method"], "cusolverDnXsyevd");
    EXPECT_NEAR(alone["l_1"].get<double>(), raw["l_1"].get<double>(), 1e-13);
    EXPECT_FALSE(h5::exists(h5::open_file(file), "/total/raw/eigenvectors"));
    std::filesystem::remove(kernel);
  }
}

}  // namespace
