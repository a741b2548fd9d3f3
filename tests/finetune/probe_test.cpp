#include "finetune/probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "finetune/test_examples.hpp"
#include "support/files.hpp"

namespace ntk::finetune {
namespace {

using testing::HasSubstr;

const std::vector<std::string> names{"one", "two", "three"};

std::vector<std::size_t> rows_where(const std::vector<int>& fold_of, int fold, bool in) {
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < fold_of.size(); ++i) {
    if ((fold_of[i] == fold) == in) rows.push_back(i);
  }
  return rows;
}

TEST(ProbeFolds, KeepGroupsWhole) {
  auto e = test::with_targets(90, 3, 20);
  for (std::size_t i = 0; i < 90; ++i) e.group.push_back(static_cast<std::int64_t>(i * 7 % 90 / 5));
  std::map<std::int64_t, std::set<int>> folds;
  std::map<int, int> sizes;
  const auto fold_of = probe_fold_of(e, {}, 1);
  for (std::size_t i = 0; i < 90; ++i) {
    folds[e.group[i]].insert(fold_of[i]);
    ++sizes[fold_of[i]];
  }
  EXPECT_EQ(folds.size(), 18u);
  for (const auto& [group, of] : folds) EXPECT_EQ(of.size(), 1u) << group;
  EXPECT_EQ(sizes.size(), 5u);
  for (const auto& [fold, rows] : sizes) EXPECT_THAT(rows, testing::AnyOf(15, 20)) << fold;
  EXPECT_EQ(probe_fold_of(e, {}, 1), fold_of);
  EXPECT_NE(probe_fold_of(e, {}, 2), fold_of);
}

TEST(ProbeFolds, ARareClassIsInAsManyFoldsAsItCanBe) {
  for (std::int64_t seed = 0; seed < 20; ++seed) {
    auto e = test::with_classes(60, 3, 2, 21);
    e.classes = 3;
    e.label[7] = e.label[40] = 2;  // two rows of the third class
    const auto fold_of = probe_fold_of(e, names, seed);
    EXPECT_NE(fold_of[7], fold_of[40]);
  }
}

TEST(ProbeFolds, WhatCannotBeFittedIsRefused) {
  const auto refused = [](const Examples& e) {
    return ntk::test::error_of(ExitCode::input, [&] { probe_fold_of(e, names, 1); });
  };
  auto missing = test::with_classes(60, 3, 2, 23);
  missing.classes = 3;
  EXPECT_THAT(refused(missing), HasSubstr("class three has none of the 60 rows"));
  auto rare = missing;
  rare.label[5] = 2;
  EXPECT_THAT(refused(rare), HasSubstr("class three has rows in one of 5 folds alone"));
  auto grouped = missing;
  for (std::size_t i = 0; i < 60; ++i) grouped.group.push_back(static_cast<std::int64_t>(i / 10));
  grouped.label[0] = grouped.label[1] = 2;  // several rows, one group
  EXPECT_THAT(refused(grouped), HasSubstr("class three has rows in one of 5 folds alone"));
  auto single = test::with_classes(60, 3, 2, 24);
  single.classes = 1;
  single.label.assign(60, 0);
  EXPECT_THAT(refused(single), HasSubstr("a single class"));
  auto block = test::with_targets(60, 3, 25);
  block.group.assign(60, 4);
  EXPECT_THAT(refused(block), HasSubstr("are one group"));
}

TEST(Probe, PenaltyIsThatOfBruteForceRefits) {
  auto e = test::with_targets(60, 8, 26);
  for (std::size_t i = 0; i < 60; ++i) e.group.push_back(static_cast<std::int64_t>(i / 4));
  const auto fold_of = probe_fold_of(e, {}, 3);
  int pauses = 0;
  const auto fit = fit_probe(e, fold_of, [&] { ++pauses; });
  ASSERT_EQ(fit.penalties.size(), 15u);
  EXPECT_DOUBLE_EQ(fit.penalties.front(), 10);
  EXPECT_NEAR(fit.penalties.back(), 1e-6, 1e-18);
  EXPECT_GE(pauses, 75);
  const auto raw_penalty = [](const Examples& of, double penalty) {
    return penalty * unit_features(of).scale;
  };
  std::size_t best = 0;
  for (std::size_t p = 0; p < fit.penalties.size(); ++p) {
    double sum = 0;
    for (int fold = 0; fold < 5; ++fold) {
      const auto train = pick(e, rows_where(fold_of, fold, false));
      const auto test = pick(e, rows_where(fold_of, fold, true));
      const auto map = test::ridge_by_qr(train, raw_penalty(train, fit.penalties[p]));
      const auto f = outputs_of(map, test.features, test.rows);
      for (std::size_t i = 0; i < test.rows; ++i) sum += std::pow(f[i] - test.target[i], 2);
    }
    EXPECT_NEAR(fit.scores[p], sum / 60, 1e-7 * fit.scores[p]) << fit.penalties[p];
    if (fit.scores[p] < fit.scores[best]) best = p;
  }
  EXPECT_EQ(fit.chosen, best);
  EXPECT_FALSE(fit.at_edge());
  const auto whole = test::ridge_by_qr(e, raw_penalty(e, fit.penalties[best]));
  EXPECT_LT(test::distance(fit.map.weight, whole.weight), 1e-8);
  EXPECT_NEAR(fit.map.bias[0], whole.bias[0], 1e-7);
  EXPECT_LT(fit.gradient_norm, 1e-12);
}

TEST(Probe, OfClassesDoesBetterThanTheirShares) {
  const auto e = test::with_classes(120, 6, 3, 27, 0.5);
  const auto fit = fit_probe(e, probe_fold_of(e, names, 1), [] {});
  std::vector<double> counts(3, 0);
  for (const auto label : e.label) counts[static_cast<std::size_t>(label)] += 1;
  double entropy = 0;
  for (const double c : counts) entropy -= c / 120 * std::log(c / 120);
  EXPECT_LT(fit.scores[fit.chosen], 0.8 * entropy);
  EXPECT_NEAR(fit.scores.front(), entropy, 0.1 * entropy);  // held back: little but the shares
  EXPECT_LT(fit.train_loss, fit.scores[fit.chosen]);
  EXPECT_LT(fit.gradient_norm, 1e-9);
  EXPECT_EQ(fit.map.weight.size(), 18u);
  EXPECT_EQ(fit.map.bias.size(), 3u);
}

TEST(Probe, ScaleAndOriginOfFeaturesDoNotMatter) {
  for (const bool classes : {false, true}) {
    const auto e = classes ? test::with_classes(60, 5, 2, 28) : test::with_targets(60, 5, 28);
    auto moved = e;
    for (double& x : moved.features) x = 1000 * x - 70;
    const auto fold_of = probe_fold_of(e, names, 1);
    const auto a = fit_probe(e, fold_of, [] {}), b = fit_probe(moved, fold_of, [] {});
    EXPECT_EQ(a.chosen, b.chosen);
    const auto f = outputs_of(a.map, e.features, 60), g = outputs_of(b.map, moved.features, 60);
    EXPECT_LT(test::distance(g, f), 1e-6);
  }
}

TEST(Probe, LabelsThatFeaturesSayNothingOfTakeTheLargestPenalty) {
  auto e = test::with_targets(60, 20, 29);
  test::Draw draw(30);
  for (double& y : e.target) y = draw.normal();
  const auto fit = fit_probe(e, probe_fold_of(e, {}, 1), [] {});
  EXPECT_LE(fit.chosen, 3u);
  e.target.assign(60, 2.5);  // constant ones: all penalties do as well
  const auto flat = fit_probe(e, probe_fold_of(e, {}, 1), [] {});
  EXPECT_EQ(flat.chosen, 0u);
  EXPECT_NEAR(flat.map.bias[0], 2.5, 1e-12);
}

}  // namespace
}  // namespace ntk::finetune
