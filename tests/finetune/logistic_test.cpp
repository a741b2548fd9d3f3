#include "finetune/logistic.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "finetune/test_examples.hpp"

extern "C" void dgesv_(const int* n, const int* nrhs, double* a, const int* lda, int* pivots,
                       double* b, const int* ldb, int* info);

namespace ntk::finetune {
namespace {

std::vector<double> random_parameters(std::size_t count, std::uint64_t seed) {
  test::Draw draw(seed);
  std::vector<double> x(count);
  for (double& v : x) v = 0.7 * draw.normal();
  return x;
}

TEST(LogisticLoss, GradientIsThatOfFiniteDifferences) {
  LogisticLoss loss(test::with_classes(40, 6, 3, 7));
  auto x = random_parameters(loss.parameters(), 1);
  std::vector<double> gradient(x.size()), unused(x.size());
  const double value = loss.at(x, 0.3, gradient);
  EXPECT_GT(value, 0);
  for (std::size_t k = 0; k < x.size(); ++k) {
    constexpr double step = 1e-5;
    const double kept = x[k];
    x[k] = kept + step;
    const double up = loss.at(x, 0.3, unused);
    x[k] = kept - step;
    const double down = loss.at(x, 0.3, unused);
    x[k] = kept;
    EXPECT_NEAR((up - down) / (2 * step), gradient[k], 1e-9) << k;
  }
}

TEST(LogisticLoss, HessianIsTheGradientsDerivative) {
  LogisticLoss loss(test::with_classes(40, 6, 3, 8));
  const auto x = random_parameters(loss.parameters(), 2);
  const auto direction = random_parameters(loss.parameters(), 3);
  std::vector<double> up(x.size()), down(x.size()), product(x.size()), moved = x;
  constexpr double step = 1e-5;
  for (std::size_t k = 0; k < x.size(); ++k) moved[k] = x[k] + step * direction[k];
  loss.at(moved, 0.3, up);
  for (std::size_t k = 0; k < x.size(); ++k) moved[k] = x[k] - step * direction[k];
  loss.at(moved, 0.3, down);
  loss.at(x, 0.3, product);
  loss.hessian_times(direction, 0.3, product);
  for (std::size_t k = 0; k < x.size(); ++k) {
    EXPECT_NEAR((up[k] - down[k]) / (2 * step), product[k], 1e-8) << k;
  }
}

TEST(LogisticLoss, LargeScoresDoNotOverflow) {
  LogisticLoss loss(test::with_classes(40, 4, 2, 9));
  std::vector<double> x(loss.parameters(), 0.0), gradient(x.size());
  x[0] = 1e5;
  EXPECT_TRUE(std::isfinite(loss.at(x, 1e-6, gradient)));
  for (const double g : gradient) EXPECT_TRUE(std::isfinite(g));
}

// Newton's method with the whole Hessian, on the features as they are: iteratively reweighted least
// squares for (1/n) sum -log p + (penalty/2) |W|^2, the sum of the intercepts held at 0.
LinearMap by_newton(const Examples& e, double penalty) {
  const std::size_t d = e.width, classes = e.outputs(), block = d + 1, size = classes * block;
  const auto feature = [&](std::size_t i, std::size_t j) {
    return j < d ? e.features[i * d + j] : 1.0;
  };
  std::vector<double> x(size, 0.0);
  for (int iteration = 0; iteration < 100; ++iteration) {
    std::vector<double> gradient(size, 0.0), hessian(size * size, 0.0);
    for (std::size_t i = 0; i < e.rows; ++i) {
      std::vector<double> p(classes, 0.0);
      for (std::size_t c = 0; c < classes; ++c) {
        for (std::size_t j = 0; j < block; ++j) p[c] += x[c * block + j] * feature(i, j);
      }
      const double top = *std::max_element(p.begin(), p.end());
      for (double& v : p) v = std::exp(v - top);
      const double sum = std::accumulate(p.begin(), p.end(), 0.0);
      for (double& v : p) v /= sum;
      for (std::size_t c = 0; c < classes; ++c) {
        const double error = p[c] - (static_cast<std::size_t>(e.label[i]) == c ? 1 : 0);
        for (std::size_t j = 0; j < block; ++j) {
          gradient[c * block + j] += error * feature(i, j) / static_cast<double>(e.rows);
          for (std::size_t b = 0; b < classes; ++b) {
            const double weight = (b == c ? p[c] : 0) - p[b] * p[c];
            for (std::size_t k = 0; k < block; ++k) {
              hessian[(c * block + j) * size + b * block + k] +=
                  weight * feature(i, j) * feature(i, k) / static_cast<double>(e.rows);
            }
          }
        }
      }
    }
    for (std::size_t c = 0; c < classes; ++c) {
      for (std::size_t j = 0; j < d; ++j) {
        gradient[c * block + j] += penalty * x[c * block + j];
        hessian[(c * block + j) * size + c * block + j] += penalty;
      }
      for (std::size_t b = 0; b < classes; ++b) {
        gradient[c * block + d] += x[b * block + d];
        hessian[(c * block + d) * size + b * block + d] += 1;
      }
    }
    const int n = static_cast<int>(size), one = 1;
    std::vector<int> pivots(size);
    int info = 0;
    dgesv_(&n, &one, hessian.data(), &n, pivots.data(), gradient.data(), &n, &info);
    EXPECT_EQ(info, 0);
    double moved = 0;
    for (std::size_t k = 0; k < size; ++k) {
      const double step = std::clamp(gradient[k], -5.0, 5.0);
      x[k] -= step;
      moved = std::max(moved, std::abs(step));
    }
    if (moved < 1e-13) break;
  }
  LinearMap map;
  for (std::size_t c = 0; c < classes; ++c) {
    map.weight.insert(map.weight.end(), x.begin() + static_cast<std::ptrdiff_t>(c * block),
                      x.begin() + static_cast<std::ptrdiff_t>(c * block + d));
    map.bias.push_back(x[c * block + d]);
  }
  return map;
}

TEST(LogisticSolver, AgreesWithNewtonsMethodOnTheFeaturesThemselves) {
  for (const std::int64_t classes : {2, 4}) {
    const auto e = test::with_classes(60, 5, classes, 10);
    LogisticLoss loss(e);
    LogisticSolver solver;
    for (const double penalty : {1.0, 1e-2, 1e-4}) {
      const auto fit = solver.minimise(loss, penalty, std::vector<double>(loss.parameters(), 0.0));
      EXPECT_LT(fit.gradient_norm, 1e-9);
      const auto& unit = loss.features();
      const auto found = outputs_of(unit.on_features(loss.map_of(fit.x)), e.features, e.rows);
      const auto expected = outputs_of(by_newton(e, penalty * unit.scale), e.features, e.rows);
      // What the intercepts' common part changes is no prediction.
      const auto c = static_cast<std::size_t>(classes);
      for (std::size_t i = 0; i < e.rows; ++i) {
        for (std::size_t k = 1; k < c; ++k) {
          EXPECT_NEAR(found[i * c + k] - found[i * c], expected[i * c + k] - expected[i * c], 1e-5)
              << classes << " classes, penalty " << penalty;
        }
      }
    }
  }
}

TEST(LogisticSolver, SeparableClassesHaveAFiniteFitFromAnyStart) {
  auto e = test::with_classes(50, 4, 2, 11, 0);  // the label is a threshold of one feature
  LogisticLoss loss(e);
  LogisticSolver solver;
  const auto zero = std::vector<double>(loss.parameters(), 0.0);
  const auto fit = solver.minimise(loss, 1e-6, zero);
  for (const double v : fit.x) EXPECT_LT(std::abs(v), 1e4);
  const auto outputs = outputs_of(loss.features().on_features(loss.map_of(fit.x)), e.features, 50);
  for (std::size_t i = 0; i < 50; ++i) {
    EXPECT_EQ(outputs[2 * i + 1] > outputs[2 * i] ? 1 : 0, e.label[i]);
  }
  const auto other = solver.minimise(loss, 1e-6, random_parameters(loss.parameters(), 4));
  const auto weights = loss.parameters() - 2;
  for (std::size_t k = 0; k < weights; ++k) EXPECT_NEAR(other.x[k], fit.x[k], 2e-2);
}

TEST(LogisticSolver, SolversMayFollowEachOther) {
  const auto e = test::with_classes(40, 3, 3, 12);
  std::vector<std::vector<double>> found;
  for (int turn = 0; turn < 2; ++turn) {
    LogisticLoss loss(e);
    LogisticSolver solver;
    found.push_back(solver.minimise(loss, 0.01, std::vector<double>(loss.parameters(), 0.0)).x);
  }
  EXPECT_EQ(found[0], found[1]);  // to the bit
}

}  // namespace
}  // namespace ntk::finetune
