// The eigensolver of one GPU as such; spectra are tested in tests/spectrum.
#include "device/cuda_eigen.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.hpp"
#include "device/cuda.hpp"

namespace {

using namespace ntk;

TEST(Eigensolver, IsRefusedWithoutADevice) {
  if (!device::cuda_devices().devices.empty()) GTEST_SKIP() << "there is a GPU";
  const double matrix = 1;
  const auto code_of = [](auto&& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("CUDA"), std::string::npos) << error.what();
      return error.code();
    }
    return ExitCode::complete;
  };
  EXPECT_EQ(code_of([] { device::cuda_eigen_memory(0, 10, true); }), ExitCode::resources);
  EXPECT_EQ(code_of([&] { device::cuda_eigen(0, 1, &matrix, 1, nullptr); }), ExitCode::resources);
}

// The filter for tests that need a GPU looks for "cuda" in their names.
class cuda_Eigensolver : public testing::Test {
 protected:
  void SetUp() override {
    const auto found = device::cuda_devices();
    if (found.devices.empty()) GTEST_SKIP() << "no GPU: " << found.problem;
  }
};

TEST_F(cuda_Eigensolver, ReadsTheLowerTriangleOfAWindowAndWritesNothingElse) {
  // [2 1; 1 2] in columns of four numbers.
  const double unread = 77;
  const std::vector<double> matrix = {2, 1, unread, unread, unread, 2, unread, unread};
  const std::vector<double> values = device::cuda_eigen(0, 2, matrix.data(), 4, nullptr);
  ASSERT_EQ(values.size(), 2u);
  EXPECT_NEAR(values[0], 1, 1e-15);
  EXPECT_NEAR(values[1], 3, 1e-15);

  std::vector<double> both = {2, 1, 7, 8, unread, 2, 9, 10};
  EXPECT_EQ(device::cuda_eigen(0, 2, both.data(), 4, both.data()).size(), 2u);
  for (const std::size_t i : {0u, 1u, 4u, 5u}) {
    EXPECT_NEAR(std::abs(both[i]), std::sqrt(0.5), 1e-15) << i;
  }
  EXPECT_LT(both[0] * both[1], 0);
  EXPECT_GT(both[4] * both[5], 0);
  EXPECT_EQ((std::vector{both[2], both[3], both[6], both[7]}), (std::vector<double>{7, 8, 9, 10}));
}

TEST_F(cuda_Eigensolver, MemoryHoldsTheMatrix) {
  for (const bool vectors : {false, true}) {
    for (const std::int64_t n : {1, 2, 1000, 10000}) {
      EXPECT_GE(device::cuda_eigen_memory(0, n, vectors).device,
                static_cast<std::size_t>(8 * n * n));
    }
  }
}

}  // namespace
