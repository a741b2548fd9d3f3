#include "store/disk.hpp"

#include "store/example.hpp"

namespace ntk::store {
namespace {

using namespace example;

TEST(ReplaceFile, LeavesTheOldOneOrTheNewOne) {
  const Scratch scratch;
  const std::string path = scratch / "file", partial = path + ".partial";
  replace_file(path, "old, and longer");
  replace_file(path, "new\n");
  EXPECT_EQ(bytes_of(path), "new\n");
  EXPECT_FALSE(file_exists(partial));

  std::filesystem::create_symlink("/dev/full", partial);
  expect_error(ExitCode::io, {path, "No space left on device"},
               [&] { replace_file(path, "newer"); });
  EXPECT_EQ(bytes_of(path), "new\n");
  expect_error(ExitCode::io, {scratch / "none", "No such file or directory"},
               [&] { replace_file(scratch / "none/file", ""); });
  std::filesystem::create_directory(scratch / "folder");
  expect_error(ExitCode::io, {scratch / "folder", "Is a directory"},
               [&] { replace_file(scratch / "folder", ""); });
}

}  // namespace
}  // namespace ntk::store
