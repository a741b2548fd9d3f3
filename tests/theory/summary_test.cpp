// What the report says, and what it refuses to say.
#include "theory/summary.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.hpp"
#include "theory/test_inputs.hpp"

namespace ntk::theory {
namespace {

using test::Draw;
using test::make_inputs;
using test::noise;
using test::says;
using test::value;

// Another label for one row.
void relabel(TheoryInputs& inputs, std::size_t row, double label) {
  auto kernel = inputs.kernel;
  const std::size_t n = inputs.labels[0].values.size();
  centre_kernel(kernel, n);
  inputs.labels[0].values[row] = label;
  inputs.labels[0].projections =
      project(test::scaled_eigen(std::move(kernel), n), inputs.labels[0].values);
}

TEST(Summary, SaysEverythingForAFullProblem) {
  const auto report = theory_summary(make_inputs(256));
  EXPECT_TRUE(report.at("limits").empty()) << report.at("limits");
  EXPECT_NEAR(value(report.at("decay").at("alpha")), 1.47, 0.1);
  EXPECT_EQ(report.at("decay").at("verdict").at("kind"), "polynomial");
  const auto& labels = report.at("labels").at(0);
  EXPECT_NEAR(value(labels.at("effective_noise")), noise, 0.5 * noise);
  EXPECT_EQ(labels.at("plug_in").at("curve").size(), 4u);
  for (const auto& point : labels.at("plug_in").at("curve")) EXPECT_GT(point.at("risk"), 0);
  EXPECT_GT(value(labels.at("growth")), 0.5);
  EXPECT_LT(value(labels.at("growth")), 1.5);
  for (const char* rule : {"gcv", "sure", "discrepancy", "rwy"}) {
    EXPECT_GT(value(labels.at("stopping").at(rule)), 0) << rule;
  }
}

TEST(Summary, SpreadOfTheDiagonal) {
  TheoryInputs inputs;
  inputs.samples = 4;
  inputs.subset = {0, 1, 2, 3};
  // Rows of two points each on two axes: centring changes nothing, the diagonal is 1, 1, 9, 9.
  inputs.kernel = {1, -1, 0, 0, -1, 1, 0, 0, 0, 0, 9, -9, 0, 0, -9, 9};
  EXPECT_NEAR(value(theory_summary(inputs).at("kernel").at("diagonal_cv")), 4.0 / 5, 1e-12);
}

TEST(Summary, DecayWithItsUncertaintyAndItsLaw) {
  const auto report = theory_summary(make_inputs(256));
  const auto& decay = report.at("decay");
  for (const char* name : {"alpha", "alpha_low", "alpha_high"}) {
    EXPECT_GT(decay.at(name).at("sd"), 0) << name;
    EXPECT_LT(decay.at(name).at("sd"), 0.2) << name;
  }
  const auto& by_n = decay.at("alpha_by_n");
  ASSERT_EQ(by_n.size(), 4u);
  EXPECT_EQ(by_n[0].at("n"), 32);
  EXPECT_EQ(by_n[3].at("n"), 256);
  EXPECT_EQ(by_n[3].at("alpha"), decay.at("alpha").at("value"));
  EXPECT_GT(value(decay.at("agreeing_rank")), 5);
  const auto& map = decay.at("alpha_map");
  EXPECT_EQ(map.at("alpha").size(), map.at("first").size());
  for (const auto& row : map.at("alpha")) EXPECT_EQ(row.size(), map.at("last").size());
  for (const auto& point : decay.at("local_exponents")) {
    EXPECT_NEAR(point.at("exponent").get<double>(), 1.5, 0.6);
  }
  // The features have a power law of 1.5: it passes, so the plateau is found.
  EXPECT_TRUE(decay.at("plateau").at("found")) << decay.at("plateau") << decay.at("laws");
  EXPECT_EQ(decay.at("laws").at("fits").at(0).at("law"), "power");
}

TEST(Summary, NoPlateauWhereTheSpectrumHasAKnee) {
  auto inputs = make_inputs(256);
  // k^-0.3 up to rank 20, k^-2.5 beyond.
  for (std::size_t k = 0; k < 255; ++k) {
    const auto rank = static_cast<double>(k + 1);
    inputs.eigenvalues[k] =
        rank <= 20 ? std::pow(rank, -0.3) : std::pow(20, 2.2) * std::pow(rank, -2.5);
  }
  inputs.kernel.clear();
  const auto decay = theory_summary(inputs).at("decay");
  EXPECT_FALSE(decay.at("plateau").at("found"));
  EXPECT_NE(decay.at("plateau").at("text").get<std::string>().find("knee near k = "),
            std::string::npos);
  EXPECT_FALSE(decay.at("alpha").contains("sd"));  // no kernel to draw from
}

TEST(Summary, BiasAndVarianceAtEveryStopAddUpToSure) {
  const auto report = theory_summary(make_inputs(128));
  const auto& stops = report.at("labels").at(0).at("stopping");
  const auto risk = [&](const char* rule) {
    const auto& stop = stops.at(rule);
    EXPECT_GE(value(stop.at("in_sample_variance")), 0) << rule;
    return value(stop.at("in_sample_bias")) + value(stop.at("in_sample_variance"));
  };
  // Their sum is SURE without the noise, which SURE's own stop minimises on its grid.
  for (const char* rule : {"gcv", "rwy", "discrepancy"}) {
    EXPECT_GE(risk(rule), risk("sure") * (1 - 1e-2)) << rule;
  }
  EXPECT_LT(value(stops.at("rwy").at("in_sample_variance")),
            value(stops.at("gcv").at("in_sample_variance")));  // it stops first
}

TEST(Summary, NoGrowthWithoutAFitOnHalfTheRows) {
  // One row with another label: some halves see constant labels.
  auto inputs = make_inputs(64);
  inputs.labels[0].values.assign(64, 0.0);
  relabel(inputs, 7, 1);
  inputs.noise_source = NoiseSource::number;
  inputs.noise_number = 1e-4;
  const auto report = theory_summary(inputs);
  ASSERT_EQ(report.at("labels").size(), 1u);
  const auto& growth = report.at("labels").at(0).at("growth");
  EXPECT_TRUE(growth.at("value").is_null());
  EXPECT_TRUE(growth.at("target_in_rkhs").is_null());
  EXPECT_TRUE(says(report.at("limits"), "no growth"));
  EXPECT_FALSE(says(report.at("caveats"), "not in the RKHS"));
}

TEST(Summary, DoesNotDependOnTheScaleOfTheKernel) {
  const auto a = theory_summary(make_inputs(128)), b = theory_summary(make_inputs(128, 4096));
  const auto &la = a.at("labels").at(0), &lb = b.at("labels").at(0);
  EXPECT_NEAR(value(lb.at("rkhs_norm2")) * 4096 / value(la.at("rkhs_norm2")), 1, 1e-6);
  for (const char* rule : {"gcv", "rwy"}) {
    EXPECT_NEAR(value(lb.at("stopping").at(rule).at("steps")) /
                    value(la.at("stopping").at(rule).at("steps")),
                1, 1e-6)
        << rule;
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(lb.at("plug_in").at("curve")[i].at("risk").get<double>() /
                    la.at("plug_in").at("curve")[i].at("risk").get<double>(),
                1, 1e-6);
  }
}

TEST(Summary, RefusesTooFewRows) {
  const auto report = theory_summary(make_inputs(19));
  EXPECT_TRUE(says(report.at("limits"), "at least 20"));
  EXPECT_FALSE(report.contains("decay"));
  EXPECT_TRUE(theory_summary(make_inputs(20)).contains("decay"));
}

TEST(Summary, RefusesARankOneKernel) {
  auto inputs = make_inputs(64);
  std::fill(inputs.eigenvalues.begin() + 1, inputs.eigenvalues.end(), 0.0);
  const auto report = theory_summary(inputs);
  EXPECT_TRUE(says(report.at("limits"), "1 non-zero mode"));
  EXPECT_FALSE(report.contains("labels"));
  inputs.eigenvalues[0] = 0;
  EXPECT_TRUE(says(theory_summary(inputs).at("limits"), "0 non-zero mode"));
}

TEST(Summary, RefusesConstantLabels) {
  auto inputs = make_inputs(64);
  inputs.labels[0].values.assign(64, 2.5);
  inputs.labels[0].projections.assign(64, 0.0);
  const auto report = theory_summary(inputs);
  EXPECT_TRUE(says(report.at("limits"), "constant"));
  EXPECT_TRUE(report.at("labels").empty());
}

TEST(Summary, HasNoStoppingTimeWithoutNoise) {
  auto inputs = make_inputs(64);
  inputs.noise_source = NoiseSource::number;
  inputs.noise_number = 0;
  const auto report = theory_summary(inputs);
  EXPECT_TRUE(says(report.at("limits"), "without noise"));
  EXPECT_FALSE(report.at("labels").at(0).at("stopping").contains("rwy"));
}

TEST(Summary, AHeadFittedOnTheLabelsLeavesRulesOut) {
  auto inputs = make_inputs(64);
  const auto apart = theory_summary(inputs).at("labels").at(0).at("stopping");
  inputs.head_fitted_on_labels = true;
  const auto report = theory_summary(inputs);
  const auto stops = report.at("labels").at(0).at("stopping");
  for (const char* rule : {"sure", "discrepancy", "rwy"}) {
    EXPECT_TRUE(apart.contains(rule)) << rule;
    EXPECT_FALSE(stops.contains(rule)) << rule;
  }
  EXPECT_EQ(stops.at("gcv"), apart.at("gcv"));
  EXPECT_TRUE(says(report.at("limits"), "head was fitted on labels of these rows"));
  EXPECT_TRUE(says(report.at("caveats"), "too favourable"));
}

// Every label set is judged by its own noise: what it says beside others is what it says alone.
TEST(Summary, EveryLabelSetHasItsOwnNoise) {
  auto both = make_inputs(128), noisy = both;
  auto kernel = both.kernel;
  centre_kernel(kernel, 128);
  const auto e = test::scaled_eigen(std::move(kernel), 128);
  Draw draw(62);
  auto& set = noisy.labels[0];
  set.name = "noisy";
  for (std::size_t i = 0; i < 128; ++i) {
    set.noise_variances[i] = 0.2 + 0.2 * static_cast<double>(i % 2);
    set.values[i] = both.reference[i] + std::sqrt(set.noise_variances[i]) * draw.normal();
  }
  set.noise_modes = project_variances(e, set.noise_variances);
  set.projections = project(e, set.values);
  both.labels.push_back(set);
  const auto report = theory_summary(both);
  const auto& labels = report.at("labels");
  EXPECT_NEAR(value(labels.at(0).at("noise_variance")), noise, 1e-12);
  EXPECT_NEAR(value(labels.at(1).at("noise_variance")), 0.3, 1e-12);
  EXPECT_NEAR(value(report.at("label_means").at("noise_variance")), (noise + 0.3) / 2, 1e-12);
  const auto alone = theory_summary(noisy).at("labels").at(0);
  EXPECT_EQ(labels.at(1).at("plug_in"), alone.at("plug_in"));
  EXPECT_EQ(labels.at(1).at("stopping"), alone.at("stopping"));
}

TEST(Summary, RefusesNoiseAboveTheLabels) {
  auto inputs = make_inputs(64);
  inputs.noise_source = NoiseSource::number;
  inputs.noise_number = 100;
  EXPECT_TRUE(says(theory_summary(inputs).at("limits"), "no signal"));
}

TEST(Summary, EstimatesTheNoiseWhereTheDataHaveNone) {
  auto inputs = make_inputs(256);
  inputs.labels[0].noise_variances.clear();
  inputs.labels[0].noise_modes.clear();
  const auto report = theory_summary(inputs);
  const auto& labels = report.at("labels").at(0);
  EXPECT_EQ(value(labels.at("noise_variance")), value(labels.at("effective_noise")));
  EXPECT_NE(labels.at("noise_variance").at("rule").get<std::string>().find("estimate"),
            std::string::npos);
}

TEST(Summary, LeadingPairsSayWhatTheyCan) {
  auto inputs = make_inputs(256);
  inputs.law_draws = 2;
  const auto whole = theory_summary(inputs);
  const auto report = theory_summary(test::leading_pairs(inputs, 30));
  for (const char* key : {"trace", "stable_rank", "participation_ratio"}) {
    EXPECT_NEAR(value(report["spectrum"]["centred"][key]), value(whole["spectrum"]["centred"][key]),
                1e-9 * value(whole["spectrum"]["centred"][key]))
        << key;
  }
  EXPECT_EQ(value(report["spectrum"]["modes"]), 30);
  // The window ends where df is no longer known.
  const auto& alpha = report["decay"]["alpha"];
  EXPECT_LT(alpha["window"][1], 128);
  EXPECT_GT(alpha["window"][1], 30);
  EXPECT_LT(alpha["error"], 0.05);
  EXPECT_GT(alpha["sd"], 0);
  EXPECT_TRUE(says(report["limits"], "more are had with spectrum.leading"));
  EXPECT_TRUE(says(report["caveats"], "30 of 256 eigenvalues were computed"));
  // What is measured on sub-matrices is as it was.
  const auto &law = report["decay"]["laws"]["fits"][0], &of_all = whole["decay"]["laws"]["fits"][0];
  EXPECT_EQ(law["law"], of_all["law"]);
  EXPECT_NEAR(law["parameters"]["alpha"], of_all["parameters"]["alpha"], 1e-6);
  EXPECT_NEAR(value(report["labels"][0]["growth"]), value(whole["labels"][0]["growth"]), 1e-9);
  for (const auto& stop : report["labels"][0]["stopping"]) {
    EXPECT_TRUE(stop.contains("range"));
    EXPECT_TRUE(stop["df"].contains("error"));
  }
}

TEST(Summary, LeadingPairsWithEstimatedNoise) {
  auto inputs = make_inputs(256);
  inputs.labels[0].noise_variances.clear();
  inputs.labels[0].noise_modes.clear();
  inputs.law_draws = 0;
  const auto labels = theory_summary(test::leading_pairs(inputs, 100)).at("labels");
  const auto whole = theory_summary(inputs).at("labels");
  ASSERT_EQ(labels.size(), 1u);
  EXPECT_NEAR(value(labels[0]["noise_variance"]), value(whole[0]["noise_variance"]),
              labels[0]["effective_noise"]["error"].get<double>());
  // Of three pairs the GCV stop is not known, so neither is the noise.
  const auto few = theory_summary(test::leading_pairs(inputs, 3));
  EXPECT_TRUE(few.at("labels").empty());
  EXPECT_TRUE(says(few.at("limits"), "no noise variance")) << few.at("limits");
}

TEST(Summary, LeadingPairsOfAKernelThatHasNoMore) {
  auto inputs = make_inputs(64);
  inputs.law_draws = 0;
  std::fill(inputs.eigenvalues.begin() + 20, inputs.eigenvalues.end(), 0.0);
  const auto whole = theory_summary(inputs);
  const auto report = theory_summary(test::leading_pairs(inputs, 30));
  EXPECT_EQ(report["decay"]["alpha_low"], whole["decay"]["alpha_low"]);
  EXPECT_EQ(report["labels"][0]["stopping"], whole["labels"][0]["stopping"]);
  EXPECT_EQ(report["decay"]["verdict"]["rank"], 20);
}

TEST(Summary, LeadingPairsAloneAreNotEnough) {
  auto inputs = test::leading_pairs(make_inputs(64), 10);
  auto other = inputs;
  inputs.sums = {};
  EXPECT_TRUE(says(theory_summary(inputs).at("limits"), "neither the kernel's trace nor its norm"));
  other.semidefinite = false;
  EXPECT_TRUE(says(theory_summary(other).at("limits"), "negative weight"));
  EXPECT_FALSE(theory_summary(other).contains("decay"));
}

// Moments from A y, A's diagonal and rows are those of the projections.
TEST(Summary, MomentsFromProducts) {
  const auto inputs = make_inputs(64);
  const auto expected = test::leading_pairs(inputs, 10);
  auto a = inputs.kernel;
  centre_kernel(a, 64);
  std::vector<double> product(64, 0.0), diagonal(64), squares(64, 0.0);
  for (std::size_t i = 0; i < 64; ++i) {
    for (std::size_t j = 0; j < 64; ++j) {
      a[64 * i + j] /= 64;
      product[i] += a[64 * i + j] * inputs.labels[0].values[j];
      squares[i] += a[64 * i + j] * a[64 * i + j];
    }
    diagonal[i] = a[65 * i];
  }
  const auto labels = label_moments(inputs.labels[0].values, product);
  EXPECT_NEAR(labels.first / expected.labels[0].moments.first, 1, 1e-12);
  EXPECT_NEAR(labels.second / expected.labels[0].moments.second, 1, 1e-12);
  const auto noisy = noise_moments(inputs.labels[0].noise_variances, diagonal, squares);
  EXPECT_NEAR(noisy.first / expected.labels[0].noise_sums.first, 1, 1e-12);
  EXPECT_NEAR(noisy.second / expected.labels[0].noise_sums.second, 1, 1e-12);
}

TEST(Summary, SaysWhatIsMissing) {
  auto inputs = make_inputs(64);
  inputs.labels.clear();
  EXPECT_TRUE(says(theory_summary(inputs).at("limits"), "no labels"));
}

TEST(Summary, AveragesOverLabelSets) {
  auto inputs = make_inputs(64);
  inputs.labels.push_back(inputs.labels[0]);
  inputs.labels[1].name = "twice";
  for (double& v : inputs.labels[1].values) v *= 2;
  for (double& v : inputs.labels[1].projections) v *= 2;
  inputs.noise_source = NoiseSource::estimate;
  const auto report = theory_summary(inputs);
  const double one = value(report.at("labels").at(0).at("label_variance"));
  EXPECT_NEAR(value(report.at("label_means").at("label_variance")), 2.5 * one, 1e-9);
  EXPECT_EQ(report.at("label_means").at("plug_in").at("curve").size(), 4u);
}

TEST(Summary, ClassLabelsOfAKernelWithOutputRows) {
  // K = min kernel (x) identity over two outputs, one-hot labels: every eigenvalue twice (K/n).
  auto single = make_inputs(64);
  TheoryInputs inputs;
  inputs.samples = 64;
  inputs.rows_per_sample = 2;
  auto kernel = single.kernel;
  centre_kernel(kernel, 64);
  const auto e = test::scaled_eigen(kernel, 64);
  LabelSet labels{"label", {}, {}};
  std::vector<double> indicator;
  for (std::size_t i = 0; i < 64; ++i) {
    const bool first = single.reference[i] > 1.2;
    indicator.push_back(first);
    labels.values.push_back(first);
    labels.values.push_back(!first);
  }
  const auto u = project(e, indicator);
  for (std::size_t k = 0; k < 64; ++k) {
    for (const double sign : {1.0, -1.0}) {
      inputs.eigenvalues.push_back(e.values[k] / 2);
      labels.projections.push_back(sign * u[k]);  // the constant mode's value is never used
    }
  }
  inputs.labels = {labels};
  const auto report = theory_summary(inputs);
  EXPECT_EQ(value(report.at("spectrum").at("modes")), 126);
  const double p = mean(indicator);
  EXPECT_NEAR(value(report.at("labels").at(0).at("label_variance")), p * (1 - p), 1e-9);
  EXPECT_EQ(report.at("labels").at(0).at("plug_in").at("curve").at(3).at("n"), 64);
  EXPECT_TRUE(says(report.at("limits"), "one row a sample"));
}

TEST(Summary, ErrorsNameWhatDoesNotFit) {
  auto inputs = make_inputs(32);
  auto broken = inputs;
  broken.labels[0].projections.pop_back();
  EXPECT_THROW(theory_summary(broken), Error);
  broken = inputs;
  broken.labels[0].noise_variances[3] = -1;
  EXPECT_THROW(theory_summary(broken), Error);
  broken = inputs;
  broken.labels[0].noise_modes.pop_back();
  EXPECT_THROW(theory_summary(broken), Error);
  broken = inputs;
  broken.eigenvalues[3] = std::nan("");
  EXPECT_THROW(theory_summary(broken), Error);
}

}  // namespace
}  // namespace ntk::theory
