// The contraction of gradients against plain sums, at extents around every size that the routine
// cuts at; and the same bits of an entry wherever it lies.
#include "device/cpu/row_product.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "device/backend.hpp"
#include "support/random.hpp"

namespace ntk::device {
namespace {

struct Extents {
  std::int64_t m, n, k, chunk;
};
constexpr Extents extents[] = {{1, 1, 1, 256},      {1, 3, 5, 4},        {8, 48, 16, 16},
                               {7, 47, 15, 16},     {9, 49, 17, 16},     {16, 17, 33, 32},
                               {31, 100, 600, 256}, {100, 31, 257, 256}, {65, 33, 300, 128}};

template <class Real>
class RowProduct : public testing::Test {
 protected:
  // Sums of k products of numbers of size 1.
  static double bound(std::int64_t k) {
    return (sizeof(Real) == 4 ? 0x1.0p-24 : 0x1.0p-53) * 8 * static_cast<double>(k);
  }
};
using Precisions = testing::Types<float, double>;
TYPED_TEST_SUITE(RowProduct, Precisions);

TYPED_TEST(RowProduct, AddsTheProductOfEveryPairOfRowsAndWritesNothingElse) {
  for (const auto& e : extents) {
    const std::int64_t lda = e.k + 3, ldb = e.k + 5, ld = e.n + 2;
    const auto a = test::random_vector<TypeParam>(e.m * lda, 1),
               b = test::random_vector<TypeParam>(e.n * ldb, 2);
    std::vector<double> tile(static_cast<std::size_t>(e.m * ld), 7.0);
    cpu::row_product(e.m, e.n, e.k, e.chunk, a.data(), lda, b.data(), ldb, false, tile.data(), ld);
    for (std::int64_t i = 0; i < e.m; ++i) {
      for (std::int64_t j = 0; j < ld; ++j) {
        double expected = 7.0;
        for (std::int64_t t = 0; j < e.n && t < e.k; ++t) {
          expected += static_cast<double>(a[static_cast<std::size_t>(i * lda + t)]) *
                      static_cast<double>(b[static_cast<std::size_t>(j * ldb + t)]);
        }
        ASSERT_NEAR(tile[static_cast<std::size_t>(i * ld + j)], expected,
                    j < e.n ? TestFixture::bound(e.k) : 0.0)
            << e.m << " x " << e.n << " x " << e.k << " at " << i << ", " << j;
      }
    }
  }
}

TYPED_TEST(RowProduct, LowerTriangleHasTheBitsOfTheWholeProduct) {
  for (std::int64_t m : {1, 5, 16, 33, 48, 49, 100, 143}) {
    const std::int64_t k = 300;
    const auto a = test::random_vector<TypeParam>(m * k, 3);
    std::vector<double> whole(static_cast<std::size_t>(m * m)), lower(whole);
    cpu::row_product(m, m, k, 128, a.data(), k, a.data(), k, false, whole.data(), m);
    cpu::row_product(m, m, k, 128, a.data(), k, a.data(), k, true, lower.data(), m);
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j <= i; ++j) {
        const auto at = static_cast<std::size_t>(i * m + j);
        ASSERT_EQ(lower[at], whole[at]) << m << " at " << i << ", " << j;
        ASSERT_EQ(whole[at], whole[static_cast<std::size_t>(j * m + i)]);
      }
    }
  }
}

// Products large enough to be cut into pieces, on several threads.
TYPED_TEST(RowProduct, PiecesAndThreadsDoNotShowInTheBits) {
  const std::int64_t m = 450, n = 200, k = 70;
  const auto a = test::random_vector<TypeParam>(m * k, 4),
             b = test::random_vector<TypeParam>(n * k, 5);
  std::vector<double> whole(static_cast<std::size_t>(m * n)),
      lower(static_cast<std::size_t>(m * m));
  cpu::row_product(m, n, k, 32, a.data(), k, b.data(), k, false, whole.data(), n);
  cpu::row_product(m, m, k, 32, a.data(), k, a.data(), k, true, lower.data(), m);
  for (int threads : {1, 3}) {
    auto backend = make_cpu_backend<TypeParam>(threads, 0);
    std::vector<double> one(whole.size()), two(lower.size());
    const std::int64_t stride = backend->operand_bytes(m, k);
    Array<char, TypeParam> memory(*backend, 2 * stride);
    const Operands operands{memory.data(), stride, k, 32};
    backend->put_rows(m, a.data(), operands, 0);
    backend->put_rows(n, b.data(), operands, 1);
    const typename Backend<TypeParam>::Product products[] = {
        {0, 1, 0, 0, m, n, one.data(), n, false}, {0, 0, 0, 0, m, m, two.data(), m, true}};
    backend->contract(operands, products);
    EXPECT_EQ(one, whole);
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j <= i; ++j) {
        const auto at = static_cast<std::size_t>(i * m + j);
        ASSERT_EQ(two[at], lower[at]) << i << ", " << j;
      }
    }
  }
}

}  // namespace
}  // namespace ntk::device
