// tile += A B^T for few, long rows: the contraction of gradients. A BLAS call packs its operands
// anew for every block and sums a whole call in the working precision; this one skips what lies
// above the diagonal of a symmetric tile in steps of a few entries, and adds each chunk of
// columns to fp64. The arithmetic of an entry is one chain of multiply-adds a chunk, wherever in
// whichever tile it lies: bits do not depend on how work is cut.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "device/cpu/vector.hpp"

namespace ntk::device::cpu {

namespace row_product_detail {

// Registers hold block_columns vectors of tile columns x block_rows tile rows.
inline constexpr int block_columns = 3;
template <class Real>
inline constexpr int block_rows = std::min(vector_registers / 4,
                                           static_cast<int>(Vector<Real>::lanes));

// Swaps the off-diagonal step x step squares of every 2 step x 2 step square.
template <class Real, int step>
[[gnu::always_inline]] inline void swap_squares(typename Vector<Real>::type* x) {
  constexpr int lanes = Vector<Real>::lanes;
  if constexpr (step < lanes) {
    typename LaneIndex<Real>::type low, high;
    for (int i = 0; i < lanes; ++i) {
      const bool second = (i / step) % 2 == 1;
      low[i] = second ? lanes + i - step : i;
      high[i] = second ? lanes + i : i + step;
    }
    for (int i = 0; i < lanes; ++i) {
      if ((i / step) % 2 == 1) continue;
      const auto a = x[i], b = x[i + step];
      x[i] = __builtin_shuffle(a, b, low);
      x[i + step] = __builtin_shuffle(a, b, high);
    }
    swap_squares<Real, 2 * step>(x);
  }
}

// `rows` rows (stride ld) x k columns as groups of `lanes` rows, column after column: entry
// (r, t) goes to packed[(r / lanes * k + t) * lanes + r % lanes]; rows that are missing are zero.
template <class Real>
void pack(std::int64_t rows, std::int64_t k, const Real* a, std::int64_t ld, Real* packed) {
  using Lane = typename Vector<Real>::type;
  constexpr int lanes = Vector<Real>::lanes;
  for (std::int64_t first = 0; first < rows; first += lanes, packed += lanes * k) {
    const Real* from = a + first * ld;
    const auto present = std::min<std::int64_t>(lanes, rows - first);
    std::int64_t t = 0;
    for (; present == lanes && t + lanes <= k; t += lanes) {
      Lane x[lanes];
      for (int r = 0; r < lanes; ++r) x[r] = *reinterpret_cast<const Lane*>(from + r * ld + t);
      swap_squares<Real, 1>(x);
      for (int r = 0; r < lanes; ++r) *reinterpret_cast<Lane*>(packed + (t + r) * lanes) = x[r];
    }
    for (; t < k; ++t) {
      for (int r = 0; r < lanes; ++r) {
        packed[t * lanes + r] = r < present ? from[r * ld + t] : Real(0);
      }
    }
  }
}

// tile (rows x columns) += the product of block_rows packed rows a and `groups` packed groups of
// rows b.
template <class Real, int groups>
void multiply(std::int64_t k, const Real* a, const Real* b, std::int64_t rows, std::int64_t columns,
              double* tile, std::int64_t ld) {
  using Lane = typename Vector<Real>::type;
  constexpr int lanes = Vector<Real>::lanes, height = block_rows<Real>;
  Lane sum[height][groups];
  for (int i = 0; i < height; ++i) {
    for (int j = 0; j < groups; ++j) sum[i][j] = Lane{};
  }
  for (std::int64_t t = 0; t < k; ++t) {
    Lane x[groups];
    for (int j = 0; j < groups; ++j) {
      const Real* from = b + (j * k + t) * lanes;
      x[j] = *reinterpret_cast<const Lane*>(from);
      __builtin_prefetch(from + 16 * lanes);  // b streams from the second-level cache
    }
    for (int i = 0; i < height; ++i) {
      const Real y = a[t * lanes + i];
      for (int j = 0; j < groups; ++j) sum[i][j] += x[j] * y;
    }
  }
  for (int i = 0; i < height && i < rows; ++i) {
    for (int j = 0; j < groups; ++j) {
      double* to = tile + i * ld + j * lanes;
      if ((j + 1) * lanes <= columns) {
#pragma omp simd
        for (int l = 0; l < lanes; ++l) to[l] += static_cast<double>(sum[i][j][l]);
      } else {
        for (int l = 0; j * lanes + l < columns; ++l) to[l] += static_cast<double>(sum[i][j][l]);
      }
    }
  }
}

}  // namespace row_product_detail

// tile (m x n fp64, ld) += A B^T; A (m x k, lda), B (n x k, ldb); fp64 after each `chunk` columns.
// With `lower` (A and B are the same rows) entries far above the diagonal are left out, those
// next to it may be there.
template <class Real>
void row_product(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t chunk, const Real* a,
                 std::int64_t lda, const Real* b, std::int64_t ldb, bool lower, double* tile,
                 std::int64_t ld) {
  using namespace row_product_detail;
  constexpr int lanes = Vector<Real>::lanes, height = block_rows<Real>;
  const auto padded = [](std::int64_t rows) { return (rows + lanes - 1) / lanes * lanes; };
  thread_local std::vector<Real> packed_a, packed_b;
  packed_a.resize(static_cast<std::size_t>(padded(m) * std::min(k, chunk)));
  if (!lower) packed_b.resize(static_cast<std::size_t>(padded(n) * std::min(k, chunk)));
  for (std::int64_t t = 0; t < k; t += chunk) {
    const std::int64_t width = std::min(chunk, k - t);
    pack(m, width, a + t, lda, packed_a.data());
    if (!lower) pack(n, width, b + t, ldb, packed_b.data());
    const Real* rows_b = lower ? packed_a.data() : packed_b.data();
    for (std::int64_t j = 0; j < n; j += block_columns * lanes) {
      for (std::int64_t i = 0; i < m; i += height) {
        const std::int64_t end = lower ? std::min(n, i + height) : n;
        if (end <= j) continue;
        const Real* x = packed_a.data() + i / lanes * lanes * width + i % lanes;
        const Real* y = rows_b + j * width;
        const std::int64_t columns = std::min<std::int64_t>(block_columns * lanes, n - j);
        double* to = tile + i * ld + j;
        switch (std::min<std::int64_t>(block_columns, (end - j + lanes - 1) / lanes)) {
          case 1:
            multiply<Real, 1>(width, x, y, m - i, columns, to, ld);
            break;
          case 2:
            multiply<Real, 2>(width, x, y, m - i, columns, to, ld);
            break;
          default:
            multiply<Real, block_columns>(width, x, y, m - i, columns, to, ld);
        }
      }
    }
  }
}

}  // namespace ntk::device::cpu
