#include "spectrum/block_cyclic.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "grids.hpp"
#include "parallel/collectives.hpp"
#include "spectrum/norms.hpp"

namespace {

using namespace ntk;
using namespace ntk::spectrum;
using namespace ntk::spectrum::testing;

double entry(std::int64_t i, std::int64_t j) {
  return std::cos(static_cast<double>(i + j)) + 0.1 * static_cast<double>(i * j % 17);
}

// Calls check(row, column, value) for every local element.
template <class Check>
void each(const BlockCyclicMatrix& a, Check&& check) {
  for (std::int64_t j = 0; j < a.local_columns(); ++j) {
    for (std::int64_t i = 0; i < a.local_rows(); ++i) {
      const auto at = a.distribution().to_global(parallel::LocalElement{i, j});
      check(at.row, at.column, a.local(i, j));
    }
  }
}

TEST(BlockCyclic, LoadsOnlyTheLowerTriangleAndMirrorsIt) {
  on_all_grids([](const BlacsGrid& grid) {
    for (const std::int64_t n : {0, 1, 2, 5, 37, 64}) {
      for (const std::int64_t block : {1, 4, 16, 100}) {
        // Numbers above the diagonal blocks must never be asked for.
        BlockCyclicMatrix a(grid, n, n, block);
        load_symmetric(a, [&](std::int64_t row, std::int64_t column, std::int64_t rows,
                              std::int64_t columns, double* out) {
          EXPECT_LE(column + columns, row + rows);
          source(entry)(row, column, rows, columns, out);
        });
        each(a,
             [](std::int64_t r, std::int64_t c, double value) { EXPECT_EQ(value, entry(r, c)); });
      }
    }
  });
}

TEST(BlockCyclic, OneRanksReadFailureReachesAll) {
  on_all_grids([](const BlacsGrid& grid) {
    BlockCyclicMatrix a(grid, 20, 20, 4);
    const auto broken = [&](std::int64_t row, std::int64_t, std::int64_t rows, std::int64_t,
                            double*) {
      if (row + rows == 20) fail(ExitCode::io, "broken disk");
    };
    try {
      load_symmetric(a, broken);
      ADD_FAILURE() << "no error";
    } catch (const parallel::AgreedError& error) {
      EXPECT_EQ(error.code(), ExitCode::io);
    }
  });
}

TEST(BlockCyclic, UpperTriangleAndDiagonalRestoreTheLower) {
  on_all_grids([](const BlacsGrid& grid) {
    BlockCyclicMatrix a = make(grid, 37, 5, entry);
    const std::vector<double> kept = diagonal(a);
    for (std::int64_t j = 0; j < a.local_columns(); ++j) {
      for (std::int64_t i = 0; i < a.local_rows(); ++i) {
        const auto at = a.distribution().to_global(parallel::LocalElement{i, j});
        if (at.row >= at.column) a.local(i, j) = std::nan("");
      }
    }
    mirror_upper(a);
    set_diagonal(a, kept);
    each(a, [](std::int64_t r, std::int64_t c, double value) { EXPECT_EQ(value, entry(r, c)); });
  });
}

TEST(BlockCyclic, GathersRows) {
  on_all_grids([](const BlacsGrid& grid) {
    const BlockCyclicMatrix a = make(grid, 23, 4, entry);
    const std::vector<double> strip = gather_rows(a, 3, 9, 10);
    ASSERT_EQ(strip.size(), grid.comm().rank() == 0 ? 90u : 0u);
    for (std::size_t e = 0; e < strip.size(); ++e) {
      EXPECT_EQ(strip[e],
                entry(3 + static_cast<std::int64_t>(e / 10), static_cast<std::int64_t>(e % 10)));
    }
  });
}

TEST(Norms, TraceAndFrobeniusWithoutOverflow) {
  on_all_grids([](const BlacsGrid& grid) {
    for (const double size : {1.0, 1e200, 1e-200}) {
      const BlockCyclicMatrix a =
          make(grid, 30, 4, [&](std::int64_t i, std::int64_t j) { return size * entry(i, j); });
      double trace = 0, squares = 0;
      for (std::int64_t i = 0; i < 30; ++i) {
        trace += entry(i, i);
        for (std::int64_t j = 0; j < 30; ++j) squares += entry(i, j) * entry(i, j);
      }
      const Norms found = norms(a);
      EXPECT_NEAR(found.trace / size, trace, 1e-12);
      EXPECT_NEAR(found.frobenius / size, std::sqrt(squares), 1e-12);
    }
    EXPECT_EQ(norms(make(grid, 0, 4, entry)).frobenius, 0);
  });
}

TEST(Norms, NonFiniteEntriesAreFoundOnEveryRank) {
  on_all_grids([](const BlacsGrid& grid) {
    for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
      const BlockCyclicMatrix a = make(grid, 21, 4, [&](std::int64_t i, std::int64_t j) {
        return (i == 17 && j == 2) || (i == 2 && j == 17) ? bad : entry(i, j);
      });
      try {
        require_finite(a, "kernel total");
        ADD_FAILURE() << "no error";
      } catch (const parallel::AgreedError& error) {
        EXPECT_EQ(error.code(), ExitCode::numerical);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("2 entries"));
        EXPECT_THAT(error.what(), ::testing::HasSubstr("row 2, column 17"));
      }
    }
    EXPECT_NO_THROW(require_finite(make(grid, 21, 4, entry), "kernel"));
  });
}

// H K H computed as dense products, H = (I - 11'/N) (x) I_C.
std::vector<double> centred_densely(std::int64_t n, std::int64_t outputs) {
  const std::int64_t samples = n / outputs;
  const auto h = [&](std::int64_t r, std::int64_t c) {
    return (r == c ? 1.0 : 0.0) -
           (r % outputs == c % outputs ? 1.0 / static_cast<double>(samples) : 0.0);
  };
  std::vector<double> half(static_cast<std::size_t>(n * n)), full(half.size());
  const auto multiply = [&](auto&& left, auto&& right, std::vector<double>& out) {
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (std::int64_t k = 0; k < n; ++k) sum += left(i, k) * right(k, j);
        out[static_cast<std::size_t>(i * n + j)] = sum;
      }
    }
  };
  multiply(h, entry, half);
  multiply(
      [&](std::int64_t i, std::int64_t k) { return half[static_cast<std::size_t>(i * n + k)]; }, h,
      full);
  return full;
}

TEST(Centring, IsTheProjectionPerOutput) {
  on_all_grids([](const BlacsGrid& grid) {
    for (const std::int64_t outputs : {1, 2, 3}) {
      const std::int64_t n = 24;
      const std::vector<double> expected = centred_densely(n, outputs);
      BlockCyclicMatrix a = make(grid, n, 5, entry);
      centre(a, means(a, outputs));
      each(a, [&](std::int64_t r, std::int64_t c, double value) {
        EXPECT_NEAR(value, expected[static_cast<std::size_t>(r * n + c)], 1e-13);
      });
      // The training kernel taken as evaluation kernel is centred alike.
      const BlockCyclicMatrix raw = make(grid, n, 5, entry);
      std::vector<double> strip(static_cast<std::size_t>(7 * n));
      source(entry)(8, 0, 7, n, strip.data());
      centre_evaluation(8, 7, means(raw, outputs), strip.data());
      for (std::size_t e = 0; e < strip.size(); ++e) {
        EXPECT_NEAR(strip[e], expected[static_cast<std::size_t>(8 * n) + e], 1e-13);
      }
    }
  });
}

TEST(Limits, OversizedMatricesNameTheRanksNeeded) {
  EXPECT_NO_THROW(require_32bit(46000, 64, {1, 1}, Work::values));
  EXPECT_NO_THROW(require_32bit(26000, 64, {1, 1}, Work::vectors));
  EXPECT_NO_THROW(require_32bit(46000, 64, {2, 2}, Work::vectors));
  EXPECT_NO_THROW(require_32bit(46000, 64, {1, 1}, Work::gpu_vectors));
  EXPECT_THROW(require_32bit(47000, 64, {1, 1}, Work::gpu_vectors), Error);
  try {
    require_32bit(100000, 64, {1, 1}, Work::values);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::resources);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("at least 6 ranks"));
  }
  EXPECT_THROW(require_32bit(46000, 64, {1, 1}, Work::vectors), Error);
  EXPECT_THROW(require_32bit(std::int64_t{1} << 40, 64, {8, 8}, Work::leading), Error);
}

}  // namespace
