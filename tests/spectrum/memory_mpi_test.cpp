// The memory a spectrum needs, counted, and a node that does not have it.
#include "spectrum/memory.hpp"

#include <gtest/gtest.h>

#include "parallel/collectives.hpp"

namespace ntk::spectrum {
namespace {

constexpr double mib = 1 << 20;

TEST(SpectrumMemory, CountsMatricesOfTheBusiestRank) {
  // 1,024 x 1,024 numbers are 8 MiB.
  EXPECT_NEAR(needed_bytes(1024, 64, {1, 1}, Work::values, 0) / mib, 8, 0.5);
  EXPECT_NEAR(needed_bytes(1024, 64, {1, 1}, Work::vectors, 0) / mib, 40, 4);
  // From a GPU: the vectors, and two panels of 256 columns for their check.
  EXPECT_NEAR(needed_bytes(1024, 64, {1, 1}, Work::gpu_vectors, 0) / mib, 16 + 4, 0.5);
  EXPECT_NEAR(needed_bytes(1024, 64, {2, 2}, Work::values, 0) / mib, 2, 0.5);
  // 128 leading pairs: a basis of 256 vectors, and the pairs' own copy.
  EXPECT_NEAR(needed_bytes(1024, 64, {1, 1}, Work::leading, 128) / mib, 8 + 2 + 1 + 2, 0.5);
  // Of three blocks one process row has two.
  EXPECT_NEAR(needed_bytes(192, 64, {2, 1}, Work::values, 0), 8 * (128 * 192 + 16 * 192), 1);
}

TEST(SpectrumMemory, IsRefusedOnAllRanksWhenANodeHasLess) {
  const auto world = parallel::Communicator::borrow(MPI_COMM_WORLD);
  const auto shape = parallel::choose_grid(world.size());
  require_memory(world, shape, 1000);
  try {
    require_memory(world, shape, 1e18);
    FAIL() << "an exabyte was granted";
  } catch (const parallel::AgreedError& error) {
    EXPECT_EQ(error.code(), ExitCode::resources);
    EXPECT_NE(std::string(error.what()).find("GiB left"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace ntk::spectrum
