#include "store/run_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "store/disk.hpp"

namespace ntk::store {
namespace {

// What the next one is told.
std::string holder() {
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  const char* job = std::getenv("SLURM_JOB_ID");
  return fmt::format("process {} on {}{}, since {}\n", getpid(), host,
                     job ? fmt::format(", Slurm job {}", job) : "", time_stamp());
}

std::string read_holder(int descriptor) {
  std::array<char, 512> text{};
  const auto length = ::pread(descriptor, text.data(), text.size() - 1, 0);
  const std::string all(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  return printable(all.substr(0, all.find('\n')));
}

}  // namespace

RunLock::~RunLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void RunLock::take(const std::string& directory, const std::string& file) {
  if (descriptor_ >= 0) return;
  make_directory(directory);
  const std::string path = directory + (file.empty() ? "/.lock" : "/.lock-" + file);
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0 && errno == EROFS) return;  // nothing can be written
  if (descriptor_ < 0 && errno == EACCES) {       // somebody else's lock, or folder
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0 && ::access(directory.c_str(), W_OK) != 0) return;
  }
  require(descriptor_ >= 0, ExitCode::io,
          "cannot open {} ({}) choose another run.directory, or make room there", path,
          std::strerror(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const bool taken = errno == EWOULDBLOCK;
    const std::string why = std::strerror(errno);
    const std::string who = read_holder(descriptor_);
    ::close(std::exchange(descriptor_, -1));
    require(!taken, ExitCode::usage,
            "{} is in use (by {}) wait for that job's end, or choose another run.directory",
            directory, who.empty() ? "another job" : who);
    log::warn(
        "{} cannot be locked ({}) see to it that no two jobs write to one run directory at a time",
        directory, why);
    return;
  }
  const std::string text = holder();
  if (::ftruncate(descriptor_, 0) != 0 ||
      ::pwrite(descriptor_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    log::warn("cannot write to {} ({}): nobody is told who holds it", path, std::strerror(errno));
  }
}

}  // namespace ntk::store
