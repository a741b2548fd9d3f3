#include "model/safetensors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/sha256.hpp"
#include "support/files.hpp"

namespace ntk::model {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string raw(const auto& values) {
  return {reinterpret_cast<const char*>(std::data(values)),
          std::size(values) * sizeof(*std::data(values))};
}

// A file of the given header text, its length field and the data that follows.
std::string file_of(const std::string& header, const std::string& data) {
  const std::vector<std::uint64_t> length = {header.size()};
  return raw(length) + header + data;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                     offsets);
}

std::string object(const std::vector<std::string>& entries) {
  return fmt::format("{{{}}}", fmt::join(entries, ","));
}

class Safetensors : public testing::Test {
 protected:
  SafetensorsFile open(const std::string& content) {
    return SafetensorsFile(folder_.write("m.safetensors", content));
  }
  std::string error(const std::string& header, const std::string& data) {
    return error_of(file_of(header, data));
  }
  std::string error_of(const std::string& content) {
    return test::error_of(ExitCode::input, [&] { open(content); });
  }
  test::TemporaryFolder folder_;
};

TEST_F(Safetensors, ReadsTensorsOfEveryRealType) {
  const std::vector<double> f64 = {1.5, -2.25};
  const std::vector<float> f32 = {0.5f, 3.0f, -1.0f};
  // One, minus two, the smallest subnormal, the largest number (IEEE 754 binary16).
  const std::vector<std::uint16_t> f16 = {0x3c00, 0xc000, 0x0001, 0x7bff};
  const std::vector<std::uint16_t> bf16 = {0x3f80, 0xc020};
  const std::vector<std::int64_t> i64 = {0, 1};
  const auto file = open(file_of(
      object({R"("__metadata__":{"format":"pt"})", entry("d", "F64", "[2]", "[0,16]"),
              entry("s", "F32", "[3,1]", "[16,28]"), entry("h", "F16", "[2,2]", "[28,36]"),
              entry("b", "BF16", "[1,2]", "[36,40]"), entry("i", "I64", "[2]", "[40,56]"),
              entry("none", "F32", "[0,7]", "[56,56]"), entry("scalar", "F32", "[]", "[56,60]")}) +
          "   ",
      raw(f64) + raw(f32) + raw(f16) + raw(bf16) + raw(i64) + raw(std::vector<float>{7})));
  EXPECT_THAT(file.names(), ElementsAre("b", "d", "h", "i", "none", "s", "scalar"));
  EXPECT_TRUE(file.has("d"));
  EXPECT_FALSE(file.has("x"));
  EXPECT_THAT(file.shape("s"), ElementsAre(3, 1));
  EXPECT_THAT(file.shape("scalar"), ElementsAre());
  EXPECT_THAT(file.read<double>("d"), ElementsAre(1.5, -2.25));
  EXPECT_THAT(file.read<float>("d"), ElementsAre(1.5f, -2.25f));
  EXPECT_THAT(file.read<double>("s"), ElementsAre(0.5, 3.0, -1.0));
  EXPECT_THAT(file.read<double>("h"), ElementsAre(1.0, -2.0, std::ldexp(1.0, -24), 65504.0));
  EXPECT_THAT(file.read<float>("b"), ElementsAre(1.0f, -2.5f));
  EXPECT_THAT(file.read<float>("scalar"), ElementsAre(7.0f));
  EXPECT_THAT(file.read<float>("none"), ElementsAre());
  EXPECT_THAT(test::error_of(ExitCode::input, [&] { file.read<float>("i"); }),
              AllOf(HasSubstr("tensor i"), HasSubstr("I64")));
  EXPECT_THAT(test::error_of(ExitCode::input, [&] { file.read<float>("scala"); }),
              AllOf(HasSubstr("no tensor scala"), HasSubstr("scalar")));
}

TEST_F(Safetensors, ViewsAlignedF32InPlace) {
  for (const std::string& padding : {std::string(), std::string(" "), std::string("  ")}) {
    const std::string header = object({entry("a", "F32", "[2]", "[0,8]")}) + padding;
    const auto file = open(file_of(header, raw(std::vector<float>{1, 2})));
    EXPECT_EQ(file.viewable_f32("a"), header.size() % 4 == 0);
    EXPECT_THAT(file.read<float>("a"), ElementsAre(1.0f, 2.0f));
    if (file.viewable_f32("a")) {
      EXPECT_THAT(file.view_f32("a"), ElementsAre(1.0f, 2.0f));
    }
  }
  const auto file =
      open(file_of(object({entry("a", "F64", "[1]", "[0,8]")}), raw(std::vector<double>{1})));
  EXPECT_FALSE(file.viewable_f32("a"));
}

TEST_F(Safetensors, NotFiniteWeightsAreNamed) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::string header = object({entry("w.weight", "F32", "[2,2]", "[0,16]")});
  const std::string padding(7 - (header.size() + 7) % 8, ' ');
  const auto file = open(file_of(header + padding, raw(std::vector<float>{1, 2, nan, 3})));
  for (const auto& message :
       {test::error_of(ExitCode::input, [&] { file.read<float>("w.weight"); }),
        test::error_of(ExitCode::input, [&] { file.read<double>("w.weight"); }),
        test::error_of(ExitCode::input, [&] { file.view_f32("w.weight"); })}) {
    EXPECT_THAT(message, AllOf(HasSubstr("w.weight"), HasSubstr("not finite"),
                               HasSubstr("element 2 is nan")));
  }
  // Finite as double, infinite as float; infinite and NaN in half precision.
  const auto wide =
      open(file_of(object({entry("d", "F64", "[1]", "[0,8]")}), raw(std::vector<double>{1e300})));
  EXPECT_THAT(wide.read<double>("d"), ElementsAre(1e300));
  EXPECT_THAT(test::error_of(ExitCode::input, [&] { wide.read<float>("d"); }),
              HasSubstr("element 0 is inf"));
  for (const std::uint16_t bits : {0x7c00, 0xfc00, 0x7e01}) {
    const auto half = open(file_of(object({entry("h", "F16", "[1]", "[0,2]")}),
                                   raw(std::vector<std::uint16_t>{bits})));
    EXPECT_THAT(test::error_of(ExitCode::input, [&] { half.read<float>("h"); }),
                HasSubstr("not finite"));
  }
}

TEST_F(Safetensors, MissingAndShortFiles) {
  EXPECT_THAT(test::error_of(ExitCode::input, [&] { SafetensorsFile(folder_.path("none")); }),
              HasSubstr("no file"));
  EXPECT_THAT(test::error_of(ExitCode::input, [&] { SafetensorsFile(folder_.path()); }),
              HasSubstr("is not a file"));
  EXPECT_THAT(error_of(""), HasSubstr("truncated"));
  EXPECT_THAT(error_of("1234567"), HasSubstr("truncated"));
  EXPECT_THAT(error_of(raw(std::vector<std::uint64_t>{1}).substr(0, 8)), HasSubstr("truncated"));
}

TEST_F(Safetensors, HeaderLength) {
  EXPECT_THAT(error_of(raw(std::vector<std::uint64_t>{100'000'001}) + "{}"),
              HasSubstr("the limit is 100000000"));
  EXPECT_THAT(error_of(raw(std::vector<std::uint64_t>{~std::uint64_t{0}}) + "{}"),
              HasSubstr("the limit is 100000000"));
  EXPECT_THAT(error_of(raw(std::vector<std::uint64_t>{3}) + "{}"), HasSubstr("only 2 follow"));
  EXPECT_THAT(error_of(raw(std::vector<std::uint64_t>{1}) + "{}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of(raw(std::vector<std::uint64_t>{0})), HasSubstr("not a JSON object"));
}

TEST_F(Safetensors, HeaderIsStrictJson) {
  EXPECT_TRUE(open(file_of("{}", "")).names().empty());
  EXPECT_THAT(error("[]", ""), HasSubstr("not a JSON object"));
  EXPECT_THAT(error(" {}", ""), HasSubstr("not a JSON object"));
  EXPECT_THAT(error("\xef\xbb\xbf{}", ""), HasSubstr("not a JSON object"));
  EXPECT_THAT(error("{\"a\":", ""), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("{}{}", ""), HasSubstr("not valid JSON"));
  EXPECT_THAT(error(std::string("{}\0", 3), ""), HasSubstr("NUL byte"));
  EXPECT_THAT(error("{\"\xc3\x28\":1}", ""), HasSubstr("UTF-8"));
  const std::string a = entry("a", "F32", "[1]", "[0,4]");
  EXPECT_THAT(error(object({a, a}), "1234"), HasSubstr("key \"a\" twice"));
  EXPECT_THAT(error("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],"
                    "\"data_offsets\":[0,4]}}",
                    "1234"),
              HasSubstr("key \"dtype\" twice"));
  std::string deep = "{\"a\":";
  deep += std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_THAT(error(deep, ""), HasSubstr("nested too deeply"));
}

TEST_F(Safetensors, TensorEntries) {
  EXPECT_THAT(error("{\"a\":3}", ""), HasSubstr("not exactly dtype, shape and data_offsets"));
  EXPECT_THAT(error("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", ""), HasSubstr("not exactly"));
  EXPECT_THAT(error("{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", "1234"),
              HasSubstr("not exactly"));
  EXPECT_THAT(
      error("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":0}}", "1234"),
      HasSubstr("not exactly"));
  EXPECT_THAT(error(object({entry("a", "F33", "[1]", "[0,4]")}), "1234"), HasSubstr("type F33"));
  EXPECT_THAT(error("{\"__metadata__\":{\"a\":1}}", ""), HasSubstr("__metadata__"));
  EXPECT_THAT(error("{\"__metadata__\":[]}", ""), HasSubstr("__metadata__"));
}

TEST_F(Safetensors, SizesAreNonNegativeIntegers) {
  for (const char* bad : {"-1", "1.0", "1e0", "\"1\"", "null", "[1]", "18446744073709551615",
                          "18446744073709551616", "-9223372036854775808"}) {
    const std::string list = fmt::format("[{}]", bad);
    const std::string range = fmt::format("[0,{}]", bad);
    EXPECT_THAT(error(object({entry("a", "F32", list, "[0,4]")}), "1234"),
                HasSubstr("shape holds"));
    EXPECT_THAT(error(object({entry("a", "F32", "[1]", range)}), "1234"),
                HasSubstr("data_offsets holds"));
  }
  EXPECT_THAT(error(object({entry("a", "F32", "4", "[0,4]")}), "1234"), HasSubstr("not a list"));
  EXPECT_THAT(error(object({entry("a", "F32", "[1]", "[0]")}), "1234"), HasSubstr("not a range"));
  EXPECT_THAT(error(object({entry("a", "F32", "[1]", "[4,0]")}), "1234"), HasSubstr("not a range"));
}

TEST_F(Safetensors, ShapesMatchByteRanges) {
  EXPECT_THAT(error(object({entry("a", "F32", "[2]", "[0,4]")}), "1234"),
              HasSubstr("ask for 8 bytes, data_offsets for 4"));
  const std::string huge = "9223372036854775807";
  EXPECT_THAT(error(object({entry("a", "F32", fmt::format("[{}]", huge), "[0,4]")}), "1234"),
              HasSubstr("overflows"));
  EXPECT_THAT(error(object({entry("a", "U8", "[4294967296,4294967296,4]", "[0,0]")}), ""),
              HasSubstr("overflows"));
  // 2^62 elements of 4 bytes are 2^64 bytes: 0 when not checked.
  EXPECT_THAT(error(object({entry("a", "F32", "[4611686018427387904]", "[0,0]")}), ""),
              HasSubstr("overflows"));
}

TEST_F(Safetensors, RangesAreContiguousAndFillTheFile) {
  const auto two = [](const std::string& first, const std::string& second) {
    return object({entry("a", "F32", "[1]", first), entry("b", "F32", "[1]", second)});
  };
  EXPECT_EQ(open(file_of(two("[0,4]", "[4,8]"), "12345678")).names().size(), 2u);
  EXPECT_EQ(open(file_of(two("[4,8]", "[0,4]"), "12345678")).names().size(), 2u);
  EXPECT_THAT(error(two("[0,4]", "[8,12]"), "123456789012"), HasSubstr("where 4 was due"));
  EXPECT_THAT(error(two("[0,4]", "[2,6]"), "123456"), HasSubstr("where 4 was due"));
  EXPECT_THAT(error(two("[0,4]", "[0,4]"), "1234"), HasSubstr("where 4 was due"));
  EXPECT_THAT(error(two("[4,8]", "[8,12]"), "123456789012"), HasSubstr("where 0 was due"));
  EXPECT_THAT(error(two("[0,4]", "[4,8]"), "1234567"), HasSubstr("truncated"));
  EXPECT_THAT(error(two("[0,4]", "[4,8]"), "123456789"), HasSubstr("there is more"));
}

TEST_F(Safetensors, NamesInMessagesAreHarmless) {
  EXPECT_THAT(error(object({entry("a\\u001b[2J", "F33", "[1]", "[0,4]")}), "1234"),
              HasSubstr("tensor a?[2J"));
}

TEST_F(Safetensors, WritesWhatItReads) {
  const std::map<std::string, NamedTensor> tensors = {
      {"weight", {{2, 3}, {1, 2, 3, 4, 5, 6}}}, {"bias", {{2}, {-1, 0.25f}}}, {"s", {{}, {9}}}};
  const std::string path = folder_.path("head.safetensors");
  write_safetensors(path, tensors);
  const SafetensorsFile file(path);
  EXPECT_THAT(file.names(), ElementsAre("bias", "s", "weight"));
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(file.shape(name), tensor.shape);
    EXPECT_EQ(file.read<float>(name), tensor.data);
    EXPECT_TRUE(file.viewable_f32(name));
  }
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
  EXPECT_THAT(
      test::error_of(ExitCode::io, [&] { write_safetensors(folder_.path("no/head"), tensors); }),
      HasSubstr("cannot write"));
}

TEST_F(Safetensors, MetadataComesBack) {
  const std::string path = folder_.path("head.safetensors");
  const std::map<std::string, std::string> metadata = {{"probe", "{\"a\": [1, \"\u00e4\"]}"},
                                                       {"empty", ""}};
  write_safetensors(path, {{"b", {{1}, {2}}}}, metadata);
  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata(), metadata);
  EXPECT_THAT(file.names(), ElementsAre("b"));
  EXPECT_EQ(file.read<float>("b"), std::vector<float>{2});
  write_safetensors(path, {{"b", {{1}, {2}}}});
  EXPECT_TRUE(SafetensorsFile(path).metadata().empty());
}

TEST_F(Safetensors, DamagedBytesNeverCrash) {
  const std::string path = folder_.path("good.safetensors");
  write_safetensors(path, {{"weight", {{2, 3}, {1, 2, 3, 4, 5, 6}}}, {"bias", {{2}, {-1, 0.25f}}}});
  std::string good(std::filesystem::file_size(path), '\0');
  std::ifstream(path, std::ios::binary)
      .read(good.data(), static_cast<std::streamsize>(good.size()));
  std::mt19937_64 random(1);
  int read = 0, refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = good;
    for (std::uint64_t flips = 1 + random() % 3; flips > 0; --flips) {
      damaged[random() % damaged.size()] ^= static_cast<char>(1u << random() % 8);
    }
    if (random() % 8 == 0) damaged.resize(random() % damaged.size());
    try {
      const auto file = open(damaged);
      for (const auto& name : file.names()) file.read<double>(name);
      ++read;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::input) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(read, 50);  // damage of the data alone
  EXPECT_GT(refused, 500);
}

class CheckpointFolder : public testing::Test {
 protected:
  std::string error() {
    return test::error_of(ExitCode::input, [&] { Checkpoint{folder_.path()}; });
  }
  void index(const std::string& text) { folder_.write("model.safetensors.index.json", text); }
  test::TemporaryFolder folder_;
};

TEST_F(CheckpointFolder, OneFile) {
  write_safetensors(folder_.path("model.safetensors"), {{"a", {{2}, {1, 2}}}});
  const Checkpoint checkpoint(folder_.path());
  EXPECT_THAT(checkpoint.names(), ElementsAre("a"));
  EXPECT_TRUE(checkpoint.has("a"));
  EXPECT_THAT(checkpoint.shape("a"), ElementsAre(2));
  EXPECT_THAT(checkpoint.read<double>("a"), ElementsAre(1, 2));
  EXPECT_THAT(checkpoint.view_f32("a"), ElementsAre(1, 2));
  EXPECT_EQ(checkpoint.sha256(), sha256_file(folder_.path("model.safetensors")));
  EXPECT_THAT(test::error_of(ExitCode::input, [&] { checkpoint.read<float>("b"); }),
              HasSubstr("no tensor b"));
}

TEST_F(CheckpointFolder, Shards) {
  write_safetensors(folder_.path("model-1.safetensors"), {{"b", {{1}, {1}}}});
  write_safetensors(folder_.path("model-2.safetensors"), {{"a", {{1}, {2}}}});
  index(R"({"metadata": {"total_size": 8},
            "weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors"}})");
  const Checkpoint checkpoint(folder_.path());
  EXPECT_THAT(checkpoint.names(), ElementsAre("a", "b"));
  EXPECT_THAT(checkpoint.read<float>("a"), ElementsAre(2));
  EXPECT_THAT(checkpoint.read<float>("b"), ElementsAre(1));
  Sha256 hash;
  hash.update(SafetensorsFile(folder_.path("model-1.safetensors")).bytes());
  hash.update(SafetensorsFile(folder_.path("model-2.safetensors")).bytes());
  EXPECT_EQ(checkpoint.sha256(), hash.hex());
}

TEST_F(CheckpointFolder, BadOnes) {
  EXPECT_THAT(error(), AllOf(HasSubstr("no file"), HasSubstr("model.safetensors")));
  index("{}");
  EXPECT_THAT(error(), HasSubstr("weight_map"));
  index(R"({"weight_map": {"a": "../model.safetensors"}})");
  EXPECT_THAT(error(), HasSubstr("not the name of a .safetensors file beside it"));
  index("{\"weight_map\": {\"a\": \"\\u001b[2J.safetensors\"}}");
  EXPECT_THAT(error(), HasSubstr("not the name of a .safetensors file beside it"));
  index(R"({"weight_map": {"a": 3}})");
  EXPECT_THAT(error(), HasSubstr("not the name of a .safetensors file beside it"));
  index(R"({"weight_map": {"a": "m.safetensors"}})");
  EXPECT_THAT(error(), HasSubstr("no file"));
  write_safetensors(folder_.path("m.safetensors"), {{"b", {{1}, {1}}}});
  EXPECT_THAT(error(), HasSubstr("lacks tensor a"));
}

TEST_F(CheckpointFolder, PicklesAreToBeConverted) {
  for (const char* name : {"pytorch_model.bin.index.json", "pytorch_model.bin"}) {
    folder_.write(name, "{}");
    EXPECT_THAT(error(), AllOf(HasSubstr("model.safetensors"), HasSubstr(name),
                               HasSubstr("convert it to safetensors")));
  }
  write_safetensors(folder_.path("model.safetensors"), {{"a", {{1}, {1}}}});
  EXPECT_EQ(error(), "no error");
}

TEST(Fixtures, AreReadable) {
  const Checkpoint checkpoint(test::fixtures() + "/models/bert");
  EXPECT_TRUE(checkpoint.has("embeddings.word_embeddings.weight"));
  for (const auto& name : checkpoint.names()) {
    if (!name.ends_with("position_ids")) {
      EXPECT_FALSE(checkpoint.read<float>(name).empty()) << name;
    }
  }
}

}  // namespace
}  // namespace ntk::model
