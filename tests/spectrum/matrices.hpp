// Matrices with known spectra on which eigensolvers go wrong.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "grids.hpp"

namespace ntk::spectrum::testing {

struct Case {
  std::string name;
  Formula formula;
  std::function<double(std::int64_t, std::int64_t)> exact;  // (k, n), empty = checks only
};

// Householder reflection of a diagonal: Q L Q with Q = I - 2 u u' of a unit vector u.
inline Formula reflected(const std::function<double(std::int64_t)>& value, std::int64_t n) {
  double norm = 0;
  for (std::int64_t i = 0; i < n; ++i) norm += (1 + number(i)) * (1 + number(i));
  const auto u = [norm](std::int64_t i) { return (1 + number(i)) / std::sqrt(norm); };
  double middle = 0;
  for (std::int64_t i = 0; i < n; ++i) middle += u(i) * u(i) * value(i);
  return [=](std::int64_t i, std::int64_t j) {
    return (i == j ? value(i) : 0.0) +
           (4 * middle - 2 * (value(std::max(i, j)) + value(std::min(i, j)))) * (u(i) * u(j));
  };
}

// Of order n; sizes within one matrix and between matrices reach from 10^decades to 10^-decades.
inline std::vector<Case> cases(std::int64_t n, double decades = 150) {
  const auto diagonal = [](auto value) {
    return [value](std::int64_t i, std::int64_t j) { return i == j ? value(i) : 0.0; };
  };
  const auto graded = [n, decades](std::int64_t k) {
    return std::pow(10.0, decades * (1 - 2 * number(k) / std::max(1.0, number(n - 1))));
  };
  const double tiny = std::pow(10.0, -decades);
  const auto clustered = [](std::int64_t k) { return k < 3 ? 2.0 : 1 + 1e-14 * number(-k); };
  return {{"zero", [](std::int64_t, std::int64_t) { return 0.0; },
           [](std::int64_t, std::int64_t) { return 0.0; }},
          {"identity", diagonal([](std::int64_t) { return 1.0; }),
           [](std::int64_t, std::int64_t) { return 1.0; }},
          {"diagonal", diagonal([](std::int64_t i) { return 1 + number(i); }),
           [](std::int64_t k, std::int64_t size) { return number(size - k); }},
          {"rank one", [](std::int64_t, std::int64_t) { return 1.0; },
           [](std::int64_t k, std::int64_t size) { return k == 0 ? number(size) : 0.0; }},
          {"indefinite", reflected([](std::int64_t k) { return number(k) - 7.5; }, n),
           [](std::int64_t k, std::int64_t size) { return number(size - 1 - k) - 7.5; }},
          {"clustered", reflected(clustered, n),
           [clustered](std::int64_t k, std::int64_t) { return clustered(k); }},
          {"graded", reflected(graded, n),
           [graded](std::int64_t k, std::int64_t) { return graded(k); }},
          {"tiny", diagonal([tiny](std::int64_t) { return tiny; }),
           [tiny](std::int64_t, std::int64_t) { return tiny; }}};
}

}  // namespace ntk::spectrum::testing
