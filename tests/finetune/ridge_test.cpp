#include "finetune/ridge.hpp"

#include <gmock/gmock.h>

#include "finetune/examples.hpp"
#include "support/files.hpp"

#include "finetune/test_examples.hpp"

namespace ntk::finetune {
namespace {

TEST(Ridge, AgreesWithAnotherDecompositionOfTheRowsThemselves) {
  for (const auto& [rows, width] : {std::pair{80, 12}, {15, 40}}) {  // more rows, or more columns
    const auto e =
        test::with_targets(static_cast<std::size_t>(rows), static_cast<std::size_t>(width), 3);
    const RidgePath path(e);
    for (const double penalty : {1e-6, 1e-3, 0.1, 10.0}) {
      const auto unit = path.at(penalty);
      const auto map = path.features().on_features(unit);
      const auto expected = test::ridge_by_qr(e, penalty * path.features().scale);
      EXPECT_LT(test::distance(map.weight, expected.weight), 1e-8) << width << " " << penalty;
      EXPECT_NEAR(map.bias[0], expected.bias[0], 1e-7);
      EXPECT_LT(path.gradient_norm(unit, penalty), 1e-12);
      auto moved = unit;
      moved.weight[1] += 1e-3;
      EXPECT_GT(path.gradient_norm(moved, penalty), 1e-8);
    }
  }
}

TEST(Ridge, WithoutPenaltyToSpeakOfItInterpolatesAndWithAHugeOneItIsTheMean) {
  const auto e = test::with_targets(10, 30, 4);
  const RidgePath path(e);
  const auto close = outputs_of(path.features().on_features(path.at(1e-10)), e.features, e.rows);
  EXPECT_LT(test::distance(close, e.target), 1e-5);
  const auto flat = outputs_of(path.features().on_features(path.at(1e10)), e.features, e.rows);
  double mean = 0;
  for (const double y : e.target) mean += y / 10;
  for (const double f : flat) EXPECT_NEAR(f, mean, 1e-6);
}

TEST(UnitFeatures, AreOfMeanZeroAndMeanSquareOne) {
  const auto e = test::with_targets(50, 7, 5);
  const auto unit = unit_features(e);
  double square = 0;
  for (std::size_t j = 0; j < 7; ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < 50; ++i) {
      sum += unit.values[i * 7 + j];
      square += unit.values[i * 7 + j] * unit.values[i * 7 + j] / 50;
    }
    EXPECT_NEAR(sum, 0, 1e-12);
  }
  EXPECT_NEAR(square, 1, 1e-12);
}

TEST(UnitFeatures, OfRowsThatAreAllAlikeAreRefused) {
  auto e = test::with_targets(30, 3, 6);
  for (std::size_t i = 0; i < e.features.size(); ++i)
    e.features[i] = 0.1 * static_cast<double>(i % 3);
  EXPECT_THAT(ntk::test::error_of(ExitCode::input, [&] { unit_features(e); }),
              testing::HasSubstr("features of all 30 rows are the same"));
}

}  // namespace
}  // namespace ntk::finetune
