// Leading pairs and moments of the rest: bounds that always hold the truth, estimates close to it.
#include "theory/partial_spectrum.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "theory/learning_curve.hpp"
#include "theory/spectrum_bounds.hpp"
#include "theory/stopping.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using test::Draw;

constexpr std::size_t modes = 511;
constexpr double spectrum_rows = 512;

// Spectra of 512 centred rows.
std::map<std::string, std::vector<double>> make_spectra() {
  std::map<std::string, std::vector<double>> all;
  const auto fill = [&](const std::string& name, auto law) {
    for (std::size_t k = 1; k <= modes; ++k) all[name].push_back(law(static_cast<double>(k)));
  };
  fill("power 1.1", [](double k) { return std::pow(k, -1.1); });
  fill("power 2", [](double k) { return std::pow(k, -2.0); });
  fill("spikes", [](double k) { return k <= 3 ? 100 / k : std::pow(k, -1.3); });
  fill("exponential", [](double k) { return std::exp(-k / 40); });
  fill("knee", [](double k) { return k < 120 ? std::pow(k, -0.6) : 6.8 * std::pow(k, -1.0); });
  fill("rank 200", [](double k) { return k <= 200 ? 1 / k : 0.0; });
  fill("steps", [](double k) { return k <= 90 ? 1 / k : k <= 300 ? 0.01 : 1e-5; });
  Draw draw(5);
  auto kernel = test::gram(test::power_features(512, 1500, 1.5, draw), 512, 1500,
                           test::power_tail(1500, 1.5));
  centre_kernel(kernel, 512);
  all["features 1.5"] = test::scaled_eigen(std::move(kernel), 512).values;
  all["features 1.5"].pop_back();
  return all;
}

const std::map<std::string, std::vector<double>>& spectra() {
  static const auto all = make_spectra();
  return all;
}

TailMoments tail_of(const std::vector<double>& values, const std::vector<double>& weights,
                    std::size_t k) {
  double mass = 0, first = 0, second = 0;
  for (std::size_t i = k; i < values.size(); ++i) {
    mass += weights[i];
    first += weights[i] * values[i];
    second += weights[i] * values[i] * values[i];
  }
  return TailMoments::of(values[k - 1], mass, first, second);
}

std::vector<double> geometric(double first, double last, std::size_t points) {
  std::vector<double> grid;
  for (std::size_t p = 0; p < points; ++p) {
    grid.push_back(
        first * std::pow(last / first, static_cast<double>(p) / static_cast<double>(points - 1)));
  }
  return grid;
}

void expect_holds(Interval bounds, double truth, const std::string& what) {
  const double slack = 1e-9 * (std::abs(truth) + std::abs(bounds.high)) + 1e-13;
  EXPECT_GE(truth, bounds.low - slack) << what;
  EXPECT_LE(truth, bounds.high + slack) << what;
}

// (l, weight) pairs at which the bounds are attained.
TEST(TailBounds, AreSharp) {
  const auto g = [](double l) { return std::exp(-3 * l); };
  const auto sum = [&](std::vector<std::pair<double, double>> atoms) {
    double m = 0, first = 0, second = 0, value = 0;
    for (const auto& [l, w] : atoms) {
      m += w;
      first += w * l;
      second += w * l * l;
      value += w * g(l);
    }
    return std::pair(tail_bounds(TailMoments::of(2, m, first, second), 0, g), value);
  };
  const auto [high, at_zero] = sum({{0, 4}, {0.7, 5}});
  EXPECT_NEAR(high.high, at_zero, 1e-12);
  EXPECT_LT(high.low, at_zero);
  const auto [low, at_top] = sum({{2, 1.5}, {0.3, 5}});
  EXPECT_NEAR(low.low, at_top, 1e-12);
  EXPECT_GT(low.high, at_top);
  const auto [point, same] = sum({{0.4, 3}});
  EXPECT_NEAR(point.low, same, 1e-12);
  EXPECT_NEAR(point.high, same, 1e-12);
}

TEST(TailBounds, OfNothingAndOfImpossibleMoments) {
  const auto g = [](double l) { return 1 / (1 + l); };
  EXPECT_EQ(tail_bounds(TailMoments(), 0, g).high, 0);
  EXPECT_EQ(tail_bounds(TailMoments::of(1, 5, -1e-17, 1e-30), 0, g).low, 5);
  // Squares below those of equal weights: all are equal.
  const auto equal = tail_bounds(TailMoments::of(1, 4, 2, 0.9), 0, g);
  EXPECT_NEAR(equal.low, 4 / 1.5, 1e-12);
  EXPECT_NEAR(equal.high, 4 / 1.5, 1e-12);
  // A second moment known only within limits widens the bounds.
  const auto narrow = tail_bounds(TailMoments::of(1, 4, 2, 1.3), 0, g);
  const auto wide = tail_bounds(TailMoments::of(1, 4, 2, 1.3, 0.2), 0, g);
  EXPECT_LT(wide.low, narrow.low);
  EXPECT_GT(wide.high, narrow.high);
}

TEST(CompleteTail, HasItsMomentsAndFallsFromTheTop) {
  for (const auto& [name, l] : spectra()) {
    for (const std::size_t k : {30, 100, 180}) {
      const auto tail = tail_of(l, std::vector<double>(modes, 1), k);
      const auto values = complete_tail(tail, modes - k);
      double first = 0, second = 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        first += values[i];
        second += values[i] * values[i];
        EXPECT_LE(values[i], i == 0 ? l[k - 1] : values[i - 1] * (1 + 1e-12)) << name;
      }
      // Of a step's few ranks the last one is all or nothing.
      const bool step = name == "rank 200" || name == "steps";
      EXPECT_NEAR(first / tail.first, 1, step ? 0.002 : 1e-9) << name << k;
      EXPECT_NEAR(second / tail.second.high, 1, step ? 0.02 : 1e-5) << name << k;
    }
  }
}

// docs/theory.md states these accuracies.
TEST(CompleteTail, GivesTheEffectiveDimension) {
  const std::map<std::string, double> accuracy{
      {"power 1.1", 0.005}, {"power 2", 0.03},      {"spikes", 0.005},  {"exponential", 0.03},
      {"knee", 0.01},       {"features 1.5", 0.01}, {"rank 200", 0.06}, {"steps", 0.1}};
  for (const auto& [name, l] : spectra()) {
    for (const std::size_t k : {50, 100}) {
      const auto tail = tail_of(l, std::vector<double>(modes, 1), k);
      std::vector<double> completed(l.begin(), l.begin() + static_cast<std::ptrdiff_t>(k));
      const SpectrumBounds bounds(completed, tail, spectrum_rows);
      const auto rest = complete_tail(tail, modes - k);
      completed.insert(completed.end(), rest.begin(), rest.end());
      const std::vector<double> positive(
          completed.begin(),
          completed.begin() + static_cast<std::ptrdiff_t>(positive_modes(completed, 1e-12)));
      const auto whole = ridge_curve(positive, spectrum_rows);
      const auto known = known_part(whole, bounds);
      ASSERT_GT(known.df.back(), static_cast<double>(k)) << name;
      for (std::size_t p = 0; p < known.df.size(); ++p) {
        double df = 0;
        for (const double v : l) df += v / (v + known.lambda[p]);
        EXPECT_NEAR(known.df[p] / df, 1, accuracy.at(name)) << name << k << " df " << df;
      }
    }
  }
}

TEST(SpectrumBounds, HoldTheTruth) {
  for (const auto& [name, l] : spectra()) {
    const auto positive = positive_modes(l);
    const auto whole = ridge_curve(std::span(l).first(positive), spectrum_rows);
    for (const std::size_t k : {20, 100, 200}) {
      const std::vector<double> leading(l.begin(), l.begin() + static_cast<std::ptrdiff_t>(k));
      const SpectrumBounds bounds(leading, tail_of(l, std::vector<double>(modes, 1), k),
                                  spectrum_rows);
      for (std::size_t p = 0; p < whole.df.size(); p += 7) {
        const std::string what = name + " " + std::to_string(k);
        const double lambda = whole.lambda[p], df = whole.df[p];
        expect_holds(bounds.ridge_df(lambda), df, what + " df");
        expect_holds(bounds.ridge_n2(lambda), whole.n2[p], what + " N2");
        const double eta = 1 / lambda;
        expect_holds(bounds.flow_df(eta), degrees_of_freedom(flow_residual(l, eta)),
                     what + " flow");
        double capped = 0;
        for (const double v : l) capped += std::min(v, lambda);
        expect_holds(bounds.capped_sum(lambda), capped, what + " capped");
      }
    }
  }
}

// Labels with a smooth signal, one of a single tail mode, and noise that differs from mode to mode.
TEST(LabelBounds, HoldTheTruth) {
  for (const auto& [name, l] : spectra()) {
    if (name == "rank 200") continue;  // modes below
    Draw draw(11);
    LabelModes labels;
    labels.n = spectrum_rows;
    labels.null_modes = 1;
    for (std::size_t k = 0; k < modes; ++k) {
      const double truth = std::sqrt(l[k] / l[0]) + (k == 300 ? 2 : 0);
      labels.noise.push_back(0.02 * (1 + draw.uniform()) / spectrum_rows);
      labels.power.push_back(
          std::pow(truth + std::sqrt(labels.noise[k] * spectrum_rows) * draw.normal(), 2) /
          spectrum_rows);
    }
    const double sigma2 = labels.total_noise();
    const auto curve = ridge_curve(l, spectrum_rows);
    for (const std::size_t k : {40, 150}) {
      const std::vector<double> leading(l.begin(), l.begin() + static_cast<std::ptrdiff_t>(k));
      const SpectrumBounds spectrum(leading, tail_of(l, std::vector<double>(modes, 1), k),
                                    spectrum_rows);
      const LabelBounds bounds(spectrum, labels, tail_of(l, labels.power, k),
                               tail_of(l, labels.noise, k));
      auto signal = labels.power;
      for (std::size_t i = 0; i < modes; ++i) signal[i] -= labels.noise[i];
      for (const double eta : geometric(0.01 / l[0], 100 / l[modes / 2], 60)) {
        const std::string what = name + " " + std::to_string(k) + " eta " + std::to_string(eta);
        const auto residual = flow_residual(l, eta);
        const auto risk = in_sample_risk(residual, signal, labels.noise);
        expect_holds(bounds.training_error(eta), training_error(residual, labels), what);
        expect_holds(bounds.gcv(eta), gcv_score(residual, labels), what + " gcv");
        expect_holds(bounds.sure(eta), sure_score(residual, labels), what + " sure");
        expect_holds(bounds.effective_noise(eta), effective_noise(l, labels, eta), what);
        expect_holds(bounds.norm2(eta), rkhs_norm2(l, labels, eta), what + " norm");
        expect_holds(bounds.bias(eta), risk.bias, what + " bias");
        expect_holds(bounds.variance(eta), risk.variance, what + " variance");
      }
      const std::vector<double> sizes{60, 200, 512};
      for (const auto& point : plug_in_curve(l, curve, labels, sigma2, sizes)) {
        const double lambda = point.kappa * (1 - point.df / spectrum_rows);
        expect_holds(bounds.plug_in_risk(lambda, point.n, sigma2), point.risk, name + " plug-in");
      }
    }
  }
}

TEST(SpreadOver, KeepsThreeMoments) {
  const auto l = spectra().at("power 1.1");
  const auto values = std::span(l).subspan(100);
  std::vector<double> weights(modes, 0.0);
  for (std::size_t k = 100; k < modes; ++k) weights[k] = 0.3 + l[k] / l[100];
  const auto spread = spread_over(tail_of(l, weights, 100), values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(spread[i], weights[100 + i], 1e-8);  // linear densities come back
  }
  // Two values carry two moments.
  const std::vector<double> two{0.5, 0.25};
  const auto few = spread_over(TailMoments::of(1, 3, 1, 0.4), two);
  EXPECT_NEAR(few[0] + few[1], 3, 0.5);
}

}  // namespace
}  // namespace ntk::theory
