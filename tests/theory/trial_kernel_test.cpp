// What the trial's kernel measures on its own sub-matrices, within sampling error of an independent
// measurement with other draws.
#include <gtest/gtest.h>

#include <map>

#include "theory/cross_validation.hpp"
#include "theory/decay_models.hpp"
#include "theory/learning_curve.hpp"
#include "theory/rates.hpp"
#include "theory/rule_risks.hpp"
#include "theory/sub_spectra.hpp"
#include "theory/test_kernels.hpp"
#include "theory/trial_fixture.hpp"

namespace ntk::theory {
namespace {

using test::numbers;
using test::trial;
using test::trial_rows;

constexpr std::size_t tested_rows = 256;

TEST(TrialKernel, FixtureHoldsTheKernel) {
  const auto exact = numbers(trial().at("eigenvalues"));
  auto kernel = test::trial_kernels().scaled(1);
  for (double& v : kernel) v /= trial_rows;
  const auto l = eigenvalues_symmetric(std::move(kernel), trial_rows);
  for (std::size_t k = 0; k < trial_rows - 1; ++k) EXPECT_NEAR(l[k] / exact[k], 1, 0.01) << k;
  for (std::size_t k = 0; k < 100; ++k) EXPECT_NEAR(l[k] / exact[k], 1, 1e-4) << k;
}

TEST(TrialKernel, ExponentDriftsWithTheRows) {
  const auto kernel = test::trial_kernels().scaled(1);
  const std::vector<std::pair<std::size_t, double>> expected{
      {128, 1.074}, {256, 1.091}, {512, 1.113}, {768, 1.127}};
  for (const auto& [m, alpha] : expected) {
    const std::size_t draws = m < 500 ? 8 : 3;
    const auto values = kappa_values(sub_spectra(kernel, trial_rows, m, draws, 5), m).full;
    EXPECT_NEAR(mean(values), alpha, 0.012) << m;
  }
}

// Residuals of log N1 by law, over df in [2, 700].
TEST(TrialKernel, ResidualsOfTheLaws) {
  const auto l = numbers(trial().at("eigenvalues"));
  const auto curve = ridge_curve(std::span(l).first(trial_rows - 1), trial_rows);
  const auto fit = [&](DecayLaw law) { return fit_law(curve, law, 2, 700).value(); };
  for (const auto& [law, rms] : {std::pair{DecayLaw::power, 0.060},
                                 {DecayLaw::cut_off, 0.0058},
                                 {DecayLaw::shifted, 0.0031},
                                 {DecayLaw::stretched, 0.0015}}) {
    EXPECT_NEAR(fit(law).rms / rms, 1, 0.05) << law_name(law);
  }
  const auto broken = fit(DecayLaw::broken);
  EXPECT_LT(broken.rms, 0.001);
  EXPECT_NEAR(broken.parameters[1], 0.604, 0.05);
  EXPECT_NEAR(broken.parameters[2], 1.394, 0.03);
  EXPECT_NEAR(broken.parameters[3], 122, 6);
}

// Draws 4 i ... 4 i + 3 test on the four quarters of one random order, so that all rows judge
// alike; the others give the training rows, nested over n.
Split trial_split(std::size_t n, std::uint64_t draw) {
  std::vector<std::size_t> order(trial_rows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  shuffle(order, 100 + draw / 4);
  std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(tested_rows * (draw % 4)),
              order.end());
  const auto part = [&](std::size_t first, std::size_t count) {
    const auto begin = order.begin() + static_cast<std::ptrdiff_t>(first);
    std::vector<std::size_t> rows(begin, begin + static_cast<std::ptrdiff_t>(count));
    std::sort(rows.begin(), rows.end());
    return rows;
  };
  return {part(tested_rows, n), part(0, tested_rows)};
}

BlockLabels trial_block(const Split& split, const std::string& name, bool keep_outputs = false) {
  const bool one = name == "one_rater";
  auto labels = numbers(trial().at(name).at("labels"));
  auto reference = numbers(trial().at("rating_mean").at("labels"));
  if (keep_outputs) {
    const auto outputs = numbers(trial().at("outputs"));
    for (std::size_t i = 0; i < trial_rows; ++i) {
      labels[i] -= outputs[i];
      reference[i] -= outputs[i];
    }
  }
  const auto variance = numbers(trial().at("rating_mean").at("variances"));
  // In sample the mean of the others judges, whose error is not the label's.
  auto others = reference, of_others = variance;
  const auto of_one = numbers(trial().at("one_rater").at("variances"));
  for (std::size_t i = 0; one && i < trial_rows; ++i) {
    const double raters = of_one[i] / variance[i];
    others[i] = (raters * reference[i] - labels[i]) / (raters - 1);
    of_others[i] = of_one[i] / (raters - 1);
  }
  return {at_rows(labels, split.train),
          at_rows(numbers(trial().at(name).at("variances")), split.train),
          at_rows(others, split.train),
          at_rows(of_others, split.train),
          at_rows(reference, split.test),
          at_rows(variance, split.test),
          {}};
}

// Means over draws of every rule's risk out of sample and in sample, by size.
struct TrialCurves {
  std::vector<double> sizes;
  std::map<std::string, std::vector<double>> risk, in_sample;
};
TrialCurves measure_trial(const std::vector<std::size_t>& sizes, std::size_t draws) {
  TrialCurves curves;
  const auto kernel = test::trial_kernels().scaled(1);
  for (const std::size_t n : sizes) {
    curves.sizes.push_back(static_cast<double>(n));
    std::map<std::string, double> risk, in_sample;
    for (std::uint64_t seed = 0; seed < draws; ++seed) {
      const auto split = trial_split(n, seed);
      const auto block = make_block(kernel, trial_rows, split, {}, seed, 0);
      const auto grid = eta_grid(std::span(block.modes.eigen.values).first(block.modes.modes), 60);
      const auto count = static_cast<double>(draws);
      for (const auto& rule : rule_risks(block, trial_block(split, "one_rater"), grid).rules) {
        risk[rule.rule] += rule.risk / count;
        in_sample[rule.rule] += rule.in_sample / count;
      }
      const auto oracle = [&](const BlockLabels& labels) {
        return rule_risks(block, labels, grid).rules.front().risk / count;
      };
      if (n != sizes.back() && n != sizes.front()) continue;
      risk["kept outputs"] += oracle(trial_block(split, "one_rater", true));
      risk["all raters"] += oracle(trial_block(split, "rating_mean"));
    }
    for (const auto& [name, value] : risk) curves.risk[name].push_back(value);
    for (const auto& [name, value] : in_sample) curves.in_sample[name].push_back(value);
  }
  return curves;
}

TEST(TrialKernel, LearningCurves) {
  const auto curves = measure_trial({32, 64, 128, 256, 512, 768}, 8);
  const auto& oracle = curves.risk.at("oracle");
  struct Row {
    const char* rule;
    double first, last, slope, to_oracle;  // at n = 32 and 768
  };
  for (const auto& row :
       {Row{"oracle", 3.596, 2.174, -.162, 1}, Row{"discrepancy", 3.674, 2.184, -.168, 1.005},
        Row{"ridge_oracle", 3.593, 2.181, -.161, 1.004}, Row{"gcv", 3.695, 2.202, -.168, 1.013},
        Row{"sure", 3.647, 2.251, -.155, 1.036}, Row{"never", 3.641, 2.428, -.129, 1.118},
        Row{"rwy", 3.721, 2.545, -.117, 1.173}}) {
    SCOPED_TRACE(row.rule);
    const auto& risks = curves.risk.at(row.rule);
    EXPECT_NEAR(risks.front(), row.first, 0.15);
    EXPECT_NEAR(risks.back(), row.last, 0.12);
    EXPECT_NEAR(test::log_slope(curves.sizes, risks), row.slope, 0.015);
    EXPECT_NEAR(risks.back() / oracle.back(), row.to_oracle, 0.008 + 0.25 * (row.to_oracle - 1));
  }
  const std::vector<double> expected{3.596, 3.315, 2.953, 2.585, 2.333, 2.174};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(oracle[i], expected[i], 0.12) << i;
  // In sample all is different: the rows' own labels are known.
  const auto& in_sample = curves.in_sample.at("oracle_in_sample");
  EXPECT_NEAR(in_sample.front(), 0.776, 0.08);
  EXPECT_NEAR(in_sample.back(), 0.735, 0.05);
  EXPECT_NEAR(test::log_slope(curves.sizes, in_sample), -0.02, 0.05);
  EXPECT_NEAR(curves.in_sample.at("rwy").back() / in_sample.back(), 2.7, 0.2);
  // The outputs of a random head, when kept, make a steep curve that has nothing to do with noise.
  const auto& kept = curves.risk.at("kept outputs");
  EXPECT_NEAR(std::log(kept[1] / kept[0]) / std::log(24), -0.46, 0.03);
  EXPECT_NEAR(kept[1], 3.01, 0.2);
  // All raters instead of one: the noise hardly matters.
  EXPECT_NEAR(oracle.back() - curves.risk.at("all raters")[1], 2.199 - 2.085, 0.03);
}

// The oracle's curve at n = 64 ... 512, `draws` splits.
std::vector<double> oracle_curve(const std::vector<double>& kernel, std::size_t draws) {
  std::vector<double> risks;
  for (const std::size_t n : {64, 128, 256, 512}) {
    double sum = 0;
    for (std::uint64_t seed = 0; seed < draws; ++seed) {
      const auto split = trial_split(n, seed);
      const auto labels = trial_block(split, "one_rater");
      const auto modes =
          held_out_modes(sub_matrix(kernel, trial_rows, split.train, split.train),
                         sub_matrix(kernel, trial_rows, split.test, split.train), n, tested_rows);
      const auto grid = eta_grid(std::span(modes.eigen.values).first(modes.modes), 60);
      const auto f = predict_along(modes, labels.labels, grid);
      double best = std::numeric_limits<double>::infinity();
      for (std::size_t p = 0; p < grid.size(); ++p) {
        best = std::min(best, measured_risk(std::span(f).subspan(p * tested_rows, tested_rows),
                                            labels.test_reference, labels.test_reference_variance));
      }
      sum += best / static_cast<double>(draws);
    }
    risks.push_back(sum);
  }
  return risks;
}

// Head alone, and the head's scale s: decay-only, plug-in and measured slopes.
TEST(TrialKernel, PlugInRanksKernelsAsMeasured) {
  struct Row {
    double s, decay, plug_in, measured;
  };
  double off = 0;
  std::vector<double> ends;  // risks at n = 512
  const std::vector<double> sizes{64, 128, 256, 512};
  for (const auto& row :
       {Row{0, -.653, -.088, -.090}, Row{0.01, -.588, -.108, -.108}, Row{0.02, -.555, -.131, -.134},
        Row{0.05, -.536, -.150, -.157}, Row{1, -.532, -.155, -.163}}) {
    const auto kernel = test::trial_kernels().scaled(row.s);
    const auto modes = held_out_modes(kernel, {}, trial_rows, 0);
    const auto values = std::span(modes.eigen.values).first(modes.modes);
    const auto& set = trial().at("rating_mean");
    const auto y = centred(numbers(set.at("labels")));
    const auto v = numbers(set.at("variances"));
    const auto labels =
        label_modes(project(modes.eigen, y), std::inner_product(y.begin(), y.end(), y.begin(), 0.0),
                    project_variances(modes.eigen, v), mean(v), trial_rows, 1, modes.modes);
    const auto curve = ridge_curve(values, trial_rows);
    const auto predicted = plug_in_curve(values, curve, labels, test::trial_noise, sizes);
    const double slope = learning_slope(predicted);
    const auto alpha = kappa_windows(curve).full;
    const auto risks = oracle_curve(kernel, 4);
    const double measured = test::log_slope(sizes, risks);
    SCOPED_TRACE(testing::Message() << "s = " << row.s << ", alpha " << (alpha ? alpha->alpha : 0));
    EXPECT_NEAR(slope, row.plug_in, 2e-3);
    EXPECT_NEAR(measured, row.measured, 0.025);
    EXPECT_NEAR(predicted.back().risk / risks.back(), 1, 0.06);
    // The head alone has 384 modes: df does not reach n/2.
    EXPECT_EQ(alpha.has_value(), row.s > 0);
    if (alpha) {
      EXPECT_NEAR(worst_case_exponent(alpha->alpha), row.decay, 2e-3);
    }
    off += std::abs(slope - measured) / 5;
    if (row.s == 0 || row.s == 1) ends.push_back(risks.back());
  }
  EXPECT_LT(off, 0.02);
  EXPECT_GT(ends[0], 1.2 * ends[1]);  // the linear probe learns less
}

}  // namespace
}  // namespace ntk::theory
