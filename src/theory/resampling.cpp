#include "theory/resampling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "theory/held_out.hpp"

namespace ntk::theory {

std::vector<std::size_t> parts_of_rows(std::size_t rows, std::span<const std::int64_t> group,
                                       std::uint64_t seed) {
  std::vector<std::size_t> part;
  if (group.empty()) {
    for (std::size_t i = 0; i < rows; ++i) part.push_back(i % random_parts);
    shuffle(part, seed);
    return part;
  }
  std::map<std::int64_t, std::size_t> seen;
  for (const std::int64_t g : group) part.push_back(seen.emplace(g, seen.size()).first->second);
  return part;
}

std::vector<Resample> resample(std::span<const std::size_t> part, std::size_t draws,
                               std::uint64_t seed) {
  std::vector<double> rows(1 + *std::max_element(part.begin(), part.end()), 0.0);
  for (const std::size_t p : part) rows[p] += 1;
  std::mt19937_64 random(seed);
  std::vector<Resample> result(resamples);
  for (auto& r : result) {
    for (std::size_t d = 0; d < draws; ++d) r.draws.push_back(random() % draws);
    r.weight.assign(rows.size(), 0.0);
    double total = 0;
    for (std::size_t p = 0; p < rows.size(); ++p) {
      const std::size_t one = random() % rows.size();
      r.weight[one] += rows[one];
      total += rows[one];
    }
    for (double& w : r.weight) w /= total;
  }
  return result;
}

double weighted(const Resample& by, std::span<const double> parts) {
  double sum = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) sum += by.weight[p] * parts[p];
  return sum;
}

std::array<double, 2> interval(std::vector<double> values) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  if (values.empty() ||
      std::any_of(values.begin(), values.end(), [](double v) { return !std::isfinite(v); })) {
    return {none, none};
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) {
    return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {at(0.025), at(0.975)};
}

}  // namespace ntk::theory
