// A real kernel: MiniLM on 1,024 rated movie snippets (fixtures/trial, made by make_trial.py).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "theory/decay.hpp"
#include "theory/decay_check.hpp"
#include "theory/learning_curve.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/summary.hpp"

namespace ntk::theory {
namespace {

const nlohmann::json& trial() {
  static const nlohmann::json fixture = [] {
    const char* folder = std::getenv("NTK_FIXTURES");
    if (!folder) throw std::runtime_error("NTK_FIXTURES is not set: run the tests with ctest");
    std::ifstream file(std::string(folder) + "/trial/trial.json");
    return nlohmann::json::parse(file);
  }();
  return fixture;
}

std::vector<double> numbers(const nlohmann::json& j) {
  return j.get<std::vector<double>>();
}

TEST(Trial, DecayExponentsAndRankSlopes) {
  const auto l = numbers(trial().at("eigenvalues"));
  EXPECT_EQ(positive_modes(l), 1023u);
  const auto w = kappa_windows(ridge_curve(std::span(l).first(1023), 1024));
  ASSERT_TRUE(w.full && w.low && w.high);
  EXPECT_NEAR(w.full->alpha, 1.137, 0.002);
  EXPECT_NEAR(w.low->alpha, 1.073, 0.002);
  EXPECT_NEAR(w.high->alpha, 1.251, 0.002);
  const auto slopes = local_slopes(l, 0);
  ASSERT_EQ(slopes.size(), 4u);
  const std::vector<double> expected{0.56, 0.61, 0.79, 0.95};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(slopes[i].alpha, expected[i], 0.006);
  EXPECT_EQ(classify_decay(l, 1e-10, 1).kind, "stretched or other");
}

// A broken law fits best, a power law by far worst, and draws of neither look like the kernel.
TEST(Trial, NoLawOfDecayPasses) {
  const auto l = numbers(trial().at("eigenvalues"));
  const auto checks = check_laws(std::span(l).first(1023), 1024, 1, 2);
  ASSERT_EQ(checks.size(), 7u);
  const std::vector<std::pair<DecayLaw, double>> rms{
      {DecayLaw::power, 0.044},   {DecayLaw::broken, 0.0004},  {DecayLaw::stretched, 0.001},
      {DecayLaw::shifted, 0.002}, {DecayLaw::cut_off, 0.0037}, {DecayLaw::finite_rank, 0.005}};
  for (std::size_t i = 0; i < rms.size(); ++i) {
    EXPECT_EQ(checks[i].model.law, rms[i].first);
    EXPECT_NEAR(checks[i].model.rms / rms[i].second, 1, 0.3) << law_name(rms[i].first);
    EXPECT_FALSE(checks[i].accepted()) << law_name(rms[i].first);
  }
  const auto& broken = checks[1].model.parameters;
  EXPECT_NEAR(broken[1], 0.62, 0.03);
  EXPECT_NEAR(broken[2], 1.37, 0.04);
  EXPECT_NEAR(broken[3], 115, 12);
  // The power law's first eigenvalue would be several times too large.
  EXPECT_GT(checks[0].statistics[0].low, 4 * l[0]);
  EXPECT_GT(checks[0].extrapolation_rms, 10 * checks[1].extrapolation_rms);
}

std::vector<LearningPoint> curve_of(const std::string& name) {
  const auto l = numbers(trial().at("eigenvalues"));
  const auto values = std::span(l).first(1023);
  const auto& set = trial().at(name);
  const auto y = centred(numbers(set.at("labels")));
  const auto labels = label_modes(
      numbers(set.at("projections")), std::inner_product(y.begin(), y.end(), y.begin(), 0.0),
      numbers(set.at("mode_variances")), mean(numbers(set.at("variances"))), 1024, 1, 1023);
  const std::vector<double> sizes{64, 128, 256, 512, 768};
  return plug_in_curve(values, ridge_curve(values, 1024), labels, 0.973, sizes);
}

TEST(Trial, PlugInCurveFromTheRatersMean) {
  const auto curve = curve_of("rating_mean");
  const std::vector<double> expected{3.269, 2.989, 2.673, 2.369, 2.207};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(curve[i].risk / expected[i], 1, 1e-3) << curve[i].n;
  }
  EXPECT_NEAR(learning_slope(curve), -0.158, 0.003);
}

TEST(Trial, PlugInCurveFromOneRater) {
  const auto curve = curve_of("one_rater");
  const std::vector<double> expected{3.32, 3.06, 2.75, 2.43, 2.26};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(curve[i].risk, expected[i], 0.006) << curve[i].n;
  }
}

TEST(Trial, SummaryTellsTheStory) {
  TheoryInputs inputs;
  inputs.samples = 1024;
  inputs.law_draws = 0;  // they take long; above
  inputs.eigenvalues = numbers(trial().at("eigenvalues"));
  const auto& set = trial().at("one_rater");
  inputs.labels = {{"target", numbers(set.at("labels")), numbers(set.at("projections")),
                    numbers(set.at("variances")), numbers(set.at("mode_variances"))}};
  const auto report = theory_summary(inputs);
  const auto& labels = report.at("labels").at(0);
  EXPECT_NEAR(labels.at("noise_variance").at("value").get<double>(), 0.9726, 1e-3);
  // Unresolved signal counts as noise: twice the true variance.
  EXPECT_NEAR(labels.at("effective_noise").at("value").get<double>(), 2.1, 0.15);
  EXPECT_NEAR(labels.at("signal_variance").at("value").get<double>(), 3.73, 0.03);
  EXPECT_NEAR(report.at("decay").at("worst_case_exponent").at("value").get<double>(), -0.532, 1e-3);
  EXPECT_NEAR(labels.at("plug_in").at("curve").at(2).at("risk").get<double>(), 2.43, 0.006);
  // The rule stops long before GCV does.
  EXPECT_LT(labels.at("stopping").at("rwy").at("value").get<double>(),
            0.5 * labels.at("stopping").at("gcv").at("value").get<double>());
}

}  // namespace
}  // namespace ntk::theory
