// The encoder families: names of tensors in checkpoints old and new, and the order of the record.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/model.hpp"
#include "support/checkpoints.hpp"

namespace ntk::model {
namespace {

using testing::ElementsAre;

ModelDescription describe(const std::string& path) {
  ModelDescription d;
  d.path = path;
  d.config = read_config(path);
  d.checkpoint = std::make_shared<Checkpoint>(path);
  d.choices.outputs = 2;
  d.architecture = make_architecture(d.config, *d.checkpoint, d.choices);
  d.head = random_head(2, d.config.hidden_size, 1, 1);
  select_parameters(d.architecture, {"*"}, {});
  return d;
}

// Two samples, with ids that every fixture has.
const TokenBatch samples{{0, 3, 5}, {5, 9, 2, 7, 3}, {0, 0, 0, 0, 0}};

std::vector<float> outputs(const ModelDescription& description) {
  auto backend = device::make_cpu_backend<float>(1, 0);
  const Model<float> model(*backend, description);
  const auto batch = model.batch(samples);
  std::vector<std::unique_ptr<Tape<float>>> tapes;
  Value out = -1;
  for (int s = 0; s < model.segments(); ++s) {
    tapes.push_back(std::make_unique<Tape<float>>(model.tape()));
    Value in = -1;
    if (s > 0) {
      const auto& before = *tapes[static_cast<std::size_t>(s) - 1];
      in = tapes.back()->input(before.layout(out), before.width(out), before.data(out));
    }
    out = model.forward(s, *tapes.back(), batch, in);
  }
  const auto& last = *tapes.back();
  return {last.data(out), last.data(out) + last.rows(out) * last.width(out)};
}

// LayerNorm.weight and .bias under the names they had in TensorFlow.
void rename_norms(test::Tensors& tensors) {
  test::Tensors renamed;
  for (auto& [name, tensor] : tensors) {
    std::string to = name;
    if (to.ends_with("LayerNorm.weight")) to.replace(to.rfind('.'), to.npos, ".gamma");
    if (to.ends_with("LayerNorm.bias")) to.replace(to.rfind('.'), to.npos, ".beta");
    renamed[to] = std::move(tensor);
  }
  tensors = std::move(renamed);
}

class EncoderFamilies : public testing::TestWithParam<const char*> {
 protected:
  test::TemporaryFolder folder_;
};
INSTANTIATE_TEST_SUITE_P(Fixtures, EncoderFamilies, testing::Values("bert", "roberta"));

TEST_P(EncoderFamilies, LayerNormsMayHaveTheirOldNames) {
  const auto now = describe(test::fixtures() + "/models/" + GetParam());
  const auto old = describe(test::changed_model(folder_, GetParam(), rename_norms));
  ASSERT_EQ(old.architecture.parameters.size(), now.architecture.parameters.size());
  int renamed = 0;
  for (std::size_t p = 0; p < now.architecture.parameters.size(); ++p) {
    const auto &a = now.architecture.parameters[p], &b = old.architecture.parameters[p];
    EXPECT_EQ(b.name, a.name);  // what users' patterns match
    EXPECT_EQ(b.part, a.part);
    renamed += a.source != b.source;
  }
  EXPECT_EQ(renamed, 2 * (1 + 2 * static_cast<int>(now.config.num_hidden_layers)));
  EXPECT_EQ(outputs(old), outputs(now));
}

TEST_P(EncoderFamilies, MissingNormsAreNamedAsTheyAreToday) {
  const auto path = test::changed_model(folder_, GetParam(), [](test::Tensors& tensors) {
    tensors.erase("encoder.layer.1.output.LayerNorm.bias");
  });
  EXPECT_THAT(test::error_of(ExitCode::input, [&] { describe(path); }),
              testing::HasSubstr("no tensor encoder.layer.1.output.LayerNorm.bias"));
}

// The order of the record decides in which order cotangents add up: the source's, whatever the
// compiler.
TEST_P(EncoderFamilies, QueryKeyAndValueAreRecordedInThisOrder) {
  const auto description = describe(test::fixtures() + "/models/" + GetParam());
  auto backend = device::make_cpu_backend<float>(1, 0);
  const Model<float> model(*backend, description);
  const auto batch = model.batch(samples);
  const std::int64_t width = description.config.hidden_size;
  const Buffer<float> x(*backend, std::vector<float>(static_cast<std::size_t>(5 * width), 0.5f));
  auto tape = model.tape();
  const Value out = model.forward(1, tape, batch, tape.input(batch.rows, width, x.data()));
  Cotangents<float> cotangents(tape, 1);
  cotangents.add_to(out);
  tape.backward(cotangents);
  std::vector<std::string> order;
  for (const auto& f : cotangents.factors) {
    const auto& name =
        description.architecture.parameters[static_cast<std::size_t>(f.parameter)].name;
    for (const char* map : {"query", "key", "value"}) {
      if (name.ends_with(std::string(map) + ".weight")) order.push_back(map);
    }
  }
  EXPECT_THAT(order, ElementsAre("value", "key", "query"));
}

}  // namespace
}  // namespace ntk::model
