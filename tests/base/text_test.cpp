#include "base/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/glob.hpp"
#include "base/sha256.hpp"
#include "support/files.hpp"

namespace ntk {
namespace {

TEST(Nearest, IsTheSmallestEditDistance) {
  const std::vector<std::string> words = {"samples", "evaluate", "overlong"};
  EXPECT_EQ(nearest("sample", words), "samples");
  EXPECT_EQ(nearest("evluate", words), "evaluate");
  EXPECT_EQ(nearest("over_long", words), "overlong");
  EXPECT_EQ(nearest("ab", {"b", "a"}), "b");  // the first of equals
  EXPECT_EQ(nearest("x", {}), "");
}

TEST(Printable, CutsAndCleans) {
  EXPECT_EQ(printable("a\x1b[2Jb\n"), "a?[2Jb?");
  EXPECT_EQ(printable(std::string(500, 'a')), std::string(240, 'a') + "...");
  EXPECT_EQ(printable(std::string(239, 'a') + "ü"), std::string(239, 'a') + "...");
  EXPECT_EQ(printable(std::string(500, '\x80')), "...");
}

TEST(Utf8, IsToldFromOtherBytes) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("größer"));
  EXPECT_FALSE(is_utf8("gr\xf6\xdf er"));
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));  // half of a surrogate pair
}

TEST(Join, SeparatesBetween) {
  EXPECT_EQ(join({}), "");
  EXPECT_EQ(join({"a"}), "a");
  EXPECT_EQ(join({"a", "b", "c"}, " or "), "a or b or c");
}

TEST(Glob, StarsAndQuestionMarks) {
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("*", "a.b/c"));
  EXPECT_TRUE(glob_match("*embeddings.weight", "embeddings.word_embeddings.weight"));
  EXPECT_FALSE(glob_match("*embeddings.weight", "embeddings.LayerNorm.weight"));
  EXPECT_TRUE(glob_match("encoder.layer.?.*.bias", "encoder.layer.3.output.dense.bias"));
  EXPECT_FALSE(glob_match("encoder.layer.?.*", "encoder.layer.13.output"));
  EXPECT_TRUE(glob_match("a*b*c", "a.b.b.c.c"));
  EXPECT_FALSE(glob_match("a*b*c", "a.b.b.c.d"));
  EXPECT_FALSE(glob_match("", "a"));
  EXPECT_TRUE(glob_match("", ""));
  EXPECT_FALSE(glob_match("head", "head.weight"));
  EXPECT_TRUE(glob_match("a[0]", "a[0]"));  // no character classes
}

TEST(Glob, ManyStarsTakeNoTime) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "a*";
  EXPECT_FALSE(glob_match(pattern + "b", std::string(5000, 'a')));
}

TEST(Sha256, KnownDigests) {  // FIPS 180-2, appendix B, and the empty message
  EXPECT_EQ(sha256_text(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_text("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_text(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, FilesInPieces) {
  const test::TemporaryFolder folder;
  const std::string content(3 * (1 << 20) + 17, 'x');
  EXPECT_EQ(sha256_file(folder.write("big", content)), sha256_text(content));
  EXPECT_THAT(test::error_of(ExitCode::input, [&] { sha256_file(folder.path("none")); }),
              testing::HasSubstr("no file"));
  EXPECT_THAT(test::error_of(ExitCode::io, [&] { sha256_file(folder.path()); }),
              testing::HasSubstr("cannot read"));
}

}  // namespace
}  // namespace ntk
