// A made-up kernel file, and a spectrum file checked against it entry by entry with plain loops.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "grids.hpp"
#include "store/hdf5.hpp"
#include "store/kernel_file.hpp"

namespace ntk::spectrum::testing {

namespace h5 = store::h5;

// A made-up kernel of two positive definite groups.
struct Example {
  std::int64_t samples = 40, classes = 1, evaluate = 7, sets = 2;
  bool mirror = true;
  double poison = 0;  // added to one entry of the body
  double delta = 1e-3;

  std::int64_t n() const { return samples * classes; }
  double head(std::int64_t r, std::int64_t s) const {
    return std::exp(-std::abs(number(r - s)) / 9);
  }
  double body(std::int64_t r, std::int64_t s) const {
    return 0.3 * std::cos(0.4 * number(r - s)) + 1 + (r == 3 && s == 3 ? poison : 0);
  }
  double evaluation(std::int64_t r, std::int64_t s) const {
    return std::sin(0.7 * number(r)) * std::cos(0.2 * number(s)) + 0.01 * number(s);
  }
  double target(std::int64_t i, std::int64_t set) const { return std::cos(number(3 * i + set)); }
  double noise(std::int64_t i, std::int64_t set) const {
    return 1 + 0.1 * number(i % 3) + number(set);
  }
  double output(std::int64_t r) const { return std::sin(number(r)); }

  // Written by the first rank.
  void write(const std::string& directory) const {
    store::KernelSpec spec;
    spec.identity = {{"kernel.precision", "fp64"}, {"kernel.storage", "fp64"}, {"run.seed", 1}};
    spec.provenance = {{"program", "test"}};
    spec.rows_per_sample = classes;
    spec.output_columns = classes;
    spec.groups = {"head", "body"};
    spec.error_samples = 1;
    store::KernelSet train;
    for (std::int64_t s = 13; s < samples; s += 13) train.grid.row_starts.push_back(s * classes);
    train.grid.row_starts.push_back(n());
    train.grid.column_starts = train.grid.row_starts;
    for (std::int64_t i = 0; i < samples; ++i) {
      train.samples.source_row.push_back(i);
      train.samples.tokens.push_back(3);
      if (classes > 1) {
        train.samples.label.push_back(static_cast<std::int32_t>(i % classes));
        continue;
      }
      for (std::int64_t set = 0; set < sets; ++set) train.samples.target.push_back(target(i, set));
      train.samples.reference.push_back(target(i, 0) / 2);
      train.samples.reference_variance.push_back(0.1);
      for (std::int64_t set = 0; set < sets; ++set) {
        train.samples.noise_variance.push_back(noise(i, set));
      }
    }
    train.samples.label_sets = classes > 1 ? 0 : sets;
    train.samples.noise_sets = classes > 1 ? 1 : sets;
    if (classes > 1) {
      for (std::int64_t c = 0; c < classes; ++c) {
        train.samples.classes.push_back(fmt::format("class {}", c));
      }
    }
    store::KernelSet other;
    other.name = "tweets";
    other.grid.symmetric = false;
    other.grid.row_starts = {0, evaluate * classes};
    other.grid.column_starts = train.grid.row_starts;
    other.samples = train.samples;
    const auto rows = static_cast<std::size_t>(evaluate);
    const auto cut = [&](auto& values, std::size_t count) {
      if (!values.empty()) values.resize(count);
    };
    cut(other.samples.source_row, rows);
    cut(other.samples.tokens, rows);
    cut(other.samples.label, rows);
    cut(other.samples.target, rows * static_cast<std::size_t>(sets));
    cut(other.samples.reference, rows);
    cut(other.samples.reference_variance, rows);
    cut(other.samples.noise_variance, rows * static_cast<std::size_t>(sets));
    spec.sets = {train, other};

    store::KernelWriter writer(MPI_COMM_SELF, directory, spec);
    for (int set = 0; set < 2; ++set) {
      const store::TileGrid& grid = spec.sets[static_cast<std::size_t>(set)].grid;
      for (std::int64_t tile = 0; tile < grid.tile_count(); ++tile) {
        const auto [p, q] = grid.panels_of(tile);
        const auto start = [](const std::vector<std::int64_t>& starts, std::int64_t panel) {
          return starts[static_cast<std::size_t>(panel)];
        };
        store::TileData data;
        data.groups.resize(2);
        for (std::int64_t r = start(grid.row_starts, p); r < start(grid.row_starts, p + 1); ++r) {
          for (std::int64_t s = start(grid.column_starts, q); s < start(grid.column_starts, q + 1);
               ++s) {
            data.groups[0].push_back(set == 0 ? head(r, s) : evaluation(r, s));
            data.groups[1].push_back(set == 0 ? body(r, s) : 2 * evaluation(r, s));
            data.total.push_back(data.groups[0].back() + data.groups[1].back());
          }
        }
        const store::Unit unit{set, tile, 0};
        if (store::carries_outputs(grid, unit)) {
          for (std::int64_t r = start(grid.row_starts, p); r < start(grid.row_starts, p + 1); ++r) {
            data.outputs.push_back(output(r));
          }
        }
        writer.write(unit, data);
      }
    }
    writer.finish(mirror, {{0}, delta, 1, delta}, {{"finished", "now"}});
  }
};

using Matrix = std::vector<double>;  // row-major

// Everything in /NAME/KIND of the file against K (n x n) and K_eval (n' x n), already centred.
inline void check_group(const std::string& file, const std::string& place, const Example& e,
                        const Matrix& k, const Matrix& k_eval, std::int64_t modes,
                        std::int64_t kept) {
  SCOPED_TRACE(place);
  const std::int64_t n = e.n();
  const h5::Handle h = h5::open_file(file);
  const auto values = h5::read<double>(h, place + "/eigenvalues");
  ASSERT_EQ(values.size(), static_cast<std::size_t>(modes));
  const auto u = h5::read<double>(h, place + "/eigenvectors", h5::Dims{n, kept});
  const auto at = [](const Matrix& m, std::int64_t columns, std::int64_t i, std::int64_t j) {
    return m[static_cast<std::size_t>(i * columns + j)];
  };
  double trace = 0;
  for (std::int64_t r = 0; r < n; ++r) trace += at(k, n, r, r) / number(n);
  for (std::int64_t m = 0; m < kept; ++m) {
    if (m > 0) {
      EXPECT_LE(values[static_cast<std::size_t>(m)], values[static_cast<std::size_t>(m - 1)]);
    }
    for (std::int64_t r = 0; r < n; ++r) {
      double sum = 0;
      for (std::int64_t s = 0; s < n; ++s) sum += at(k, n, r, s) * at(u, kept, s, m);
      ASSERT_NEAR(sum / number(n), values[static_cast<std::size_t>(m)] * at(u, kept, r, m),
                  1e-13 * trace);
    }
    for (std::int64_t other = 0; other <= m; ++other) {
      double dot = 0;
      for (std::int64_t r = 0; r < n; ++r) dot += at(u, kept, r, m) * at(u, kept, r, other);
      ASSERT_NEAR(dot, m == other ? 1 : 0, 1e-13);
    }
  }
  const auto projected = [&](const std::string& field, std::int64_t columns, auto&& value,
                             bool table, int power = 1) {
    const auto stored = h5::read<double>(h, place + "/projections/" + field,
                                         table ? h5::Dims{modes, columns} : h5::Dims{modes});
    for (std::int64_t m = 0; m < kept; ++m) {
      for (std::int64_t c = 0; c < columns; ++c) {
        double sum = 0;
        for (std::int64_t r = 0; r < n; ++r)
          sum += std::pow(at(u, kept, r, m), power) * value(r, c);
        ASSERT_NEAR(at(stored, columns, m, c), sum, 1e-12) << field;
      }
    }
  };
  projected(
      "outputs", 1, [&](std::int64_t r, std::int64_t) { return e.output(r); }, false);
  if (e.classes > 1) {
    projected(
        "label", 1,
        [&](std::int64_t r, std::int64_t) {
          return r / e.classes % e.classes == r % e.classes ? 1.0 : 0.0;
        },
        false);
  } else {
    projected(
        "target", e.sets, [&](std::int64_t r, std::int64_t c) { return e.target(r, c); }, true);
    projected(
        "reference", 1, [&](std::int64_t r, std::int64_t) { return e.target(r, 0) / 2; }, false);
    projected(
        "noise_variance", e.sets, [&](std::int64_t r, std::int64_t c) { return e.noise(r, c); },
        e.sets > 1, 2);
  }
  // Sums over all modes, where not all are there.
  EXPECT_EQ(h5::exists(h, place + "/diagonal"), modes < n);
  if (modes < n) {
    const auto diagonal = h5::read<double>(h, place + "/diagonal", h5::Dims{n});
    const auto squares = h5::read<double>(h, place + "/row_squares", h5::Dims{n});
    const std::string field = e.classes > 1 ? "label" : "target";
    const std::int64_t columns = e.classes > 1 ? 1 : e.sets;
    const auto products = h5::read<double>(h, place + "/products/" + field,
                                           e.classes > 1 ? h5::Dims{n} : h5::Dims{n, columns});
    EXPECT_FALSE(h5::exists(h, place + "/products/noise_variance"));
    EXPECT_TRUE(h5::exists(h, place + "/products/outputs"));
    for (std::int64_t r = 0; r < n; ++r) {
      double square = 0;
      for (std::int64_t s = 0; s < n; ++s) square += std::pow(at(k, n, r, s) / number(n), 2);
      ASSERT_NEAR(diagonal[static_cast<std::size_t>(r)], at(k, n, r, r) / number(n), 1e-13 * trace);
      ASSERT_NEAR(squares[static_cast<std::size_t>(r)], square, 1e-13 * trace * trace);
      for (std::int64_t c = 0; c < columns && e.classes == 1; ++c) {
        double sum = 0;
        for (std::int64_t s = 0; s < n; ++s) sum += at(k, n, r, s) * e.target(s, c) / number(n);
        ASSERT_NEAR(at(products, columns, r, c), sum, 1e-12 * trace);
      }
    }
  }
  const std::int64_t height = e.evaluate * e.classes;
  const auto evaluated = h5::read<double>(h, place + "/evaluate/tweets", h5::Dims{height, modes});
  for (std::int64_t r = 0; r < height; ++r) {
    for (std::int64_t m = 0; m < kept; ++m) {
      double sum = 0;
      for (std::int64_t s = 0; s < n; ++s) sum += at(k_eval, n, r, s) * at(u, kept, s, m);
      ASSERT_NEAR(at(evaluated, modes, r, m), sum, 1e-11);
    }
  }
  const h5::Handle group = h5::open_object(h, place);
  EXPECT_NEAR(h5::read_attribute(group, "trace").get<double>(), trace, 1e-12);
  EXPECT_EQ(h5::read_attribute(group, "n"), n);
  EXPECT_LE(h5::read_attribute(group, "residual").get<double>(), 30);
  EXPECT_LE(h5::read_attribute(group, "orthogonality").get<double>(), 30);
}

// Dense centring from its definition: each output's columns and rows lose their means over samples.
inline void centre_densely(Matrix& k, Matrix& k_eval, std::int64_t n, std::int64_t height,
                           std::int64_t c) {
  const double share = number(c) / number(n);
  Matrix columns(static_cast<std::size_t>(n * c), 0.0);  // mean over training rows of output o
  for (std::int64_t r = 0; r < n; ++r) {
    for (std::int64_t s = 0; s < n; ++s) {
      columns[static_cast<std::size_t>(s * c + r % c)] +=
          k[static_cast<std::size_t>(r * n + s)] * share;
    }
  }
  const auto work = [&](Matrix& m, std::int64_t rows) {
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t s = 0; s < n; ++s) {
        m[static_cast<std::size_t>(r * n + s)] -= columns[static_cast<std::size_t>(s * c + r % c)];
      }
      for (std::int64_t o = 0; o < c; ++o) {
        double mean = 0;
        for (std::int64_t s = o; s < n; s += c)
          mean += m[static_cast<std::size_t>(r * n + s)] * share;
        for (std::int64_t s = o; s < n; s += c) m[static_cast<std::size_t>(r * n + s)] -= mean;
      }
    }
  };
  work(k_eval, height);
  work(k, n);
}

inline Matrix dense(std::int64_t rows, std::int64_t columns, auto&& value) {
  Matrix m;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t s = 0; s < columns; ++s) m.push_back(value(r, s));
  }
  return m;
}

inline void check_file(const std::string& file, const Example& e, const std::string& name,
                       double head, double body, std::int64_t modes, std::int64_t kept) {
  const std::int64_t n = e.n(), height = e.evaluate * e.classes;
  Matrix k = dense(n, n, [&](auto r, auto s) { return head * e.head(r, s) + body * e.body(r, s); });
  Matrix k_eval =
      dense(height, n, [&](auto r, auto s) { return (head + 2 * body) * e.evaluation(r, s); });
  check_group(file, "/" + name + "/raw", e, k, k_eval, modes, kept);
  centre_densely(k, k_eval, n, height, e.classes);
  check_group(file, "/" + name + "/centred", e, k, k_eval, modes, kept);
}

}  // namespace ntk::spectrum::testing
