// Bodies drawn anew: which tensors, from which distribution, and always the same numbers.
#include "model/initialisation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "model/model.hpp"
#include "support/checkpoints.hpp"

namespace ntk::model {
namespace {

using testing::Each;
using testing::HasSubstr;

ModelDescription describe(const std::string& name, const std::string& initialisation,
                          std::int64_t layers = 0, std::int64_t seed = 1) {
  ModelDescription d;
  d.path = test::fixtures() + "/models/" + name;
  d.config = read_config(d.path);
  d.checkpoint = std::make_shared<Checkpoint>(d.path);
  d.choices.own_head = name.ends_with("classifier");
  d.choices.outputs = 2;
  d.architecture = make_architecture(d.config, *d.checkpoint, d.choices);
  if (!d.choices.own_head) d.head = random_head(2, d.config.hidden_size, 1, 1);
  mark_drawn(d.architecture, initialisation, layers);
  d.initialisation_seed = seed;
  return d;
}

// Every tensor as the model uses it, by name.
std::map<std::string, std::vector<float>> weights(const ModelDescription& description) {
  auto backend = device::make_cpu_backend<float>(1, 0);
  const Model<float> model(*backend, description);
  const auto tape = model.tape();
  std::map<std::string, std::vector<float>> values;
  const auto& parameters = description.architecture.parameters;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const float* data = tape.parameter(static_cast<ParameterId>(p));
    values[parameters[p].name] = {data, data + parameters[p].count()};
  }
  return values;
}

std::set<std::string> changed(const ModelDescription& a, const ModelDescription& b) {
  const auto x = weights(a), y = weights(b);
  std::set<std::string> names;
  for (const auto& [name, values] : x) {
    if (values != y.at(name)) names.insert(name);
  }
  return names;
}

TEST(Initialisation, RandomBodiesAreAsTheTransformersLibraryMakesThem) {
  for (const std::string name : {"bert", "roberta", "bert-classifier"}) {
    const auto d = describe(name, "random");
    const double std = d.config.initializer_range;
    ASSERT_GT(std, 0);
    double sum = 0, square = 0, count = 0;
    for (const auto& [tensor, values] : weights(d)) {
      if (tensor.starts_with("head.")) continue;
      if (tensor.find("LayerNorm.weight") != std::string::npos) {
        EXPECT_THAT(values, Each(1.0f)) << tensor;
      } else if (tensor.ends_with(".bias")) {
        EXPECT_THAT(values, Each(0.0f)) << tensor;
      } else {
        for (const float v : values) {
          if (v == 0) continue;  // padding
          sum += v;
          square += static_cast<double>(v) * v;
          count += 1;
        }
      }
    }
    ASSERT_GT(count, 3000);
    EXPECT_LT(std::abs(sum / count), 4 * std / std::sqrt(count)) << name;
    EXPECT_NEAR(std::sqrt(square / count) / std, 1, 4 / std::sqrt(2 * count)) << name;
  }
}

TEST(Initialisation, ThePaddingTokensRowIsZero) {
  for (const std::string name : {"bert", "roberta"}) {
    const auto d = describe(name, "random");
    const auto values = weights(d);
    const auto width = static_cast<std::size_t>(d.config.hidden_size);
    const auto zero_rows = [&](const std::string& ending) {
      std::set<std::size_t> rows;
      for (const auto& [tensor, v] : values) {
        if (!tensor.ends_with(ending)) continue;
        for (std::size_t r = 0; r < v.size() / width; ++r) {
          if (std::all_of(v.begin() + static_cast<std::ptrdiff_t>(r * width),
                          v.begin() + static_cast<std::ptrdiff_t>((r + 1) * width),
                          [](float x) { return x == 0; })) {
            rows.insert(r);
          }
        }
      }
      return rows;
    };
    const std::set<std::size_t> padding{static_cast<std::size_t>(d.config.pad_token_id)};
    EXPECT_EQ(zero_rows("word_embeddings.weight"), padding);
    EXPECT_EQ(zero_rows("position_embeddings.weight"),
              name == "roberta" ? padding : std::set<std::size_t>());
    EXPECT_TRUE(zero_rows("token_type_embeddings.weight").empty());
  }
}

TEST(Initialisation, MixedChangesTheLastLayersAndNothingElse) {
  for (const std::string name : {"bert", "roberta", "bert-classifier"}) {
    const auto pretrained = describe(name, "pretrained"), mixed = describe(name, "mixed", 1);
    const std::string last = fmt::format("layer.{}.", pretrained.config.num_hidden_layers - 1);
    const auto names = changed(pretrained, mixed);
    EXPECT_FALSE(names.empty());
    std::size_t of_last = 0;
    for (const auto& p : pretrained.architecture.parameters) {
      of_last += p.name.find("." + last) != std::string::npos ? 1 : 0;
    }
    EXPECT_EQ(of_last, 16u);
    for (const auto& tensor : names) EXPECT_THAT(tensor, HasSubstr("." + last));
    // The drawn ones are those of a random body of the same seed.
    const auto drawn = weights(mixed), all = weights(describe(name, "random"));
    for (const auto& tensor : names) EXPECT_EQ(drawn.at(tensor), all.at(tensor)) << tensor;
  }
}

TEST(Initialisation, RandomChangesThePoolerAndKeepsTheHead) {
  const auto names =
      changed(describe("bert-classifier", "pretrained"), describe("bert-classifier", "random"));
  EXPECT_TRUE(names.contains("bert.pooler.dense.weight"));
  EXPECT_FALSE(names.contains("head.weight"));
  EXPECT_FALSE(names.contains("head.bias"));
}

TEST(Initialisation, SeedsAndTensorsHaveNumbersOfTheirOwn) {
  const auto names = changed(describe("bert", "random"), describe("bert", "random", 0, 2));
  EXPECT_TRUE(names.contains("embeddings.word_embeddings.weight"));
  EXPECT_TRUE(changed(describe("bert", "random", 0, 2), describe("bert", "random", 0, 2)).empty());
  const auto values = weights(describe("bert", "random"));
  EXPECT_NE(values.at("encoder.layer.0.attention.self.query.weight"),
            values.at("encoder.layer.0.attention.self.key.weight"));
  // Other platforms draw the same: the first numbers of one tensor.
  const auto& first = values.at("encoder.layer.1.output.dense.weight");
  EXPECT_NEAR(first[0], -0.012808185, 1e-9);
  EXPECT_NEAR(first[1], 0.006539338, 1e-9);
}

TEST(Initialisation, InFp64TheNumbersAreTheSame) {
  const auto d = describe("bert", "random");
  auto backend = device::make_cpu_backend<double>(1, 0);
  const Model<double> model(*backend, d);
  const auto single = weights(d);
  for (std::size_t p = 0; p < d.architecture.parameters.size(); ++p) {
    const auto& parameter = d.architecture.parameters[p];
    const double* data = model.tape().parameter(static_cast<ParameterId>(p));
    for (std::int64_t i = 0; i < parameter.count(); ++i) {
      ASSERT_EQ(data[i], single.at(parameter.name)[static_cast<std::size_t>(i)]);
    }
  }
}

TEST(Initialisation, LayersThatAreNotThereAreRefused) {
  for (const std::int64_t layers : {0, 3}) {
    EXPECT_THAT(test::error_of(ExitCode::usage, [&] { describe("bert", "mixed", layers); }),
                testing::AllOf(HasSubstr(fmt::format("model.reinitialised_layers = {}", layers)),
                               HasSubstr("give 1 to 2")));
  }
  describe("bert", "mixed", 2);
}

}  // namespace
}  // namespace ntk::model
