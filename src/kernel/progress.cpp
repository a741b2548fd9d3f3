#include "kernel/progress.hpp"

#include "base/log.hpp"

namespace ntk::kernel {

namespace {
constexpr auto between_lines = std::chrono::seconds(10);
}

Progress::Progress(std::int64_t tiles, double operations, double rate)
    : tiles_(tiles),
      operations_(operations),
      rate_(rate),
      start_(std::chrono::steady_clock::now()),
      printed_(start_) {}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Progress::add(double tiles, double operations) {
  tiles_done_ += tiles;
  operations_done_ += operations;
}

void Progress::print_now_and_then() {
  if (std::chrono::steady_clock::now() - printed_ < between_lines) return;
  printed_ = std::chrono::steady_clock::now();
  const double elapsed = seconds(), speed = operations_done_ / elapsed;
  if (speed <= 0) {
    log::info("kernel: 0 of {} tiles, first ones under way for {:.0f} s", tiles_, elapsed);
    return;
  }
  log::info(
      "kernel: {:.0f} of {} tiles, {:.0f} % of the work, {:.1f} GFLOP/s ({:.0f} % of the GEMM "
      "rate), {:.0f} s to go",
      tiles_done_, tiles_, 100 * operations_done_ / operations_, speed / 1e9, 100 * speed / rate_,
      (operations_ - operations_done_) / speed);
}

}  // namespace ntk::kernel
