// What the report predicts beside the plug-in curve, and when it does not.
#include <gtest/gtest.h>

#include "theory/closed_stops.hpp"
#include "theory/test_inputs.hpp"

namespace ntk::theory {
namespace {

using nlohmann::json;
using test::says;
using test::value;

TheoryInputs quick_inputs(std::size_t n) {
  auto inputs = test::make_inputs(n);
  inputs.law_draws = 0;
  inputs.kernel.clear();  // nothing is measured on sub-matrices
  return inputs;
}

// Mode k holds k^-1.5 k^-0.7 of the target: s = 1.2, and alpha = 1.5.
TEST(Predictions, ExponentsOfADesignedTarget) {
  const auto report = theory_summary(quick_inputs(400));
  const auto& target = report.at("labels").at(0).at("target");
  ASSERT_EQ(target.at("tails").at("fits").size(), 3u);
  const auto& predictions = target.at("predictions");
  EXPECT_NEAR(value(predictions.at("noisy")), -1.2 / 2.2, 0.06);
  EXPECT_NEAR(value(predictions.at("noise_free")), -1.2, 0.25);
  EXPECT_NEAR(value(target.at("source_exponent")), 0.4, 0.08);
  EXPECT_EQ(predictions.at("ridge_noisy").at("value"), predictions.at("noisy").at("value"));
  for (const auto& [name, of] : predictions.items()) {
    EXPECT_LE(of.at("low"), of.at("value")) << name;
    EXPECT_GE(of.at("high"), of.at("value")) << name;
    EXPECT_EQ(of.at("window").at(0), 5) << name;
  }
  EXPECT_GT(value(target.at("signal_rank")), 80);
  EXPECT_GT(value(target.at("alignment")), 0.3);
  const auto& shares = target.at("cumulative_power").at("share");
  EXPECT_NEAR(shares.back(), 1, 1e-9);
  EXPECT_GT(shares[3], shares[0]);
}

// A target that only ridge regression's saturation keeps from a steeper curve.
TEST(Predictions, RidgeSaturates) {
  auto inputs = quick_inputs(400);
  auto& labels = inputs.labels[0];
  for (std::size_t k = 0; k < 399; ++k) {
    labels.projections[k] = 20 * std::pow(static_cast<double>(k + 1), -2.75);  // s = 4.5
  }
  double square = 0;
  for (std::size_t k = 0; k < 399; ++k) square += labels.projections[k] * labels.projections[k];
  for (std::size_t i = 0; i < 400; ++i) {
    labels.values[i] = std::sqrt(square / 400) * (i % 2 ? 1 : -1);
  }
  inputs.noise_source = NoiseSource::number;
  inputs.noise_number = 0;
  const auto report = theory_summary(inputs);
  const auto& predictions = report.at("labels").at(0).at("target").at("predictions");
  const double alpha = value(report.at("decay").at("alpha"));
  EXPECT_NEAR(value(predictions.at("noise_free")), -4.5, 0.5);
  EXPECT_NEAR(value(predictions.at("ridge_noise_free")), -2 * alpha, 1e-9);
  EXPECT_GT(value(report.at("labels").at(0).at("target").at("source_exponent")), 1.2);
}

TEST(Predictions, NoneFromFewRowsOrWithoutAPlateau) {
  auto report = theory_summary(quick_inputs(100));
  EXPECT_TRUE(says(report.at("limits"), "windows need 40 ranks below n/5 = 20"));
  EXPECT_TRUE(report.at("labels").at(0).at("target").at("predictions").is_null());
  EXPECT_FALSE(says(report.at("limits"), "no predictions"));  // laws were not judged
  auto inputs = quick_inputs(240);
  inputs.law_draws = 2;
  for (std::size_t k = 0; k < 239; ++k) {
    const auto rank = static_cast<double>(k + 1);
    inputs.eigenvalues[k] =
        rank <= 20 ? std::pow(rank, -0.3) : std::pow(20, 2.2) * std::pow(rank, -2.5);
  }
  EXPECT_TRUE(
      says(theory_summary(inputs).at("limits"), "exponents from the decay are no predictions"));
}

TEST(Predictions, RegimeIsThatOfTheCurve) {
  const auto report = theory_summary(quick_inputs(400));
  const auto& labels = report.at("labels").at(0);
  const auto &curve = labels.at("plug_in").at("curve"), &regime = labels.at("regime");
  EXPECT_EQ(regime.at("noise_share").at("n"), 400);
  EXPECT_EQ(regime.at("noise_share").at("value"), curve[3].at("noise_share"));
  EXPECT_NEAR(value(regime.at("null_to_best")),
              value(labels.at("signal_variance")) / curve[3].at("risk").get<double>(), 1e-12);
  EXPECT_EQ(regime.at("never_to_best").at("n"), 200);  // at 400 no label is left to judge by
  EXPECT_TRUE(curve[3].at("never_stopping").is_null());
  const double ratio =
      curve[2].at("never_stopping").get<double>() / curve[2].at("risk").get<double>();
  EXPECT_NEAR(value(regime.at("never_to_best")), ratio, 1e-12);
  EXPECT_EQ(regime.at("stopping_matters"), ratio >= 1.2);
  // Much noise: now it matters.
  auto loud = quick_inputs(400);
  test::Draw draw(3);
  const double spread = 0.4;
  for (std::size_t k = 0; k < 399; ++k) loud.labels[0].projections[k] += spread * draw.normal();
  for (double& v : loud.labels[0].values) v += spread * draw.normal();
  loud.noise_source = NoiseSource::number;
  loud.noise_number = spread * spread + test::noise;
  const auto matters = theory_summary(loud).at("labels").at(0).at("regime");
  EXPECT_GT(value(matters.at("never_to_best")), 1.2);
  EXPECT_TRUE(matters.at("stopping_matters"));
}

TEST(Predictions, ClosedFormBesideTheStop) {
  const auto report = theory_summary(quick_inputs(400));
  const auto& rwy = report.at("labels").at(0).at("stopping").at("rwy");
  const auto& closed = rwy.at("closed_form");
  EXPECT_EQ(closed.at("law"), "power");
  EXPECT_NEAR(closed.at("relative_difference"), value(closed) / value(rwy) - 1, 1e-12);
  EXPECT_LT(std::abs(closed.at("relative_difference").get<double>()), 0.35);
  // Rank three: exact where all three are fitted.
  auto inputs = quick_inputs(64);
  for (std::size_t k = 0; k < 64; ++k) inputs.eigenvalues[k] = k < 3 ? 1.0 / (k + 1.0) : 0;
  inputs.floor = 1e-12;
  const auto low = theory_summary(inputs);
  ASSERT_EQ(low.at("decay").at("verdict").at("kind"), "finite rank");
  const auto& of_rank = low.at("labels").at(0).at("stopping").at("rwy").at("closed_form");
  EXPECT_EQ(of_rank.at("law"), "finite rank");
  EXPECT_NEAR(of_rank.at("relative_difference"), 0, 1e-9);
}

TEST(Predictions, ABoundAboveTheNullRiskIsVacuous) {
  auto inputs = quick_inputs(100);
  inputs.noise_source = NoiseSource::number;
  bool seen[2] = {false, false};
  for (const double variance : {1e-9, 1e-6, 1e-3, 0.1}) {
    inputs.noise_number = variance;
    const auto report = theory_summary(inputs);
    const auto& set = report.at("labels").at(0);
    const auto& rwy = set.at("stopping").at("rwy");
    EXPECT_NEAR(value(rwy.at("bound")), 12 * value(set.at("rkhs_norm2")) / value(rwy),
                1e-9 * value(rwy.at("bound")));
    const bool vacuous = value(rwy.at("bound")) > value(set.at("signal_variance"));
    EXPECT_EQ(rwy.at("vacuous").get<bool>(), vacuous) << variance;
    seen[vacuous ? 1 : 0] = true;
  }
  EXPECT_TRUE(seen[0] && seen[1]);
}

TEST(Predictions, StopsInTheUsersTraining) {
  auto inputs = quick_inputs(100);
  Training training;
  training.loss = Loss::half_mean;
  training.learning_rate = 0.5 / inputs.eigenvalues[0];
  training.momentum = 0.9;
  training.batch = 20;
  training.samples = 100;
  inputs.training = training;
  auto report = theory_summary(inputs);
  EXPECT_TRUE(report.at("training").at("stable"));
  EXPECT_NEAR(value(report.at("training").at("largest_stable_learning_rate")),
              3.8 / inputs.eigenvalues[0], 1e-9);
  for (const auto& [rule, stop] : report.at("labels").at(0).at("stopping").items()) {
    if (stop.at("never").get<bool>()) continue;
    const double steps = value(stop) / (training.learning_rate * 10);
    EXPECT_NEAR(value(stop.at("training_steps")) / steps, 1, 1e-12) << rule;
    EXPECT_NEAR(value(stop.at("epochs")) / steps, 0.2, 1e-12) << rule;
  }
  inputs.training->learning_rate = 4 / inputs.eigenvalues[0];
  report = theory_summary(inputs);
  EXPECT_FALSE(report.at("training").at("stable"));
  EXPECT_TRUE(says(report.at("caveats"), "above what gradient descent is stable with"));

  const auto refused = [&](auto change, const std::string& words) {
    auto other = inputs;
    change(*other.training);
    const auto without = theory_summary(other);
    EXPECT_TRUE(says(without.at("limits"), words)) << without.at("limits");
    EXPECT_TRUE(without.at("training").is_null());
    EXPECT_FALSE(without.at("labels").at(0).at("stopping").at("gcv").contains("epochs"));
  };
  refused([](Training& t) { t.optimiser = Optimiser::adam; }, "Adam");
  refused([](Training& t) { t.loss = Loss::cross_entropy; }, "cross-entropy");
  refused([](Training& t) { t.outputs = 3; }, "for 3 outputs");
}

}  // namespace
}  // namespace ntk::theory
