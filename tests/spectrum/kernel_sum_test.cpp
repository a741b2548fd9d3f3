#include "spectrum/kernel_sum.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace {

using namespace ntk;
using namespace ntk::spectrum;

const std::vector<std::string> groups = {"head", "body", "layer.3.attention"};

std::vector<Term> parse(const std::string& text) {
  return parse_sum("k", text, groups);
}

TEST(KernelSum, ReadsSums) {
  using Terms = std::vector<Term>;
  EXPECT_EQ(parse("all"), (Terms{{"total", 1}}));
  EXPECT_EQ(parse("total"), (Terms{{"total", 1}}));
  EXPECT_EQ(parse("  head "), (Terms{{"head", 1}}));
  EXPECT_EQ(parse("head + 0.25 * body"), (Terms{{"head", 1}, {"body", 0.25}}));
  EXPECT_EQ(parse("2.5e-1*body+head"), (Terms{{"body", 0.25}, {"head", 1}}));
  EXPECT_EQ(parse("body * 4 - layer.3.attention"), (Terms{{"body", 4}, {"layer.3.attention", -1}}));
  EXPECT_EQ(parse("-head + all"), (Terms{{"head", -1}, {"total", 1}}));
  EXPECT_EQ(parse("head + body + 2 * head"), (Terms{{"head", 3}, {"body", 1}}));
}

TEST(KernelSum, RefusesEverythingElseAndNamesTheGroups) {
  for (const char* text : {"", "  ", "+", "tail", "head +", "head body", "0.5", "0.5 head",
                           "head *", "head * body", "2 ** head", "head * inf", "nan * head",
                           "1e999 * head", "head + (body)", "head, body", "- - head", "Head"}) {
    try {
      parse(text);
      ADD_FAILURE() << "accepted \"" << text << "\"";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage) << text;
      EXPECT_THAT(error.what(), ::testing::HasSubstr("head, body, layer.3.attention")) << text;
      EXPECT_THAT(error.what(), ::testing::HasSubstr("spectrum.kernels k")) << text;
    }
  }
  EXPECT_THROW(parse_sum("k", "head", {}), Error);
}

}  // namespace
