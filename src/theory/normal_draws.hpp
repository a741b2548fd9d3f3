// Normal draws that are the same with every standard library, unlike those of
// std::normal_distribution.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>

namespace ntk::theory {

class NormalDraws {
 public:
  explicit NormalDraws(std::uint64_t seed) : engine_(seed) {}

  // In (0, 1).
  double uniform() { return (static_cast<double>(engine_() >> 11) + 0.5) * 0x1p-53; }

  // Mean 0, variance 1; two at a time (Box and Muller).
  double next() {
    if (has_second_) {
      has_second_ = false;
      return second_;
    }
    const double radius = std::sqrt(-2 * std::log(uniform()));
    const double angle = 2 * std::numbers::pi * uniform();
    second_ = radius * std::sin(angle);
    has_second_ = true;
    return radius * std::cos(angle);
  }

 private:
  std::mt19937_64 engine_;
  double second_ = 0;
  bool has_second_ = false;
};

}  // namespace ntk::theory
