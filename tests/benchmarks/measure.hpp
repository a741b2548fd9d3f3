// Timing of calls of a backend, and rows of a table of rates.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "device/backend.hpp"

namespace ntk::bench {

// A panel of samples of equal length and the model that it goes through.
struct Shape {
  std::int64_t samples, tokens, width, inner, heads, vocabulary;
  int copies;
  std::int64_t rows() const { return samples * tokens; }
};
inline constexpr Shape bert_base{256, 64, 768, 3072, 12, 30522, 2};
inline constexpr Shape small{6, 16, 64, 256, 2, 100, 2};

// What one call takes, moves at least (every number read or written once) and computes; 0 = not
// meant to be seen that way.
struct Rate {
  std::string name;
  double seconds = 0, bytes = 0, operations = 0;
};

// Seconds of a call: as many in a row as take `least` seconds, after one that warms up.
template <class Real, class Body>
double seconds_of(device::Backend<Real>& backend, double least, Body&& body) {
  const auto run = [&](int calls) {
    backend.synchronize();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) body();
    backend.synchronize();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  run(1);
  for (int calls = 1;; calls *= 2) {
    const double seconds = run(calls);
    if (seconds >= least || calls >= 1 << 16) return seconds / calls;
  }
}

// Normal numbers, a block of them over and over: large arrays are filled in no time.
template <class Real>
device::Array<Real, Real> random_array(device::Backend<Real>& backend, std::int64_t count,
                                       unsigned seed, double scale = 1) {
  constexpr std::size_t most = 1000003;
  std::mt19937 bits(seed);
  std::normal_distribution<double> normal(0, scale);
  std::vector<Real> block(std::min(most, static_cast<std::size_t>(count)));
  for (auto& x : block) x = static_cast<Real>(normal(bits));
  device::Array<Real, Real> made(backend, count);
  for (std::int64_t at = 0; at < count; at += static_cast<std::int64_t>(block.size())) {
    const auto part = std::min(block.size(), static_cast<std::size_t>(count - at));
    backend.upload(made.data() + at, block.data(), part * sizeof(Real));
  }
  return made;
}

// Offsets of samples of `tokens` rows each.
inline std::vector<std::int64_t> equal_offsets(std::int64_t samples, std::int64_t tokens) {
  std::vector<std::int64_t> offsets{0};
  for (std::int64_t i = 0; i < samples; ++i) offsets.push_back(offsets.back() + tokens);
  return offsets;
}

}  // namespace ntk::bench
