// Faults at exact places, for the tests: a library for LD_PRELOAD that counts the calls by which
// one rank uses the files of a directory. At a chosen call it lets a part of the bytes through and
// kills the rank, or lets the call fail or wait, or makes the clock jump. Three variables say what
// to do:
//
// NTK_FAULT: pairs KEY=VALUE with spaces between.
//   dir=PATH       only files that lie in this directory count; they must not be renamed there
//   file=NAME      ... of this name (of a rename: the old name); without it any
//   call=NAME      open, read, write, sync, resize, rename, unlink or lock
//   from=A to=B    ... that begins in the bytes [A, B) of the file; of a sync: the last write
//   before
//                  it by the same process
//   rank=R         of the rank R, or of all of them (each counts its own); without it 0
//   nth=N          the N-th such call, from 1; without it the first
//   torn=F         so much of it is done: a share of a write's bytes; of other calls all or nothing
//   error=NAME     then it fails: ENOSPC, EDQUOT, EIO or ENOLCK. Without it the rank is killed.
//   times=T        so many calls fail; without it one
//   jump=S         instead of failing: from then on the clock (CLOCK_REALTIME) is S seconds ahead
//   wait=S         instead of failing: it is done S seconds later
// NTK_FAULT_LOG: file that gets one line a fault: "rank call file offset bytes done".
// NTK_FAULT_TRACE: prefix of a file a rank with one line a call in `dir`: "call file offset bytes".
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <map>
#include <mutex>
#include <sstream>
#include <string>

namespace {

template <class Function>
Function* next(Function*, const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
// The function of the C library that ours stands before.
#define NEXT(name) static auto* const c_library = next(&::name, #name)

std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text ? text : "";
}

int own_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK"})
    if (const std::string text = variable(name); !text.empty()) return std::atoi(text.c_str());
  return 0;
}

int error_number(const std::string& name) {
  const std::map<std::string, int> known = {
      {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO}, {"ENOLCK", ENOLCK}};
  return known.contains(name) ? known.at(name) : 0;
}

struct Plan {
  std::string directory, file, call;
  std::int64_t from = 0, to = INT64_MAX, nth = 1, times = 1;
  int rank = 0, error = 0, jump = 0;
  double torn = 0, wait = 0;
  std::string log = variable("NTK_FAULT_LOG"), trace = variable("NTK_FAULT_TRACE");
  bool active = false;

  Plan() {
    std::istringstream words(variable("NTK_FAULT"));
    for (std::string word; words >> word;) {
      const auto middle = word.find('=');
      const std::string key = word.substr(0, middle), value = word.substr(middle + 1);
      const auto number = [&] { return std::atoll(value.c_str()); };
      if (key == "dir") directory = value + "/";
      if (key == "file") file = value;
      if (key == "call") call = value;
      if (key == "from") from = number();
      if (key == "to") to = number();
      if (key == "nth") nth = number();
      if (key == "times") times = number();
      if (key == "rank") rank = value == "all" ? own_rank() : static_cast<int>(number());
      if (key == "jump") jump = static_cast<int>(number());
      if (key == "torn") torn = std::atof(value.c_str());
      if (key == "wait") wait = std::atof(value.c_str());
      if (key == "error") error = error_number(value);
    }
    const bool chosen = !call.empty() && rank == own_rank();
    active = !directory.empty() && (chosen || !trace.empty());
    if (!trace.empty()) trace.append(".").append(std::to_string(own_rank()));
  }
};

const Plan& plan() {
  static const Plan only;
  return only;
}

// One system call, so that lines of several ranks do not mix and none is lost by a kill.
void append_line(const std::string& path, const std::string& line) {
  if (path.empty()) return;
  const long file =
      syscall(SYS_openat, AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (file < 0) return;
  (void)!syscall(SYS_write, file, line.data(), line.size());
  syscall(SYS_close, file);
}

// Name of a file in the directory that is watched, else empty.
std::string name_of(const std::string& path) {
  const std::string& directory = plan().directory;
  if (!plan().active || !path.starts_with(directory)) return "";
  const std::string name = path.substr(directory.size());
  return name.find('/') == std::string::npos ? name : "";
}

std::string name_of(int descriptor) {
  if (!plan().active) return "";
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = readlink(link.c_str(), path, sizeof path);
  return length > 0 ? name_of(std::string(path, static_cast<std::size_t>(length))) : "";
}

// Whether this call is the one, or one of those, that are disturbed.
bool is_chosen(const char* call, const std::string& file, std::int64_t offset, std::size_t bytes) {
  static std::mutex mutex;
  static std::map<std::string, std::int64_t> last_write;
  static std::int64_t seen = 0;
  if (file.empty()) return false;
  const std::lock_guard lock(mutex);
  const std::string kind = call;
  if (kind == "write") last_write[file] = offset;
  if (kind == "sync") offset = last_write.contains(file) ? last_write[file] : -1;
  const Plan& p = plan();
  append_line(p.trace, kind + " " + file + " " + std::to_string(offset) + " " +
                           std::to_string(bytes) + "\n");
  if (p.rank != own_rank() || kind != p.call || (!p.file.empty() && file != p.file)) return false;
  const bool placed = kind == "read" || kind == "write" || kind == "sync";
  if (placed && (offset < p.from || offset >= p.to) && (p.from > 0 || p.to < INT64_MAX))
    return false;
  ++seen;
  return seen >= p.nth && seen < p.nth + p.times;
}

std::atomic<int> seconds_ahead = 0;  // by which the clock is wrong

// The call with its fault; `go(bytes)` makes it.
template <class Go>
auto disturbed(const char* call, const std::string& file, std::int64_t offset, std::size_t bytes,
               Go go) -> decltype(go(bytes)) {
  if (!is_chosen(call, file, offset, bytes)) return go(bytes);
  const Plan& p = plan();
  if (p.jump != 0) {
    seconds_ahead = p.jump;
    return go(bytes);
  }
  if (p.wait > 0) {
    usleep(static_cast<useconds_t>(1e6 * p.wait));  // a signal ends it early: the call goes on
    return go(bytes);
  }
  const auto part = static_cast<std::size_t>(p.torn * static_cast<double>(bytes));
  const bool any = bytes > 0 ? part > 0 : p.torn >= 1;
  if (any) (void)go(part);
  append_line(p.log, std::to_string(p.rank) + " " + call + " " + file + " " +
                         std::to_string(offset) + " " + std::to_string(bytes) + " " +
                         std::to_string(any ? part : 0) + "\n");
  if (p.error == 0) {
    syscall(SYS_kill, getpid(), SIGKILL);
    pause();
  }
  errno = p.error;
  return -1;
}

std::int64_t position(int descriptor) {
  return syscall(SYS_lseek, descriptor, 0, SEEK_CUR);
}

mode_t mode_of(int flags, va_list more) {
  return __OPEN_NEEDS_MODE(flags) ? va_arg(more, mode_t) : 0;
}

}  // namespace

extern "C" {

#define OPEN(name)                                                               \
  int name(const char* path, int flags, ...) {                                   \
    NEXT(name);                                                                  \
    va_list more;                                                                \
    va_start(more, flags);                                                       \
    const mode_t mode = mode_of(flags, more);                                    \
    va_end(more);                                                                \
    return disturbed("open", name_of(path), 0, 0,                                \
                     [&](std::size_t) { return c_library(path, flags, mode); }); \
  }
OPEN(open)
OPEN(open64)

#define PWRITE(name, offset_type)                                                            \
  ssize_t name(int file, const void* data, size_t bytes, offset_type offset) {               \
    NEXT(name);                                                                              \
    return disturbed("write", name_of(file), offset, bytes,                                  \
                     [&](std::size_t part) { return c_library(file, data, part, offset); }); \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PREAD(name, offset_type)                                                             \
  ssize_t name(int file, void* data, size_t bytes, offset_type offset) {                     \
    NEXT(name);                                                                              \
    return disturbed("read", name_of(file), offset, bytes,                                   \
                     [&](std::size_t part) { return c_library(file, data, part, offset); }); \
  }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

ssize_t write(int file, const void* data, size_t bytes) {
  NEXT(write);
  const std::string name = name_of(file);
  return disturbed("write", name, name.empty() ? 0 : position(file), bytes,
                   [&](std::size_t part) { return c_library(file, data, part); });
}

int fsync(int file) {
  NEXT(fsync);
  return disturbed("sync", name_of(file), 0, 0, [&](std::size_t) { return c_library(file); });
}

#define RESIZE(name, offset_type)                                          \
  int name(int file, offset_type bytes) noexcept {                         \
    NEXT(name);                                                            \
    return disturbed("resize", name_of(file), bytes, 0,                    \
                     [&](std::size_t) { return c_library(file, bytes); }); \
  }
RESIZE(ftruncate, off_t)
RESIZE(ftruncate64, off64_t)

int rename(const char* from, const char* to) noexcept {
  NEXT(rename);
  return disturbed("rename", name_of(from), 0, 0, [&](std::size_t) { return c_library(from, to); });
}

int unlink(const char* path) noexcept {
  NEXT(unlink);
  return disturbed("unlink", name_of(path), 0, 0, [&](std::size_t) { return c_library(path); });
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"  // there is a structure of this name
int flock(int file, int operation) noexcept {
#pragma GCC diagnostic pop
  NEXT(flock);
  return disturbed("lock", name_of(file), 0, 0,
                   [&](std::size_t) { return c_library(file, operation); });
}

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  NEXT(clock_gettime);
  const int result = c_library(clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    now->tv_sec += seconds_ahead;
  return result;
}

int gettimeofday(timeval* __restrict now, void* __restrict zone) noexcept {
  NEXT(gettimeofday);
  const int result = c_library(now, zone);
  if (result == 0) now->tv_sec += seconds_ahead;
  return result;
}

time_t time(time_t* out) noexcept {
  NEXT(time);
  const time_t now = c_library(nullptr) + seconds_ahead;
  if (out) *out = now;
  return now;
}
}
