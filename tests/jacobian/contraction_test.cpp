// contract_parameter on random factors of ragged panels against plain sums in fp64: every kind of
// factor, both ways to contract a matrix, both output modes, symmetric and rectangular tiles, every
// backend and precision; and the same bits on any number of threads.
#include "jacobian/contraction.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "jacobian/cost.hpp"
#include "support/backends.hpp"
#include "support/random.hpp"

namespace ntk::jacobian {
namespace {

enum class Kind { explicit_, structured, both, vector, lookup };

struct Case {
  Kind kind;
  std::int64_t inputs, outputs;
  bool class_diagonal;
  int copies = 2;
};

std::ostream& operator<<(std::ostream& to, const Case& c) {
  static const char* names[] = {"explicit", "structured", "explicit and structured", "vector",
                                "lookup"};
  return to << names[static_cast<int>(c.kind)] << " " << c.outputs << " x " << c.inputs << ", "
            << c.copies << (c.class_diagonal ? " copies, class diagonal" : " copies");
}

// Maps of 5 x 6 are formed in slices of 2 outputs and contracted in chunks of 8 columns.
const Case cases[] = {{Kind::explicit_, 6, 5, false},       {Kind::explicit_, 6, 5, true},
                      {Kind::structured, 64, 48, false},    {Kind::structured, 64, 48, true},
                      {Kind::both, 20, 10, false},          {Kind::both, 20, 10, true},
                      {Kind::structured, 64, 48, false, 1}, {Kind::vector, 1, 19, false},
                      {Kind::vector, 1, 19, true},          {Kind::lookup, 1, 11, false},
                      {Kind::lookup, 1, 11, true}};

// Lengths of the samples of three panels. With runs of at most 4 token rows the first has runs of
// 2, 1, 1 and 1 samples, one of them longer than that.
const std::vector<std::vector<std::int64_t>> lengths = {{3, 1, 7, 2, 5}, {1, 6, 2}, {1, 1, 1, 1}};

constexpr std::int32_t table_rows = 9;

// One panel's factor, and its gradients, one a row (copy * samples + sample), in fp64.
template <class Real>
class Panel {
 public:
  Panel(device::Backend<Real>& backend, const Case& c, const std::vector<std::int64_t>& of_samples,
        unsigned seed)
      : samples(static_cast<std::int64_t>(of_samples.size())) {
    std::vector<std::int64_t> offsets{0};
    for (auto length : of_samples) offsets.push_back(offsets.back() + length);
    rows = offsets.back();
    const bool vector = c.kind == Kind::vector, lookup = c.kind == Kind::lookup;
    const auto g =
        test::random_vector<Real>(c.copies * (vector ? samples : rows) * c.outputs, 2 * seed);
    const auto a = test::random_vector<Real>(vector || lookup ? 0 : rows * c.inputs, 2 * seed + 1);
    const auto draws = test::random_vector<double>(rows, 3 * seed);
    std::vector<std::int32_t> ids;
    for (std::int64_t t = 0; t < rows; ++t) {
      const double draw = 100 * std::abs(draws[static_cast<std::size_t>(t)]);
      ids.push_back(static_cast<std::int32_t>(draw) % table_rows);
    }

    activations_ = model::Buffer<Real>(backend, std::span<const Real>(a));
    using Factor = model::Factor<Real>;
    factor.kind = vector   ? Factor::Kind::vector
                  : lookup ? Factor::Kind::lookup
                           : Factor::Kind::matrix;
    factor.layout = std::make_shared<model::Layout<Real>>(backend, offsets);
    factor.activations = activations_.data();
    if (lookup) factor.ids = std::make_shared<model::Ids<Real>>(backend, ids);
    factor.cotangents = std::make_shared<model::Buffer<Real>>(backend, std::span<const Real>(g));
    factor.inputs = c.inputs;
    factor.outputs = c.outputs;

    const std::int64_t width = c.outputs * (lookup ? table_rows : c.inputs);
    for (int copy = 0; copy < c.copies; ++copy) {
      for (std::int64_t s = 0; s < samples; ++s) {
        auto& gradient = gradients.emplace_back(static_cast<std::size_t>(width), 0.0);
        double& scale = scales.emplace_back(0.0);
        const auto sample = static_cast<std::size_t>(s);
        const std::int64_t first = vector ? s : offsets[sample];
        const std::int64_t last = vector ? s + 1 : offsets[sample + 1];
        for (std::int64_t t = first; t < last; ++t) {
          const Real* gt = g.data() + (copy * (vector ? samples : rows) + t) * c.outputs;
          const Real* at = a.empty() ? nullptr : a.data() + t * c.inputs;
          const std::int64_t shift = lookup ? ids[static_cast<std::size_t>(t)] * c.outputs : 0;
          double g2 = 0, a2 = 0;
          for (std::int64_t i = 0; i < c.inputs; ++i) {
            const double x = at == nullptr ? 1.0 : static_cast<double>(at[i]);
            a2 += x * x;
            for (std::int64_t o = 0; o < c.outputs; ++o) {
              gradient[static_cast<std::size_t>(shift + o * c.inputs + i)] +=
                  static_cast<double>(gt[o]) * x;
            }
          }
          for (std::int64_t o = 0; o < c.outputs; ++o) g2 += static_cast<double>(gt[o] * gt[o]);
          scale += std::sqrt(g2 * a2);
        }
      }
    }
  }

  std::int64_t samples = 0, rows = 0;
  model::Factor<Real> factor;
  std::vector<std::vector<double>> gradients;
  std::vector<double> scales;  // sums over tokens of |G| |A|: what rounding errors are relative to

 private:
  model::Buffer<Real> activations_;
};

Settings settings_of(const Case& c) {
  Settings s;
  s.copies = c.copies;
  s.class_diagonal = c.class_diagonal;
  s.slice_columns = 2 * c.inputs;
  s.chunk_columns = 8;
  s.structured_rows = 4;
  return s;
}

constexpr double before = 3;  // in every entry: contractions add

// All pairs of panels, in both orders, contracted.
template <class B>
class Contracted {
 public:
  using Real = typename B::Real;
  Contracted(const Case& c, int threads) : backend(B::make(threads)) {
    std::vector<const model::Factor<Real>*> factors;
    panels.reserve(lengths.size());
    for (const auto& of_samples : lengths) {
      panels.emplace_back(*backend, c, of_samples, 5 + static_cast<unsigned>(panels.size()));
      factors.push_back(&panels.back().factor);
    }
    const Settings settings = settings_of(c);
    const auto rows = [&](int p) { return settings.tile_rows(panel(p).samples); };
    for (int p = 0; p < static_cast<int>(panels.size()); ++p) {
      for (int q = 0; q < static_cast<int>(panels.size()); ++q) {
        data.emplace_back(static_cast<std::size_t>(rows(p) * rows(q)), before);
        on_device.push_back(test::to_device(*backend, data.back()));
        tiles.push_back({p, q, p == q, on_device.back().data()});
      }
    }
    Times times;
    contract_parameter<Real>(*backend, settings, factors, tiles, times, [] {});
    for (std::size_t t = 0; t < tiles.size(); ++t) {
      data[t] = test::to_host(*backend, tiles[t].data, on_device[t].size());
      if (tiles[t].symmetric) symmetrise(rows(tiles[t].p), data[t].data());
    }
  }
  const Panel<Real>& panel(int p) const { return panels[static_cast<std::size_t>(p)]; }

  std::unique_ptr<device::Backend<Real>> backend;
  std::vector<Panel<Real>> panels;
  std::vector<PairTile> tiles;
  std::vector<std::vector<double>> data;
  std::vector<device::Array<double, Real>> on_device;
};

// Entry (i, j) of the tile of panels p and q, and what its error is relative to.
template <class Real>
std::pair<double, double> exact(const Case& c, const Panel<Real>& p, const Panel<Real>& q,
                                std::int64_t i, std::int64_t j) {
  double sum = 0, scale = 0;
  for (int plane = 0; plane < (c.class_diagonal ? c.copies : 1); ++plane) {
    const auto a = static_cast<std::size_t>(plane * p.samples + i);
    const auto b = static_cast<std::size_t>(plane * q.samples + j);
    for (std::size_t e = 0; e < p.gradients[a].size(); ++e) {
      sum += p.gradients[a][e] * q.gradients[b][e];
    }
    scale += p.scales[a] * q.scales[b];
  }
  return {sum, scale};
}

template <class B>
class Contraction : public test::BackendTest<B> {};
TYPED_TEST_SUITE(Contraction, test::Backends, test::BackendNames);

TYPED_TEST(Contraction, EveryTileHasTheProductsOfItsGradients) {
  for (const auto& c : cases) {
    const Contracted<TypeParam> made(c, 1);
    const Settings settings = settings_of(c);
    for (std::size_t t = 0; t < made.tiles.size(); ++t) {
      const PairTile& tile = made.tiles[t];
      const auto &p = made.panel(tile.p), &q = made.panel(tile.q);
      const std::int64_t columns = settings.tile_rows(q.samples);
      for (std::int64_t i = 0; i < settings.tile_rows(p.samples); ++i) {
        for (std::int64_t j = 0; j < columns; ++j) {
          const auto [expected, scale] = exact(c, p, q, i, j);
          ASSERT_NEAR(
              made.data[t][static_cast<std::size_t>(i * columns + j)], before + expected,
              64 * (TestFixture::roundoff + TestFixture::working_roundoff) * (scale + before))
              << c << ", panels " << tile.p << " and " << tile.q << ", entry " << i << ", " << j;
        }
      }
    }
  }
}

// Which on a GPU says that two runs have the same bits.
TYPED_TEST(Contraction, ThreadsDoNotShowInTheBits) {
  for (const auto& c : cases) {
    EXPECT_EQ(Contracted<TypeParam>(c, 3).data, Contracted<TypeParam>(c, 1).data) << c;
  }
}

// That the cases above are contracted in the way they are there for.
TEST(ContractionCases, CoverBothMethods) {
  for (const auto& c : cases) {
    if (c.kind == Kind::vector || c.kind == Kind::lookup) continue;
    const Contracted<test::Cpu<double>> made(c, 1);
    std::size_t structured = 0;
    for (const auto& tile : made.tiles) {
      const auto &p = made.panel(tile.p), &q = made.panel(tile.q);
      structured += choose(Settings().costs,
                           {c.inputs, c.outputs, p.rows, q.rows, p.samples, q.samples, c.copies,
                            c.class_diagonal, tile.symmetric}) == Method::structured;
    }
    EXPECT_EQ(structured > 0, c.kind != Kind::explicit_) << c;
    EXPECT_EQ(structured < made.tiles.size(), c.kind != Kind::structured) << c;
  }
}

}  // namespace
}  // namespace ntk::jacobian
