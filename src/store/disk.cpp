#include "store/disk.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/error.hpp"

namespace ntk::store {

namespace {

[[noreturn]] void fail_errno(const std::string& what) {
  fail(ExitCode::io, "cannot {} ({}) check the path, its permissions and the disk", what,
       std::strerror(errno));
}

// A file descriptor; closing is checked by syncing before.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags)
      : path_(path), value_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (value_ < 0) fail_errno("open " + path);
  }
  ~Descriptor() { ::close(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void sync() const {
    if (::fsync(value_) != 0) fail_errno("sync " + path_);
  }
  void resize(std::int64_t bytes) const {
    if (::ftruncate(value_, bytes) != 0) fail_errno("resize " + path_);
  }
  void read(std::int64_t offset, char* out, std::size_t bytes) const {
    while (bytes > 0) {
      const auto done = ::pread(value_, out, bytes, offset);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail_errno("read " + path_);
      require(done > 0, ExitCode::io, "cannot read {} (it ends too early) it is damaged", path_);
      out += done, offset += done, bytes -= static_cast<std::size_t>(done);
    }
  }
  void write(std::int64_t offset, const char* in, std::size_t bytes) const {
    while (bytes > 0) {
      const auto done = ::pwrite(value_, in, bytes, offset);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail_errno("write " + path_);
      in += done, offset += done, bytes -= static_cast<std::size_t>(done);
    }
  }

 private:
  std::string path_;
  int value_;
};

std::string parent(const std::string& path) {
  const auto directory = std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

void append(std::string& out, std::int64_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::int64_t take(const std::string& in, std::size_t& place) {
  std::int64_t value = 0;
  std::memcpy(&value, in.data() + place, sizeof value);
  place += sizeof value;
  return value;
}

}  // namespace

void make_directory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  require(!error && std::filesystem::is_directory(directory, error), ExitCode::io,
          "cannot make directory {} ({}) choose another run.directory", directory,
          error ? error.message() : "a file has that name");
}

void require_writable(const std::string& directory) {
  require(::access(directory.c_str(), W_OK | X_OK) == 0, ExitCode::io,
          "cannot write into {} ({}) choose another run.directory, or change its permissions",
          directory, std::strerror(errno));
}

bool file_exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

void remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail_errno("remove " + path);
}

std::int64_t file_size(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) fail_errno("look at " + path);
  return status.st_size;
}

std::int64_t free_bytes(const std::string& directory) {
  struct statvfs status {};
  if (::statvfs(directory.c_str(), &status) != 0) fail_errno("look at the disk of " + directory);
  return static_cast<std::int64_t>(status.f_bavail * status.f_frsize);
}

void sync_path(const std::string& path) {
  Descriptor(path, O_RDONLY).sync();
}

void rename_durably(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail_errno(fmt::format("rename {} to {}", from, to));
  sync_path(parent(to));
}

void replace_file(const std::string& path, std::string_view content, int rank) {
  const std::string partial =
      rank == 0 ? path + ".partial" : fmt::format("{}.{}.partial", path, rank);
  {
    const Descriptor file(partial, O_WRONLY | O_CREAT | O_TRUNC);
    file.write(0, content.data(), content.size());
    file.sync();
  }
  rename_durably(partial, path);
}

SyncedFile::SyncedFile(const std::string& path)
    : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (descriptor_ < 0) fail_errno("open " + path);
}

SyncedFile::~SyncedFile() {
  ::close(descriptor_);
}

void SyncedFile::sync() const {
  if (::fsync(descriptor_) != 0) fail_errno("sync " + path_);
}

// Copy: length of the file, number of pieces, (offset, bytes) of each, their bytes, XXH3 of all.
void save_metadata(const std::string& path, std::vector<std::pair<std::int64_t, std::int64_t>> data,
                   const std::string& copy_path) {
  const std::int64_t length = file_size(path);
  data.emplace_back(length, 0);
  std::sort(data.begin(), data.end());
  std::vector<std::pair<std::int64_t, std::int64_t>> pieces;
  std::int64_t end = 0;
  for (const auto& [offset, bytes] : data) {
    if (offset > end) pieces.emplace_back(end, offset - end);
    end = std::max(end, offset + bytes);
  }
  std::string copy;
  append(copy, length);
  append(copy, static_cast<std::int64_t>(pieces.size()));
  for (const auto& [offset, bytes] : pieces) append(copy, offset), append(copy, bytes);
  const Descriptor file(path, O_RDONLY);
  for (const auto& [offset, bytes] : pieces) {
    const std::size_t place = copy.size();
    copy.resize(place + static_cast<std::size_t>(bytes));
    file.read(offset, copy.data() + place, static_cast<std::size_t>(bytes));
  }
  append(copy, static_cast<std::int64_t>(XXH3_64bits(copy.data(), copy.size())));
  replace_file(copy_path, copy);
}

void restore_metadata(const std::string& path, const std::string& copy_path) {
  std::string copy(static_cast<std::size_t>(file_size(copy_path)), '\0');
  Descriptor(copy_path, O_RDONLY).read(0, copy.data(), copy.size());
  bool whole = copy.size() >= 3 * sizeof(std::int64_t);
  if (whole) {
    const std::size_t covered = copy.size() - sizeof(std::int64_t);
    std::size_t tail = covered;
    whole = take(copy, tail) == static_cast<std::int64_t>(XXH3_64bits(copy.data(), covered));
  }
  require(whole, ExitCode::io,
          "cannot go back to {} (it is damaged) move it and {} away to start over", copy_path,
          path);
  std::size_t place = 0;
  const std::int64_t length = take(copy, place);
  const std::int64_t pieces = take(copy, place);
  const char* bytes_at =
      copy.data() + place + static_cast<std::size_t>(pieces) * 2 * sizeof(std::int64_t);
  const Descriptor file(path, O_WRONLY);
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    const std::int64_t offset = take(copy, place);
    const std::int64_t bytes = take(copy, place);
    file.write(offset, bytes_at, static_cast<std::size_t>(bytes));
    bytes_at += bytes;
  }
  file.resize(length);
  file.sync();
  remove_file(copy_path);
  sync_path(parent(copy_path));
}

}  // namespace ntk::store
