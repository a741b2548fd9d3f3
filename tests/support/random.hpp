// Normal numbers from a seed.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace ntk::test {

template <class Real>
std::vector<Real> random_vector(std::int64_t count, unsigned seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<double> normal;
  std::vector<Real> x(static_cast<std::size_t>(count));
  for (auto& e : x) e = static_cast<Real>(normal(bits));
  return x;
}

}  // namespace ntk::test
