// Normal numbers that are the same with every standard library.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>

namespace ntk::model {

class Normal {
 public:
  explicit Normal(std::uint64_t seed) : bits_(seed) {}

  // Mean 0, variance 1 (Box and Muller, one of the pair).
  double operator()() {
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }

 private:
  double uniform() {  // in (0, 1]
    return (static_cast<double>(bits_() >> 11) + 1.0) * 0x1.0p-53;
  }

  std::mt19937_64 bits_;
};

}  // namespace ntk::model
