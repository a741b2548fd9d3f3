#include "finetune/features.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/checkpoints.hpp"

namespace ntk::finetune {
namespace {

using model::Pooling;

model::ModelDescription describe(Pooling pooling) {
  model::ModelDescription d;
  d.path = ntk::test::fixtures() + "/models/bert";
  d.config = model::read_config(d.path);
  d.checkpoint = std::make_shared<model::Checkpoint>(d.path);
  d.choices.outputs = 2;
  d.choices.pooling = pooling;
  d.architecture = model::make_architecture(d.config, *d.checkpoint, d.choices);
  d.head = model::random_head(2, d.config.hidden_size, 1, 1);
  model::select_parameters(d.architecture, {"*"}, {});
  return d;
}

const model::TokenBatch samples{
    {0, 3, 5, 9}, {5, 9, 2, 7, 3, 4, 4, 8, 1}, {0, 0, 0, 0, 0, 0, 0, 0, 0}};

// The model's own outputs.
std::vector<float> outputs(device::Backend<float>& backend, const model::Model<float>& model) {
  const auto batch = model.batch(samples);
  std::vector<std::unique_ptr<model::Tape<float>>> tapes;
  model::Value out = -1;
  for (int s = 0; s < model.segments(); ++s) {
    tapes.push_back(std::make_unique<model::Tape<float>>(model.tape()));
    model::Value in = -1;
    if (s > 0) {
      const auto& before = *tapes[static_cast<std::size_t>(s) - 1];
      in = tapes.back()->input(before.layout(out), before.width(out), before.data(out));
    }
    out = model.forward(s, *tapes.back(), batch, in);
  }
  std::vector<float> host(6);
  backend.download(host.data(), tapes.back()->data(out), host.size() * sizeof(float));
  return host;
}

TEST(Features, AreWhatTheHeadIsAppliedTo) {
  for (const auto pooling : {Pooling::cls, Pooling::mean, Pooling::last}) {
    const auto description = describe(pooling);
    auto backend = device::make_cpu_backend<float>(1, 0);
    const model::Model<float> model(*backend, description);
    const auto features = pooled_features(*backend, model, samples, 0, 3);
    const auto width = static_cast<std::size_t>(description.config.hidden_size);
    ASSERT_EQ(features.size(), 3 * width);
    const auto expected = outputs(*backend, model);
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t c = 0; c < 2; ++c) {
        double f = description.head.bias[c];
        for (std::size_t j = 0; j < width; ++j) {
          f +=
              static_cast<double>(description.head.weight[c * width + j]) * features[i * width + j];
        }
        EXPECT_NEAR(f, expected[i * 2 + c], 1e-5);
      }
    }
    const auto part = pooled_features(*backend, model, samples, 1, 3);  // samples by themselves
    for (std::size_t k = 0; k < part.size(); ++k) EXPECT_NEAR(part[k], features[width + k], 1e-6);
  }
}

TEST(FeatureBatches, HoldSomeThousandTokensOrOneSample) {
  std::vector<std::int64_t> offsets{0};
  for (int s = 0; s < 100; ++s) offsets.push_back(offsets.back() + 100);
  offsets.push_back(offsets.back() + 50000);
  offsets.push_back(offsets.back() + 10);
  const auto starts = feature_batches(offsets);
  EXPECT_THAT(starts, testing::ElementsAre(0, 20, 40, 60, 80, 100, 101, 102));
  EXPECT_THAT(feature_batches(std::vector<std::int64_t>{0, 3, 5}), testing::ElementsAre(0, 2));
}

}  // namespace
}  // namespace ntk::finetune
