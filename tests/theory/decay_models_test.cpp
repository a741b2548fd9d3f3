#include "theory/decay_models.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>

namespace ntk::theory {
namespace {

using std::numbers::pi;

// A curve as an infinite sample of the population would have it.
RidgeCurve curve_of(const DecayModel& model, double n) {
  RidgeCurve curve;
  curve.n = n;
  const double first = std::log(100 * model_eigenvalue(model, 1));
  for (int p = 0; p < 600; ++p) {
    const double kappa = std::exp(first - 0.04 * p), df = model_dimension(model, kappa);
    if (df >= n) break;
    curve.kappa.push_back(kappa);
    curve.df.push_back(df);
  }
  return curve;
}

// sum over k of 1 / (1 + c^2 k^2) = pi/(2c) coth(pi/c) - 1/2.
TEST(DecayModels, DimensionOfInverseSquares) {
  const DecayModel model{DecayLaw::power, {3.0, 2.0}};
  for (const double kappa : {10.0, 1.0, 1e-2, 1e-4}) {
    const double c = std::sqrt(kappa / 3.0);
    const double exact = pi / (2 * c) / std::tanh(pi / c) - 0.5;
    EXPECT_NEAR(model_dimension(model, kappa) / exact, 1, 2e-5) << kappa;
  }
}

TEST(DecayModels, DimensionsByPlainSums) {
  const std::vector<DecayModel> models{
      {DecayLaw::shifted, {5.0, 3.0, 4.0}},       {DecayLaw::broken, {2.0, 0.7, 3.0, 70.0}},
      {DecayLaw::broken, {2.0, 3.0, 2.5, 7.0}},   {DecayLaw::stretched, {1.0, 0.9, 0.4}},
      {DecayLaw::cut_off, {1.0, 0.5, 40.0}},      {DecayLaw::exponential, {0.7, 0.05}},
      {DecayLaw::finite_rank, {2.0, 0.3, 200.0}}, {DecayLaw::finite_rank, {2.0, 0.0, 12.0}}};
  for (const auto& model : models) {
    const double scale = model_eigenvalue(model, 10);
    for (const double kappa : {10 * scale, scale, 0.01 * scale}) {
      double sum = 0, rest = 0;
      for (int k = 1; k <= 300000; ++k) {
        const double l = model_eigenvalue(model, k);
        sum += l / (l + kappa);
        if (k > 25) rest += l;
      }
      EXPECT_NEAR(model_dimension(model, kappa) / sum, 1, 2e-4) << law_name(model.law);
      EXPECT_NEAR(model_tail(model, 25), rest, 2e-3 * rest + 1e-12) << law_name(model.law);
    }
  }
}

TEST(DecayModels, FitsGiveBackTheLaw) {
  const std::vector<DecayModel> models{
      {DecayLaw::power, {3.0, 1.4}},           {DecayLaw::shifted, {900.0, 1.7, 20.0}},
      {DecayLaw::broken, {2.0, 0.6, 1.5, 90}}, {DecayLaw::stretched, {1.0, 0.8, 0.25}},
      {DecayLaw::cut_off, {1.0, 0.8, 300.0}},  {DecayLaw::exponential, {0.7, 0.02}}};
  for (const auto& model : models) {
    const auto fit = fit_law(curve_of(model, 1000), model.law, 5, 500);
    ASSERT_TRUE(fit) << law_name(model.law);
    EXPECT_LT(fit->rms, 1e-6) << law_name(model.law);
    for (std::size_t i = 0; i < model.parameters.size(); ++i) {
      EXPECT_NEAR(fit->parameters[i] / model.parameters[i], 1, 1e-4)
          << law_name(model.law) << " " << law_parameters(model.law)[i];
    }
    // No other law does, but those that hold this one.
    const auto holds = [&](DecayLaw other) {
      if (model.law == DecayLaw::power) return other == DecayLaw::broken;
      return model.law == DecayLaw::exponential &&
             (other == DecayLaw::cut_off || other == DecayLaw::stretched);
    };
    for (const auto& other : fit_laws(curve_of(model, 1000))) {
      if (other.law == model.law || holds(other.law)) continue;
      EXPECT_GT(other.rms, 1e-6) << law_name(other.law) << " of " << law_name(model.law);
    }
  }
}

// K -> sK changes A alone.
TEST(DecayModels, ScaleChangesTheScaleAlone) {
  const DecayModel model{DecayLaw::broken, {2.0, 0.6, 1.5, 90}};
  auto curve = curve_of(model, 1000);
  const auto before = fit_law(curve, DecayLaw::shifted, 5, 500);
  for (double& kappa : curve.kappa) kappa *= 1e5;
  const auto after = fit_law(curve, DecayLaw::shifted, 5, 500);
  ASSERT_TRUE(before && after);
  EXPECT_NEAR(after->rms, before->rms, 1e-3 * before->rms);
  EXPECT_NEAR(after->parameters[0] / before->parameters[0] / 1e5, 1, 0.01);
  EXPECT_NEAR(after->parameters[1], before->parameters[1], 1e-3);
}

TEST(DecayModels, TooShortACurve) {
  const DecayModel model{DecayLaw::power, {3.0, 1.4}};
  EXPECT_FALSE(fit_law(curve_of(model, 1000), DecayLaw::power, 2000, 5000));
}

}  // namespace
}  // namespace ntk::theory
