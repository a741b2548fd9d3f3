// Held-out risks: splits by group, predictions against explicit least squares.
#include "theory/held_out.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "base/error.hpp"
#include "theory/cross_validation.hpp"
#include "theory/effective_dimension.hpp"
#include "theory/learning_curve.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using test::Draw;

// The first `rows` rows of (n, p) features.
std::vector<double> block(const std::vector<double>& z, std::size_t p, std::size_t from,
                          std::size_t rows) {
  return {z.begin() + static_cast<std::ptrdiff_t>(from * p),
          z.begin() + static_cast<std::ptrdiff_t>((from + rows) * p)};
}

std::vector<double> cross(const std::vector<double>& a, std::size_t n, const std::vector<double>& b,
                          std::size_t m, std::size_t p) {
  std::vector<double> k(n * m, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < m; ++j) {
      k[i * m + j] = std::inner_product(a.begin() + static_cast<std::ptrdiff_t>(i * p),
                                        a.begin() + static_cast<std::ptrdiff_t>((i + 1) * p),
                                        b.begin() + static_cast<std::ptrdiff_t>(j * p), 0.0);
    }
  }
  return k;
}

std::vector<double> predict(const HeldOutModes& modes, std::span<const double> labels, double eta) {
  return predict_along(modes, labels, {&eta, 1});
}

TEST(Split, NeverDividesAGroup) {
  std::vector<std::int64_t> group;
  for (int i = 0; i < 300; ++i) group.push_back((i * 7919) % 37);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto s = draw_split(300, group, 150, 80, seed);
    ASSERT_EQ(s.train.size(), 150u);
    ASSERT_EQ(s.test.size(), 80u);
    std::set<std::int64_t> train, test;
    for (const auto r : s.train) train.insert(group[r]);
    for (const auto r : s.test) test.insert(group[r]);
    for (const auto g : test) EXPECT_FALSE(train.count(g));
    EXPECT_TRUE(std::is_sorted(s.train.begin(), s.train.end()));
    EXPECT_EQ(std::set<std::size_t>(s.train.begin(), s.train.end()).size(), 150u);
  }
}

TEST(Split, SmallerTrainingBlocksAreNested) {
  const auto large = draw_split(200, {}, 100, 60, 5), small = draw_split(200, {}, 25, 60, 5);
  EXPECT_EQ(large.test, small.test);
  EXPECT_TRUE(std::includes(large.train.begin(), large.train.end(), small.train.begin(),
                            small.train.end()));
  EXPECT_NE(draw_split(200, {}, 100, 60, 6).test, large.test);
}

TEST(Split, RefusesGroupsThatAreTooLarge) {
  const std::vector<std::int64_t> group(100, 3);
  EXPECT_THROW(draw_split(100, group, 50, 30, 1), Error);
}

TEST(HeldOut, InterpolationOfFewFeaturesIsLeastSquaresWithIntercept) {
  Draw draw(51);
  constexpr std::size_t n = 40, m = 15, p = 5;
  const auto z = draw.normals((n + m) * p);
  std::vector<double> beta = draw.normals(p), y;
  for (std::size_t i = 0; i < n; ++i) {
    double v = 3.5 + 0.3 * draw.normal();
    for (std::size_t k = 0; k < p; ++k) v += beta[k] * z[i * p + k];
    y.push_back(v);
  }
  const auto train = block(z, p, 0, n), test = block(z, p, n, m);
  const auto modes =
      held_out_modes(cross(train, n, train, n, p), cross(test, m, train, n, p), n, m);
  EXPECT_EQ(modes.modes, p);
  const auto f = predict(modes, y, never_stop);

  // Normal equations of [1 z] by the eigenvectors of their small matrix.
  constexpr std::size_t q = p + 1;
  const auto feature = [&](const std::vector<double>& rows, std::size_t i, std::size_t k) {
    return k == 0 ? 1.0 : rows[i * p + k - 1];
  };
  std::vector<double> normal(q * q, 0.0), right(q, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t a = 0; a < q; ++a) {
      right[a] += feature(train, i, a) * y[i];
      for (std::size_t b = 0; b < q; ++b) {
        normal[a * q + b] += feature(train, i, a) * feature(train, i, b);
      }
    }
  }
  const auto e = eigen_symmetric(normal, q);
  const auto u = project(e, right);
  for (std::size_t i = 0; i < m; ++i) {
    double expected = 0;
    for (std::size_t k = 0; k < q; ++k) {
      double row = 0;
      for (std::size_t a = 0; a < q; ++a) row += e.vectors[k * q + a] * feature(test, i, a);
      expected += row * u[k] / e.values[k];
    }
    EXPECT_NEAR(f[i], expected, 1e-10);
  }
}

TEST(HeldOut, PathStartsAtTheMeanAndIgnoresAConstantInTheKernel) {
  Draw draw(52);
  constexpr std::size_t n = 30, m = 10;
  const auto x = draw.uniforms(n), t = draw.uniforms(m), y = draw.normals(n);
  const auto make = [&](double shift, double scale) {
    std::vector<double> train, test;
    for (const double a : x) {
      for (const double b : x) train.push_back(scale * (std::min(a, b) + shift));
    }
    for (const double a : t) {
      for (const double b : x) test.push_back(scale * (std::min(a, b) + shift));
    }
    return held_out_modes(train, test, n, m);
  };
  const auto plain = make(0, 1);
  for (const double v : predict(plain, y, 0)) EXPECT_NEAR(v, mean(y), 1e-14);
  const auto shifted = predict(make(5, 1), y, 40), scaled = predict(make(0, 1000), y, 0.04);
  const auto f = predict(plain, y, 40);
  for (std::size_t i = 0; i < m; ++i) {
    EXPECT_NEAR(shifted[i], f[i], 1e-9);
    EXPECT_NEAR(scaled[i], f[i], 1e-9);
  }
}

TEST(HeldOut, RiskTakesTheReferencesNoiseOff) {
  const std::vector<double> f{1, 2, 3}, reference{2, 2, 5}, variance{0.5, 0.25, 0.75};
  EXPECT_NEAR(measured_risk(f, reference, variance), (1 + 0 + 4 - 1.5) / 3, 1e-15);
}

TEST(LearningCurve, PlugInPredictsTheBestRidgeOfDesignedFeatures) {
  // Gaussian features l_k = k^-1.5, target b_k^2 = k^-2.2 a feature: the risk of every ridge is
  // known, so the curve from one kernel of 512 rows is held against the best ridge measured on
  // fresh blocks.
  Draw draw(54);
  constexpr std::size_t n0 = 512, p = 1500;
  constexpr double alpha = 1.5, noise = 0.01;
  std::vector<double> target;
  for (std::size_t k = 1; k <= p; ++k) {
    target.push_back(std::pow(static_cast<double>(k), -1.1) * (draw.uniform() < 0.5 ? -1 : 1));
  }
  // f(x) = sum target_k z_k with z_k of unit variance, i.e. weights target_k / sqrt(l_k).
  const auto labels_of = [&](const std::vector<double>& z, std::size_t n) {
    std::vector<double> y(n, 0.0);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < p; ++k) {
        y[i] += target[k] * z[i * p + k] * std::pow(static_cast<double>(k + 1), alpha / 2);
      }
      y[i] += std::sqrt(noise) * draw.normal();
    }
    return y;
  };
  const auto z = test::power_features(n0, p, alpha, draw);
  const auto y = centred(labels_of(z, n0));
  const auto modes = held_out_modes(test::gram(z, n0, p), {}, n0, 0);
  const auto values = std::span(modes.eigen.values).first(modes.modes);
  const std::vector<double> v(n0, noise);
  const auto labels =
      label_modes(project(modes.eigen, y), std::inner_product(y.begin(), y.end(), y.begin(), 0.0),
                  project_variances(modes.eigen, v), noise, n0, 1, modes.modes);
  const std::vector<double> sizes{64, 128, 256};
  const auto curve = plug_in_curve(values, ridge_curve(values, n0), labels, noise, sizes);

  for (std::size_t s = 0; s < sizes.size(); ++s) {
    const auto n = static_cast<std::size_t>(sizes[s]);
    double measured = 0;
    const auto draws = static_cast<int>(1536 / n);  // smaller blocks scatter more
    for (int d = 0; d < draws; ++d) {
      const auto train = test::power_features(n, p, alpha, draw);
      const auto t = labels_of(train, n);
      const double middle = mean(t);
      const auto block = held_out_modes(test::gram(train, n, p), {}, n, 0);
      const auto u = project(block.eigen, centred(t));
      std::vector<double> mean_row(p, 0.0);
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t k = 0; k < p; ++k) mean_row[k] += train[i * p + k] / sizes[s];
      }
      double best = std::numeric_limits<double>::infinity();
      for (int g = 0; g < 50; ++g) {
        const double nu = 3 * std::pow(10.0, -0.1 * g);
        // Dual weights, then the learned function in feature space.
        std::vector<double> dual(n, 0.0), w(p, 0.0);
        for (std::size_t k = 0; k < block.modes; ++k) {
          const double c = u[k] / (block.eigen.values[k] + nu) / sizes[s];
          for (std::size_t i = 0; i < n; ++i) dual[i] += c * block.eigen.vectors[k * n + i];
        }
        for (std::size_t i = 0; i < n; ++i) {
          for (std::size_t k = 0; k < p; ++k) w[k] += dual[i] * train[i * p + k];
        }
        double intercept = middle, risk = 0;
        for (std::size_t k = 0; k < p; ++k) {
          intercept -= w[k] * mean_row[k];
          const double scale = std::pow(static_cast<double>(k + 1), -alpha / 2);
          risk += std::pow(w[k] * scale - target[k], 2);
        }
        best = std::min(best, risk + intercept * intercept);
      }
      measured += best / draws;
    }
    ASSERT_TRUE(curve[s].usable()) << n;
    EXPECT_NEAR(curve[s].risk, measured, 0.08 * measured + 2 * curve[s].standard_error) << n;
    EXPECT_LT(curve[s].standard_error, 0.15 * measured);
    EXPECT_GT(curve[s].noise_share, 0);
    EXPECT_LT(curve[s].noise_share, 1);
  }
  EXPECT_LT(learning_slope(curve), -0.2);
}

TEST(LearningCurve, SaysWhenTheNoiseHidesTheRisk) {
  // No signal at all: what is left after the noise's expectation is the noise's chance.
  Draw draw(55);
  constexpr std::size_t n = 256;
  const auto l = test::min_grid_spectrum(n);
  const auto curve = ridge_curve(l, n);
  const std::vector<double> v(n, 1.0), sizes{32, 128};
  int usable = 0;
  for (int d = 0; d < 40; ++d) {
    const auto labels = label_modes(draw.normals(n), n, v, 1, n, 0, n);
    for (const auto& point : plug_in_curve(l, curve, labels, 1, sizes)) usable += point.usable();
  }
  EXPECT_LE(usable, 8);  // of 80, at two standard errors on one side
}

}  // namespace
}  // namespace ntk::theory
