// 95 % intervals of risks that are measured on parts of a set of rows: draws of training sets and
// the parts (groups of rows) are taken with replacement.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ntk::theory {

inline constexpr std::size_t resamples = 400;
inline constexpr std::size_t random_parts = 64;

// The part of every row, from 0: its group, numbered as they come, or one of 64 random parts where
// there are no groups.
std::vector<std::size_t> parts_of_rows(std::size_t rows, std::span<const std::int64_t> group,
                                       std::uint64_t seed);

// Draws and parts taken with replacement.
struct Resample {
  std::vector<std::size_t> draws;
  std::vector<double> weight;  // of each part, by its rows; they add up to 1
};
// `resamples` of them, the same ones for every rule and size.
std::vector<Resample> resample(std::span<const std::size_t> part, std::size_t draws,
                               std::uint64_t seed);

// What a resample makes of a value that is known on every part.
double weighted(const Resample& by, std::span<const double> parts);

// 2.5 and 97.5 %; NaN where a value is, or there is none.
std::array<double, 2> interval(std::vector<double> values);

}  // namespace ntk::theory
