// Reduced precisions, emulated, on gradients like real ones: errors, the bias of diagonal entries
// and the least eigenvalue within the bounds of docs/numerics.md ("Precisions"). The whole table is
// tests/precision_campaign.sh's.
#include <gtest/gtest.h>

#include "support/precision_study.hpp"

namespace ntk::test {
namespace {

using device::Precision;

struct Case {
  StudiedMap map;
  TensorCore core;
};
// BERT-base's maps and those of a 2048-wide model; parts of the larger ones.
constexpr Case cases[] = {
    {{768, 768, 768 * 768, 16}, ampere},   {{768, 768, 768 * 768, 16, 2}, hopper},
    {{768, 3072, 768 * 256, 16}, hopper},  {{3072, 768, 3072 * 64, 16}, ampere},
    {{2048, 2048, 2048 * 96, 16}, ampere}, {{2048, 8192, 2048 * 96, 16}, hopper}};

TEST(ReducedPrecisions, KeepToTheirBounds) {
  for (const auto& [map, core] : cases) {
    const auto errors =
        study(map, core, {Precision::tf32, Precision::bf16x2, Precision::bf16x3}, 1);
    for (const auto& e : errors) {
      SCOPED_TRACE(std::string(device::facts(e.precision).name) + ", " +
                   std::to_string(map.inputs) + " x " + std::to_string(map.outputs));
      EXPECT_LE(e.max, entry_bound(e.precision, core));
      EXPECT_LE(std::abs(e.bias), bias_bound(e.precision, core));
      EXPECT_GE(e.least_eigenvalue, -10);
    }
    EXPECT_LE(errors[3].rms, 4 * errors[0].rms) << "bf16x3 is as exact as fp32";
  }
}

// Without what the bounds are for the emulation would show nothing.
TEST(ReducedPrecisions, SumsThatAreCutDrift) {
  const auto errors = study({768, 768, 768 * 192, 16}, ampere, {Precision::bf16x2}, 1);
  EXPECT_LT(errors[1].bias, -0.05 * accumulation_bound(Precision::bf16x2, ampere));
}

}  // namespace
}  // namespace ntk::test
