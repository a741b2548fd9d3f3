// Every backend and precision against plain loops in fp64.
#include "device/backend.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "device/kernels/operand.hpp"
#include "support/backends.hpp"
#include "support/random.hpp"

namespace ntk::device {
namespace {

using test::random_vector;
using test::to_device;
using test::to_host;

template <class B>
class BackendTest : public test::BackendTest<B> {
 protected:
  // Both kinds of rounding, where one may be much smaller than the other.
  static constexpr double both_roundoffs =
      test::BackendTest<B>::roundoff + test::BackendTest<B>::working_roundoff;
};
TYPED_TEST_SUITE(BackendTest, test::Backends, test::BackendNames);

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

// Factors of three samples of 3, 1 and 7 tokens.
template <class Real>
struct Site {
  Site(Backend<Real>& backend, std::int64_t in, std::int64_t out)
      : inputs(in),
        outputs(out),
        a(random_vector<Real>(11 * inputs, 1)),
        g(random_vector<Real>(copies * 11 * outputs, 2)),
        device_offsets(to_device(backend, offsets)),
        device_a(to_device(backend, a)),
        device_g(to_device(backend, g)) {}

  std::vector<std::int64_t> offsets{0, 3, 4, 11};
  std::int64_t inputs, outputs;
  int copies = 2;
  std::vector<Real> a, g;
  Array<std::int64_t, Real> device_offsets;
  Array<Real, Real> device_a, device_g;

  FactorView<Real> view() const {
    return {device_a.data(), device_g.data(), 11, {3, device_offsets.data(), offsets.data()}};
  }
  double gradient(int c, std::int64_t s, std::int64_t o, std::int64_t i) const {
    double sum = 0;
    for (std::int64_t t = offsets[at(s)]; t < offsets[at(s) + 1]; ++t) {
      sum += static_cast<double>(g[at((c * 11 + t) * outputs + o)]) *
             static_cast<double>(a[at(t * inputs + i)]);
    }
    return sum;
  }
};

// What operands of one row stand for: the sum of each column's terms.
template <class Format>
std::vector<double> values_of(const typename Format::Number* row,
                              const kernels::OperandColumns& columns) {
  std::vector<double> values;
  for (std::int64_t c = 0; c < columns.columns; ++c) {
    if constexpr (Format::runs == 1) {
      values.push_back(static_cast<double>(row[c]));
    } else {
      const std::int64_t first = columns.chunk_first(c), width = columns.chunk_width(first);
      double sum = 0;
      for (int run = 0; run <= Format::runs / 2; ++run) {
        sum += static_cast<double>(
            kernels::from_bf16(row[first * Format::runs + run * width + c - first]));
      }
      values.push_back(sum);
    }
  }
  return values;
}

TYPED_TEST(BackendTest, FormsGradientsOfRaggedSamples) {
  using Real = typename TypeParam::Real;
  auto& backend = *this->device_;
  for (const auto& [inputs, outputs, first, count] :
       std::vector<std::array<std::int64_t, 4>>{{37, 13, 2, 9}, {40, 16, 4, 12}, {300, 8, 0, 8}}) {
    const Site<Real> site(backend, inputs, outputs);
    const std::int64_t columns = count * inputs, rows = site.copies * 3;
    Array<char, Real> memory(backend, backend.operand_bytes(rows, columns));
    const Operands operands{memory.data(), 0, columns, 64};
    backend.form(site.view(), site.copies, inputs, outputs, first, count, operands, 0);
    kernels::with_format<Real>(TypeParam::precision, [&]<class Format>() {
      using Number = typename Format::Number;
      const auto made = to_host(backend, panel<Number>(operands, 0), rows * columns * Format::runs);
      const kernels::OperandColumns layout{columns, 6};
      for (std::int64_t row = 0; row < rows; ++row) {
        const auto j = values_of<Format>(made.data() + row * columns * Format::runs, layout);
        for (std::int64_t o = 0; o < count; ++o) {
          for (std::int64_t i = 0; i < inputs; ++i) {
            const double exact = site.gradient(static_cast<int>(row / 3), row % 3, first + o, i);
            ASSERT_NEAR(j[at(o * inputs + i)], exact, 40 * this->both_roundoffs)
                << inputs << " x " << outputs << ", row " << row << ", " << o << ", " << i;
          }
        }
      }
    });
  }
}

TYPED_TEST(BackendTest, ContractsPanelsInBatchesAndChunks) {
  using Real = typename TypeParam::Real;
  auto& backend = *this->device_;
  // A chunk and a shorter one, the first longer than a piece of leading terms.
  const std::int64_t rows = 5, columns = 700, chunk = 512, panels = 4;
  const double bound = std::sqrt(double(chunk)) * this->both_roundoffs;
  std::vector<std::vector<Real>> j;
  const std::int64_t stride = backend.operand_bytes(rows, columns);
  Array<char, Real> memory(backend, panels * stride);
  const Operands operands{memory.data(), stride, columns, chunk};
  for (int p = 0; p < panels; ++p) {
    j.push_back(random_vector<Real>(rows * columns, 10 + static_cast<unsigned>(p)));
    const auto x = to_device(backend, j.back());
    backend.put_rows(rows, x.data(), operands, p);
  }
  // Neighbours in one batch, a gap, rows inside a panel, and a panel with itself.
  struct Wanted {
    int p, q;
    std::int64_t p_row, q_row, m, n;
  };
  const std::vector<Wanted> wanted = {{3, 0, 0, 0, 5, 5}, {3, 1, 0, 0, 5, 5}, {3, 3, 0, 0, 5, 5},
                                      {2, 1, 1, 2, 4, 3}, {2, 0, 0, 0, 5, 5}, {1, 1, 2, 2, 3, 3}};
  std::vector<Array<double, Real>> tiles;
  std::vector<typename Backend<Real>::Product> products;
  for (const auto& w : wanted) {
    tiles.push_back(to_device(backend, std::vector<double>(at(w.m * w.n), 2.0)));
    products.push_back({w.p, w.q, w.p_row, w.q_row, w.m, w.n, nullptr, w.n, w.p == w.q});
  }
  for (std::size_t t = 0; t < tiles.size(); ++t) products[t].tile = tiles[t].data();
  backend.contract(operands, products);
  for (std::size_t t = 0; t < tiles.size(); ++t) {
    const auto& w = wanted[t];
    const auto tile = to_host(backend, tiles[t].data(), w.m * w.n);
    for (std::int64_t i = 0; i < w.m; ++i) {
      for (std::int64_t k = 0; k < (w.p == w.q ? i + 1 : w.n); ++k) {
        long double sum = 2;
        double scale = 2;
        for (std::int64_t c = 0; c < columns; ++c) {
          const auto x = static_cast<double>(j[at(w.p)][at((w.p_row + i) * columns + c)]);
          const auto y = static_cast<double>(j[at(w.q)][at((w.q_row + k) * columns + c)]);
          sum += static_cast<long double>(x) * y;
          scale += std::abs(x * y);
        }
        ASSERT_NEAR(tile[at(i * w.n + k)], static_cast<double>(sum), bound * scale)
            << "product " << t << ", entry " << i << ", " << k;
      }
    }
  }
}

// Products of every pair of panels p > q, those of a panel p with `together` panels q a call.
template <class Real>
std::vector<std::vector<double>> products_of_pairs(Backend<Real>& backend, const Operands& operands,
                                                   std::int64_t rows, int panels,
                                                   std::size_t together) {
  std::vector<Array<double, Real>> tiles;
  for (int p = 0; p < panels; ++p) {
    std::vector<typename Backend<Real>::Product> products;
    for (int q = 0; q < p; ++q) {
      tiles.emplace_back(backend, rows * rows);
      tiles.back().zero();
      products.push_back({p, q, 0, 0, rows, rows, tiles.back().data(), rows, false});
      if (products.size() == together || q + 1 == p) {
        backend.contract(operands, products);
        products.clear();
      }
    }
  }
  std::vector<std::vector<double>> found;
  for (const auto& tile : tiles) found.push_back(to_host(backend, tile.data(), tile.size()));
  return found;
}

// A tile's bits must not follow from what else is in the call. The larger ones are those of real
// tasks, whose algorithms are others: for devices only.
TYPED_TEST(BackendTest, ProductsHaveTheSameBitsAloneAndTogether) {
  using Real = typename TypeParam::Real;
  auto& backend = *this->device_;
  struct Shape {
    std::int64_t rows, columns, chunk;
    int panels;
  };
  std::vector<Shape> shapes = {{96, 520, 256, 4}};
  if (test::on_real_device<TypeParam>()) {
    shapes.insert(shapes.end(), {{512, 8192, 4096, 9}, {64, 16384, 16384, 66}});
  }
  for (const auto& [rows, columns, chunk, panels] : shapes) {
    const std::int64_t stride = backend.operand_bytes(rows, columns) / 256 * 256 + 256;
    Array<char, Real> memory(backend, panels * stride);
    const Operands operands{memory.data(), stride, columns, chunk};
    for (int p = 0; p < panels; ++p) {
      const auto seed = 20 + static_cast<unsigned>(p);
      const auto x = to_device(backend, random_vector<Real>(rows * columns, seed));
      backend.put_rows(rows, x.data(), operands, p);
    }
    const auto alone = products_of_pairs(backend, operands, rows, panels, 1);
    for (const std::size_t together : {2, 7, 8, 64}) {
      EXPECT_EQ(products_of_pairs(backend, operands, rows, panels, together), alone)
          << rows << " rows, " << together << " together";
    }
  }
}

TYPED_TEST(BackendTest, StructuredEqualsExplicit) {
  using Real = typename TypeParam::Real;
  auto& backend = *this->device_;
  const Site<Real> site(backend, 203, 13);
  for (const bool class_diagonal : {false, true}) {
    const std::int64_t n = class_diagonal ? 3 : site.copies * 3;
    const auto on_device = to_device(backend, std::vector<double>(at(n * n), 0.0));
    const typename Backend<Real>::StructuredBlock block{
        site.view(), site.view(), 0, 0, const_cast<double*>(on_device.data()), n, false};
    backend.contract_structured(std::span(&block, 1), site.copies, site.inputs, site.outputs, 3, 3,
                                class_diagonal);
    const auto tile = to_host(backend, on_device.data(), n * n);
    double scale = 0;
    for (double x : tile) scale = std::max(scale, std::abs(x));
    for (int c = 0; c < site.copies; ++c) {
      for (int d = 0; d < site.copies; ++d) {
        if (class_diagonal && (c != d || c > 0)) continue;
        for (std::int64_t s = 0; s < 3; ++s) {
          for (std::int64_t r = 0; r < 3; ++r) {
            double exact = 0;
            for (int plane = 0; plane < (class_diagonal ? site.copies : 1); ++plane) {
              for (std::int64_t o = 0; o < site.outputs; ++o) {
                for (std::int64_t i = 0; i < site.inputs; ++i) {
                  exact += site.gradient(class_diagonal ? plane : c, s, o, i) *
                           site.gradient(class_diagonal ? plane : d, r, o, i);
                }
              }
            }
            const auto where = class_diagonal ? s * n + r : (c * 3 + s) * n + d * 3 + r;
            EXPECT_NEAR(tile[at(where)], exact, 100 * this->both_roundoffs * scale);
          }
        }
      }
    }
  }
}

TYPED_TEST(BackendTest, MatricesMultiplyAndAccumulate) {
  using Real = typename TypeParam::Real;
  auto& backend = *this->device_;
  const std::int64_t m = 7, n = 5, k = 50;
  for (const bool transpose : {false, true}) {
    const auto a = random_vector<Real>(m * k, 3), b = random_vector<Real>(n * k, 4);
    const auto before = random_vector<Real>(m * n, 5);
    const auto da = to_device(backend, a), db = to_device(backend, b);
    auto dc = to_device(backend, before);
    backend.gemm(transpose, m, n, k, da.data(), k, db.data(), transpose ? k : n, true, dc.data(),
                 n);
    const auto c = to_host(backend, dc.data(), m * n);
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t o = 0; o < n; ++o) {
        auto exact = static_cast<double>(before[at(i * n + o)]);
        for (std::int64_t t = 0; t < k; ++t) {
          exact += static_cast<double>(a[at(i * k + t)]) *
                   static_cast<double>(b[at(transpose ? o * k + t : t * n + o)]);
        }
        EXPECT_NEAR(static_cast<double>(c[at(i * n + o)]), exact, 200 * this->working_roundoff);
      }
    }
  }
}

TYPED_TEST(BackendTest, CopiesSurviveLaterWork) {
  using Real = typename TypeParam::Real;
  auto& backend = *this->device_;
  const auto x = random_vector<Real>(100000, 6);
  auto device = to_device(backend, x);
  const auto copy = backend.copy_out(device.data(), x.size() * sizeof(Real));
  const auto* data = static_cast<const Real*>(copy->data());
  EXPECT_TRUE(std::equal(x.begin(), x.end(), data));
  device.zero();
  EXPECT_EQ(to_host(backend, device.data(), device.size()), std::vector<Real>(x.size(), Real(0)));
}

TYPED_TEST(BackendTest, RateIsMeasured) {
  const GemmTiming timing = this->device_->time_gemm();
  EXPECT_GT(timing.operations, 1e9);
  EXPECT_GT(timing.seconds, 0);
}

}  // namespace
}  // namespace ntk::device
