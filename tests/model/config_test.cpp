#include "model/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/files.hpp"

namespace ntk::model {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

json good() {
  return {{"model_type", "bert"},     {"hidden_size", 16},       {"num_hidden_layers", 2},
          {"num_attention_heads", 4}, {"intermediate_size", 24}, {"max_position_embeddings", 24},
          {"vocab_size", 40}};
}

class ConfigFile : public testing::Test {
 protected:
  ModelConfig read(const json& config) {
    folder_.write("config.json", config.dump());
    return read_config(folder_.path());
  }
  // The error when `key` has `value` (or is missing, when that is discarded).
  std::string error(const std::string& key, const json& value) {
    json config = good();
    config[key] = value;
    return test::error_of(ExitCode::input, [&] { read(config); });
  }
  ModelConfig with(const json& changes) {
    json config = good();
    config.update(changes);
    return read(config);
  }
  test::TemporaryFolder folder_;
};

TEST_F(ConfigFile, DefaultsAreThoseOfTheLibrary) {
  const ModelConfig config = read(good());
  EXPECT_EQ(config.model_type, "bert");
  EXPECT_EQ(config.hidden_size, 16);
  EXPECT_EQ(config.num_hidden_layers, 2);
  EXPECT_EQ(config.num_attention_heads, 4);
  EXPECT_EQ(config.intermediate_size, 24);
  EXPECT_EQ(config.max_position_embeddings, 24);
  EXPECT_EQ(config.vocab_size, 40);
  EXPECT_EQ(config.type_vocab_size, 2);
  EXPECT_EQ(config.pad_token_id, 0);
  EXPECT_EQ(config.layer_norm_eps, 1e-12);
  EXPECT_EQ(config.hidden_act, Activation::gelu_erf);
  EXPECT_EQ(config.num_labels, 2);
  EXPECT_EQ(config.max_tokens(), 24);
  EXPECT_TRUE(config.architectures.empty());
}

TEST_F(ConfigFile, ValuesAreRead) {
  const ModelConfig config = with({{"model_type", "roberta"},
                                   {"architectures", {"RobertaForSequenceClassification"}},
                                   {"layer_norm_eps", 1e-5},
                                   {"pad_token_id", 1},
                                   {"type_vocab_size", 1},
                                   {"id2label", {{"1", "good"}, {"0", "bad"}, {"2", "so"}}},
                                   {"num_labels", 3}});
  EXPECT_THAT(config.architectures, ElementsAre("RobertaForSequenceClassification"));
  EXPECT_EQ(config.layer_norm_eps, 1e-5);
  EXPECT_EQ(config.type_vocab_size, 1);
  EXPECT_THAT(config.labels, ElementsAre("bad", "good", "so"));
  EXPECT_EQ(config.num_labels, 3);
  EXPECT_EQ(config.max_tokens(), 22);  // positions begin at pad_token_id + 1
}

TEST_F(ConfigFile, Activations) {
  for (const auto& [name, activation] : {std::pair{"gelu", Activation::gelu_erf},
                                         {"gelu_new", Activation::gelu_tanh},
                                         {"gelu_pytorch_tanh", Activation::gelu_tanh},
                                         {"relu", Activation::relu},
                                         {"tanh", Activation::tanh},
                                         {"silu", Activation::silu}}) {
    EXPECT_EQ(with({{"hidden_act", name}}).hidden_act, activation);
  }
  EXPECT_THAT(error("hidden_act", "mish"), AllOf(HasSubstr("mish"), HasSubstr("gelu_new")));
}

TEST_F(ConfigFile, UnsupportedModelsAreNamedWithTheSupported) {
  for (const auto& family : supported_families()) {
    EXPECT_EQ(with({{"model_type", family}}).model_type, family);
  }
  EXPECT_THAT(error("model_type", "t5"), AllOf(HasSubstr("\"t5\""), HasSubstr("bert, roberta")));
  EXPECT_THAT(error("position_embedding_type", "relative_key"), HasSubstr("absolute"));
  EXPECT_THAT(error("is_decoder", true), HasSubstr("only encoders"));
  EXPECT_THAT(error("is_encoder_decoder", true), HasSubstr("only encoders"));
}

TEST_F(ConfigFile, BadValuesAreNamed) {
  for (const char* key : {"hidden_size", "num_hidden_layers", "num_attention_heads",
                          "intermediate_size", "max_position_embeddings", "vocab_size"}) {
    EXPECT_THAT(error(key, nullptr), HasSubstr(std::string("lacks ") + key));
    for (const json& bad : {json(0), json(-1), json(1.5), json("16"), json(true), json::array(),
                            json(3000000000u), json(18446744073709551615u)}) {
      EXPECT_THAT(error(key, bad), AllOf(HasSubstr(key), HasSubstr("must be an integer"))) << bad;
    }
  }
  EXPECT_THAT(error("model_type", nullptr), HasSubstr("lacks model_type"));
  EXPECT_THAT(error("model_type", 3), HasSubstr("must be text"));
  EXPECT_THAT(error("num_attention_heads", 5), HasSubstr("does not divide hidden_size"));
  EXPECT_THAT(error("layer_norm_eps", 0), HasSubstr("must be a number above 0"));
  EXPECT_THAT(error("layer_norm_eps", "small"), HasSubstr("must be a number above 0"));
  EXPECT_THAT(error("pad_token_id", 40), HasSubstr("beyond the vocabulary"));
  EXPECT_THAT(error("is_decoder", 1), HasSubstr("true or false"));
  EXPECT_THAT(error("architectures", "BertModel"), HasSubstr("list of texts"));
  EXPECT_THAT(error("id2label", {{"0", "a"}, {"2", "b"}}), HasSubstr("no name of class 1"));
  EXPECT_THAT(error("id2label", json::array()), HasSubstr("table of names"));
  EXPECT_THAT(test::error_of(ExitCode::input,
                             [&] {
                               with({{"id2label", {{"0", "a"}}}, {"num_labels", 2}});
                             }),
              HasSubstr("contradicts id2label"));
  EXPECT_THAT(
      test::error_of(
          ExitCode::input,
          [&] {
            with({{"model_type", "roberta"}, {"max_position_embeddings", 2}, {"pad_token_id", 1}});
          }),
      HasSubstr("leaves no position"));
}

TEST_F(ConfigFile, BadFiles) {
  EXPECT_THAT(test::error_of(ExitCode::input, [&] { read_config(folder_.path("none")); }),
              AllOf(HasSubstr("no file"), HasSubstr("config.json")));
  for (const char* bad : {"", "[]", "{", "{\"model_type\": \"bert\"} x", "{\"a\":1,\"a\":2}"}) {
    folder_.write("config.json", bad);
    EXPECT_NE(test::error_of(ExitCode::input, [&] { read_config(folder_.path()); }), "no error");
  }
}

TEST(ConfigFixtures, AreReadable) {
  const ModelConfig bert = read_config(test::fixtures() + "/models/bert-classifier");
  EXPECT_EQ(bert.num_labels, 3);
  EXPECT_THAT(bert.architectures, ElementsAre("BertForSequenceClassification"));
  EXPECT_EQ(read_config(test::fixtures() + "/models/roberta").model_type, "roberta");
}

}  // namespace
}  // namespace ntk::model
