// pooling = "last" from the tokens to the kernel. No fixture has it, but without knowledge of
// positions an encoder does not see the order of its tokens: the kernel of the last tokens is that
// of the first tokens of the same samples written backwards.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "jacobian/contraction.hpp"
#include "model/model.hpp"
#include "support/checkpoints.hpp"

namespace ntk::jacobian {
namespace {

using Buffer = model::Buffer<double>;
constexpr int outputs = 2;

model::ModelDescription describe(const std::string& path, model::Pooling pooling) {
  model::ModelDescription d;
  d.path = path;
  d.config = model::read_config(path);
  d.checkpoint = std::make_shared<model::Checkpoint>(path);
  d.choices.outputs = outputs;
  d.choices.pooling = pooling;
  d.architecture = model::make_architecture(d.config, *d.checkpoint, d.choices);
  d.head = model::random_head(outputs, d.config.hidden_size, 0.4, 1);
  // Rows of the position table do see the order.
  model::select_parameters(d.architecture, {"*"}, {"*position_embeddings.weight"});
  return d;
}

// The kernel of some samples, rows (output, sample).
std::vector<double> kernel_of(const model::ModelDescription& description,
                              const model::TokenBatch& samples) {
  auto backend = device::make_cpu_backend<double>(1, 0);
  const model::Model<double> model(*backend, description);
  const auto batch = model.batch(samples);
  std::vector<std::unique_ptr<model::Tape<double>>> tapes;
  std::vector<model::Value> in, out;
  for (int s = 0; s < model.segments(); ++s) {
    tapes.push_back(std::make_unique<model::Tape<double>>(model.tape()));
    in.push_back(-1);
    if (s > 0) {
      const auto& last = *tapes[tapes.size() - 2];
      in.back() = tapes.back()->input(last.layout(out.back()), last.width(out.back()),
                                      last.data(out.back()));
    }
    out.push_back(model.forward(s, *tapes.back(), batch, in.back()));
  }

  Settings settings;
  settings.copies = outputs;
  const std::int64_t count = batch.rows->samples(), rows = settings.tile_rows(count);
  std::vector<double> start;  // output c alone in copy c
  for (std::int64_t r = 0; r < rows; ++r) {
    for (int c = 0; c < outputs; ++c) start.push_back(r / count == c ? 1 : 0);
  }
  auto cotangent = std::make_shared<Buffer>(*backend, std::span<const double>(start));
  std::vector<double> kernel(static_cast<std::size_t>(rows * rows), 0.0);
  const PairTile tile{0, 0, true, kernel.data()};
  Times times;
  for (auto s = tapes.size(); s-- > 0;) {
    model::Cotangents<double> cotangents(*tapes[s], outputs);
    cotangents.set(out[s], cotangent);
    tapes[s]->backward(cotangents);
    for (const auto& factor : cotangents.factors) {
      const model::Factor<double>* factors[] = {&factor};
      contract_parameter<double>(*backend, settings, factors, std::span(&tile, 1), times, [] {});
    }
    if (s > 0) cotangent = cotangents.of(in[s]);
  }
  symmetrise(rows, kernel.data());
  return kernel;
}

model::TokenBatch backwards(model::TokenBatch samples) {
  for (std::size_t s = 0; s + 1 < samples.offsets.size(); ++s) {
    for (auto* ids : {&samples.tokens, &samples.types}) {
      std::reverse(ids->begin() + samples.offsets[s], ids->begin() + samples.offsets[s + 1]);
    }
  }
  return samples;
}

double distance(const std::vector<double>& x, const std::vector<double>& y) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    difference += (x[i] - y[i]) * (x[i] - y[i]);
    norm += y[i] * y[i];
  }
  return std::sqrt(difference / norm);
}

// Every position gets the embedding of the first.
void forget_positions(test::Tensors& tensors) {
  auto& table = tensors.at("embeddings.position_embeddings.weight");
  const auto width = static_cast<std::size_t>(table.shape[1]);
  for (std::size_t i = width; i < table.data.size(); ++i) table.data[i] = table.data[i % width];
}

class LastToken : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Fixtures, LastToken, testing::Values("bert", "roberta"));

TEST_P(LastToken, HasTheKernelOfTheFirstOneWrittenBackwards) {
  const test::TemporaryFolder folder;
  const auto path = test::changed_model(folder, GetParam(), forget_positions);
  const auto last = describe(path, model::Pooling::last),
             first = describe(path, model::Pooling::cls);
  model::TokenBatch samples{{0, 4, 5, 12, 14},
                            {5, 9, 2, 7, 3, 11, 5, 30, 2, 2, 17, 9, 8, 21},
                            std::vector<std::int32_t>(14, 0)};
  if (last.config.type_vocab_size > 1) samples.types = {0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1};
  const auto kernel = kernel_of(last, samples);
  EXPECT_LE(distance(kernel, kernel_of(first, backwards(samples))), 1e-12);
  EXPECT_GE(distance(kernel, kernel_of(first, samples)), 1e-2);  // the tokens do differ
}

}  // namespace
}  // namespace ntk::jacobian
