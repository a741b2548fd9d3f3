#include "theory/decay_check.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "theory/effective_dimension.hpp"

namespace ntk::theory {
namespace {

const LawCheck& of(const std::vector<LawCheck>& checks, DecayLaw law) {
  return *std::find_if(checks.begin(), checks.end(),
                       [law](const auto& c) { return c.model.law == law; });
}

TEST(DecayCheck, DrawnSpectraHaveTheModelsTrace) {
  const DecayModel model{DecayLaw::power, {2.0, 1.5}};
  double trace = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto values = draw_spectrum(model, 100, seed);
    EXPECT_TRUE(std::is_sorted(values.rbegin(), values.rend()));
    ASSERT_EQ(values.size(), 99u);
    trace += std::accumulate(values.begin(), values.end(), 0.0) / 20;
  }
  double expected = model_tail(model, 25);
  for (int k = 1; k <= 25; ++k) expected += model_eigenvalue(model, k);
  // Centring takes the mean of a row out: a part 1/n of the trace.
  EXPECT_NEAR(trace / (0.99 * expected), 1, 0.1);
}

TEST(DecayCheck, ATrueLawIsAccepted) {
  const DecayModel truth{DecayLaw::power, {1.0, 1.5}};
  const auto values = draw_spectrum(truth, 200, 77);
  const auto checks = check_laws(values, 200, 1);
  EXPECT_TRUE(
      std::any_of(checks.begin(), checks.end(), [](const auto& c) { return c.accepted(); }));
}

TEST(DecayCheck, APowerLawIsRefusedWhereTheKernelHasAKnee) {
  const DecayModel truth{DecayLaw::broken, {1.0, 0.4, 2.0, 25}};
  const auto checks = check_laws(draw_spectrum(truth, 200, 78), 200, 1, 19, 10);
  const auto& power = of(checks, DecayLaw::power);
  EXPECT_FALSE(power.accepted());
  EXPECT_GT(power.model.rms, 5 * of(checks, DecayLaw::broken).model.rms);
}

TEST(DecayCheck, LawsThatFitBadlyAreNotDrawnFrom) {
  const DecayModel truth{DecayLaw::power, {1.0, 1.5}};
  const auto checks = check_laws(draw_spectrum(truth, 100, 5), 100, 1, 5, 1e-9);
  ASSERT_FALSE(checks.empty());
  for (const auto& check : checks) {
    EXPECT_TRUE(check.statistics.empty());
    EXPECT_FALSE(check.accepted());
  }
}

}  // namespace
}  // namespace ntk::theory
