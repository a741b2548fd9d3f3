#include "app/plan_limits.hpp"

namespace ntk::app {

double KernelSize::of(std::int64_t rows) const {
  const auto n = static_cast<double>(rows);
  const double full = n * n * bytes * matrices;
  const bool mirrored = mirror == Job::Kernel::Mirror::on ||
                        (mirror == Job::Kernel::Mirror::automatic && full <= 32.0 * (1 << 30));
  const double evaluate = n * static_cast<double>(evaluate_rows) * matrices;
  const double partial = ranges > 1 ? 8.0 * ranges * (n * n / 2 * matrices + evaluate) : 0;
  return (mirrored ? full : full / 2) + evaluate * bytes + partial;
}

// Powers of two from above, then the gap to the next one in halves.
std::int64_t largest_samples(const std::function<bool(std::int64_t)>& fits) {
  std::int64_t low = largest_possible;
  while (low > 0 && !fits(low)) low /= 2;
  if (low == 0 || low == largest_possible) return low;
  std::int64_t high = 2 * low;
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace ntk::app
