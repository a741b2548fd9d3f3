// The program's only way to print. Lines go to standard output with the time; warnings and errors
// to standard error. `info`, `warn` and `error` speak for the whole job and print on the first rank
// alone; `rank_error` and `rank_warn` speak for one rank and say which.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace ntk::log {

// Call once a process. Before it, the process counts as the first of one rank.
void start(int rank, int ranks);

// From now on `info` goes to standard error: standard output is for a result that scripts read.
void leave_output_to_results();

void write_info(const std::string& text);
void write_warn(const std::string& text);
void write_error(const std::string& text);
void write_rank_error(const std::string& text);
void write_rank_warn(const std::string& text);
// A line without time stamp, on the first rank: tables and results.
void write_plain(const std::string& text);

template <class... A>
void info(fmt::format_string<A...> f, A&&... a) {
  write_info(fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void warn(fmt::format_string<A...> f, A&&... a) {
  write_warn(fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void error(fmt::format_string<A...> f, A&&... a) {
  write_error(fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void rank_error(fmt::format_string<A...> f, A&&... a) {
  write_rank_error(fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void rank_warn(fmt::format_string<A...> f, A&&... a) {
  write_rank_warn(fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void plain(fmt::format_string<A...> f, A&&... a) {
  write_plain(fmt::format(f, std::forward<A>(a)...));
}

}  // namespace ntk::log
