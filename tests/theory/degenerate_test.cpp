// Input that has no answer: a limit that says so or a refusal, never a number that means nothing.
// Few rows, rank one, constant labels and zero noise in the report: summary_test.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "theory/learning_study.hpp"
#include "theory/test_inputs.hpp"

namespace ntk::theory {
namespace {

using nlohmann::json;
using test::says;

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

template <class Action>
ExitCode refused(Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_GT(std::string(error.what()).size(), 40u);
    return error.code();
  }
  return ExitCode::complete;
}

TEST(Degenerate, AllEigenvaluesAtTheFloor) {
  auto inputs = test::make_inputs(64);
  inputs.floor = 2 * inputs.eigenvalues[0];
  const auto report = theory_summary(inputs);
  EXPECT_TRUE(says(report.at("limits"), "0 non-zero mode"));
  EXPECT_FALSE(report.contains("decay"));
  EXPECT_FALSE(report.contains("labels"));
  inputs.floor = inputs.eigenvalues[1];  // one is left
  EXPECT_TRUE(says(theory_summary(inputs).at("limits"), "1 non-zero mode"));
}

TEST(Degenerate, ReportRefusesValuesThatAreNotFinite) {
  const auto inputs = test::make_inputs(64);
  const auto code_with = [&](auto spoil) {
    auto spoiled = inputs;
    spoil(spoiled);
    return refused([&] { theory_summary(spoiled); });
  };
  EXPECT_EQ(code_with([](TheoryInputs& i) { i.eigenvalues[3] = not_a_number; }),
            ExitCode::numerical);
  EXPECT_EQ(code_with([](TheoryInputs& i) { i.raw_eigenvalues[0] = INFINITY; }),
            ExitCode::numerical);
  EXPECT_EQ(code_with([](TheoryInputs& i) { i.kernel[70] = not_a_number; }), ExitCode::numerical);
  EXPECT_EQ(code_with([](TheoryInputs& i) { i.labels[0].values[5] = not_a_number; }),
            ExitCode::input);
  EXPECT_EQ(code_with([](TheoryInputs& i) { i.labels[0].projections[5] = not_a_number; }),
            ExitCode::input);
  EXPECT_EQ(code_with([](TheoryInputs& i) { i.labels[0].noise_variances[5] = not_a_number; }),
            ExitCode::input);
  EXPECT_EQ(code_with([](TheoryInputs& i) { i.labels[0].noise_modes[5] = not_a_number; }),
            ExitCode::input);
}

// Every number of a report is finite or null, and a flat spectrum has no exponent to predict with.
TEST(Degenerate, FlatSpectrumPredictsNothing) {
  auto inputs = test::make_inputs(240);
  inputs.kernel.clear();
  for (std::size_t k = 0; k < 239; ++k) inputs.eigenvalues[k] = 0.5;
  inputs.law_draws = 2;
  const auto report = theory_summary(inputs);
  const auto& alpha = report.at("decay").at("alpha");
  if (!alpha.is_null()) {
    EXPECT_LT(alpha.at("value"), 1.001);
  }
  EXPECT_FALSE(report.at("decay").at("plateau").at("found"));
  const auto& target = report.at("labels").at(0).at("target");
  EXPECT_TRUE(target.at("source_exponent").is_null());
  EXPECT_TRUE(says(report.at("limits"), "source exponent") ||
              says(report.at("limits"), "alpha is not above 1"));
}

TEST(Degenerate, SignalBelowTheNoiseHasNoSourceExponent) {
  auto inputs = test::make_inputs(240);
  auto& labels = inputs.labels[0];
  test::Draw draw(5);
  for (std::size_t k = 0; k < 239; ++k) labels.projections[k] = draw.normal();
  for (std::size_t i = 0; i < 240; ++i) labels.values[i] = draw.normal();
  inputs.noise_source = NoiseSource::number;
  inputs.noise_number = 0.9;
  inputs.kernel.clear();
  inputs.law_draws = 0;
  const auto report = theory_summary(inputs);
  if (!report.at("labels").empty()) {
    EXPECT_TRUE(report.at("labels").at(0).at("target").at("predictions").is_null());
  }
  EXPECT_TRUE(says(report.at("limits"), "no source exponent") ||
              says(report.at("limits"), "no signal"));
}

TEST(Degenerate, ZeroNoiseHasARegimeWithoutNoise) {
  auto inputs = test::make_inputs(240);
  inputs.noise_source = NoiseSource::number;
  inputs.noise_number = 0;
  inputs.law_draws = 0;
  const auto report = theory_summary(inputs);
  const auto& regime = report.at("labels").at(0).at("regime");
  EXPECT_EQ(regime.at("noise_share").at("value"), 0);
  EXPECT_NEAR(regime.at("never_to_best").at("value"), 1, 0.05);
  EXPECT_FALSE(regime.at("stopping_matters"));
  EXPECT_FALSE(report.at("labels").at(0).at("stopping").contains("rwy"));
}

StudyRows make_study(std::size_t n) {
  const auto inputs = test::make_inputs(n);
  StudyRows rows;
  rows.kernel = inputs.kernel;
  rows.labels = {{"target", inputs.labels[0].values, inputs.labels[0].noise_variances,
                  inputs.reference, inputs.reference_variance}};
  return rows;
}

json small_study(const StudyRows& rows) {
  const auto plan = plan_study(draw_study_split(rows, 30, 1), {20, 40}, 2, 1);
  std::vector<json> points;
  for (const auto& point : study_points(plan)) points.push_back(study_point(rows, plan, point));
  return study_report(rows, plan, points);
}

TEST(Degenerate, StudyOfAKernelWithoutAPath) {
  auto rows = make_study(120);
  for (std::size_t i = 0; i < 120; ++i) {  // rank one
    for (std::size_t j = 0; j < 120; ++j) {
      rows.kernel[i * 120 + j] = static_cast<double>((i + 1) * (j + 1));
    }
  }
  EXPECT_TRUE(small_study(rows).at("labels").at(0).at("rules").empty());
  rows.kernel.assign(120 * 120, 0.0);
  EXPECT_TRUE(small_study(rows).at("labels").at(0).at("rules").empty());
  rows.kernel.assign(120 * 120, 4.0);  // constant: nothing is left when it is centred
  EXPECT_TRUE(small_study(rows).at("labels").at(0).at("rules").empty());
}

TEST(Degenerate, StudyRefusesValuesThatAreNotFinite) {
  const auto rows = make_study(120);
  const auto code_with = [&](auto spoil) {
    auto spoiled = rows;
    spoil(spoiled);
    return refused([&] { small_study(spoiled); });
  };
  EXPECT_EQ(code_with([](StudyRows& r) { r.kernel.assign(r.kernel.size(), not_a_number); }),
            ExitCode::numerical);
  const auto test_row = draw_study_split(rows, 30, 1).test[3];
  EXPECT_EQ(code_with([&](StudyRows& r) {
              for (std::size_t j = 0; j < 120; ++j) r.kernel[test_row * 120 + j] = not_a_number;
            }),
            ExitCode::numerical);
  EXPECT_EQ(code_with([](StudyRows& r) { r.labels[0].values.assign(120, not_a_number); }),
            ExitCode::input);
  EXPECT_EQ(code_with([&](StudyRows& r) { r.labels[0].reference[test_row] = not_a_number; }),
            ExitCode::input);
  EXPECT_EQ(code_with([](StudyRows& r) { r.labels[0].noise_variances.assign(120, not_a_number); }),
            ExitCode::input);
}

TEST(Degenerate, StudyWithoutNoiseHasNoRuleThatNeedsIt) {
  auto rows = make_study(120);
  rows.labels[0].values = rows.labels[0].reference;
  rows.labels[0].noise_variances.assign(120, 0.0);
  const auto report = small_study(rows);
  for (const auto& rule : report.at("labels").at(0).at("rules")) {
    EXPECT_NE(rule.at("rule"), "rwy");
    for (const auto& risk : rule.at("risk")) EXPECT_TRUE(risk.is_number()) << rule.at("rule");
  }
}

}  // namespace
}  // namespace ntk::theory
