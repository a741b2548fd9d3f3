#include "base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace ntk::log {
namespace {

struct State {
  int rank = 0;
  int ranks = 1;
  std::shared_ptr<spdlog::logger> out, err, bare;
};

State& state() {
  static State s = [] {
    State made;
    made.out =
        std::make_shared<spdlog::logger>("out", std::make_shared<spdlog::sinks::stdout_sink_mt>());
    made.err =
        std::make_shared<spdlog::logger>("err", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made.bare =
        std::make_shared<spdlog::logger>("bare", std::make_shared<spdlog::sinks::stdout_sink_mt>());
    made.out->set_pattern("[%H:%M:%S] %v");
    made.err->set_pattern("[%H:%M:%S] %v");
    made.bare->set_pattern("%v");
    for (auto& logger : {made.out, made.err, made.bare}) logger->flush_on(spdlog::level::info);
    return made;
  }();
  return s;
}

std::string with_rank(const std::string& text) {
  const State& s = state();
  return s.ranks > 1 ? fmt::format("rank {}: {}", s.rank, text) : text;
}

}  // namespace

void start(int rank, int ranks) {
  state().rank = rank;
  state().ranks = ranks;
}

void leave_output_to_results() {
  state().out = state().err;
}

void write_info(const std::string& text) {
  if (state().rank == 0) state().out->info(text);
}
void write_warn(const std::string& text) {
  if (state().rank == 0) state().err->warn("WARNING: " + text);
}
void write_error(const std::string& text) {
  if (state().rank == 0) state().err->error("ERROR: " + text);
}
void write_rank_error(const std::string& text) {
  state().err->error("ERROR: " + with_rank(text));
}
void write_rank_warn(const std::string& text) {
  state().err->warn("WARNING: " + with_rank(text));
}
void write_plain(const std::string& text) {
  if (state().rank == 0) state().bare->info(text);
}

}  // namespace ntk::log
