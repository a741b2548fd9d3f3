#include "theory/extrapolation.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.hpp"
#include "theory/cross_validation.hpp"
#include "theory/effective_dimension.hpp"
#include "theory/linear_algebra.hpp"

namespace ntk::theory {
namespace {

constexpr std::size_t path_points = 80;
constexpr double in_95_percent = 1.96;

// Squared errors less noise of the rows that judge, summed over draws, at every point of a path.
struct Judged {
  explicit Judged(std::size_t rows) : count(rows, 0.0), sums(rows) {}
  std::vector<double> count;              // [row]
  std::vector<std::vector<double>> sums;  // [row][point]
};

// Mean over rows at one point of the path, with the standard error of groups as clusters.
SelfMeasured at_point(const Judged& judged, std::span<const std::int64_t> group,
                      std::size_t point) {
  std::map<std::int64_t, std::pair<double, double>> clusters;  // sum, rows
  for (std::size_t i = 0; i < judged.count.size(); ++i) {
    if (judged.count[i] == 0) continue;
    auto& [sum, rows] = clusters[group.empty() ? static_cast<std::int64_t>(i) : group[i]];
    sum += judged.sums[i][point] / judged.count[i];
    rows += 1;
  }
  double sum = 0, rows = 0;
  for (const auto& [number, cluster] : clusters) {
    sum += cluster.first;
    rows += cluster.second;
  }
  SelfMeasured result;
  result.risk = sum / rows;
  double square = 0;
  for (const auto& [number, cluster] : clusters) {
    const double d = cluster.first - cluster.second * result.risk;
    square += d * d;
  }
  const auto count = static_cast<double>(clusters.size());
  result.standard_error = std::sqrt(square * count / std::max(1.0, count - 1)) / rows;
  return result;
}

SelfMeasured measure(std::span<const double> kernel, std::size_t n, std::size_t m,
                     std::span<const double> labels, std::span<const double> variances,
                     std::span<const std::int64_t> group, std::uint64_t seed, std::size_t draws,
                     std::span<const double> path) {
  Judged judged(n);
  for (std::size_t d = 0; d < draws; ++d) {
    // Not all of the other rows: whole groups need some room.
    const auto split = draw_split(n, group, m, 2 * n / 5, seed + d);
    const auto modes =
        held_out_modes(sub_matrix(kernel, n, split.train, split.train),
                       sub_matrix(kernel, n, split.test, split.train), m, split.test.size());
    const auto predictions = predict_along(modes, at_rows(labels, split.train), path);
    for (std::size_t i = 0; i < split.test.size(); ++i) {
      const std::size_t r = split.test[i];
      judged.count[r] += 1;
      judged.sums[r].resize(path.size(), 0.0);
      for (std::size_t p = 0; p < path.size(); ++p) {
        const double error = predictions[p * split.test.size() + i] - labels[r];
        judged.sums[r][p] += error * error - variances[r];
      }
    }
  }
  SelfMeasured best = at_point(judged, group, 0);
  for (std::size_t p = 1; p < path.size(); ++p) {
    if (const auto here = at_point(judged, group, p); here.risk < best.risk) best = here;
  }
  best.n = m;
  return best;
}

}  // namespace

double CorrectedRisk::low() const {
  return risk * std::exp(-in_95_percent * log_error);
}
double CorrectedRisk::high() const {
  return risk * std::exp(in_95_percent * log_error);
}

std::optional<CorrectedRisk> corrected_risk(std::span<const double> kernel,
                                            const HeldOutModes& modes,
                                            std::span<const double> labels,
                                            std::span<const double> noise_variances,
                                            std::span<const std::int64_t> group, std::uint64_t seed,
                                            std::size_t draws) {
  const std::size_t n = modes.train;
  ensure(labels.size() == n && noise_variances.size() == n, "{} labels, {} variances for {} rows",
         labels.size(), noise_variances.size(), n);
  const auto y = centred(labels);
  const double square = std::inner_product(y.begin(), y.end(), y.begin(), 0.0);
  if (modes.modes < 2 || !(square > 0) || n < 80) return std::nullopt;
  const auto values = std::span(modes.eigen.values).first(modes.modes);
  const auto rows = static_cast<double>(n);
  const auto modal =
      label_modes(project(modes.eigen, y), square, project_variances(modes.eigen, noise_variances),
                  mean(noise_variances), rows, 1, modes.modes);
  const std::vector<std::size_t> sizes{n / 8, n / 4, n / 2};
  std::vector<double> at(sizes.begin(), sizes.end());
  at.push_back(rows);
  CorrectedRisk result;
  result.plug_in =
      plug_in_curve(values, ridge_curve(values, rows), modal, mean(noise_variances), at);
  const auto path = eta_grid(values, path_points);
  try {
    for (const std::size_t m : sizes) {
      result.measured.push_back(
          measure(kernel, n, m, labels, noise_variances, group, seed, draws, path));
    }
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) throw;
    return std::nullopt;
  }
  for (const auto& point : result.plug_in) {
    if (!point.usable()) return std::nullopt;
  }
  for (const auto& point : result.measured) {
    if (!(point.risk > 2 * point.standard_error)) return std::nullopt;
  }
  const auto& half = result.measured[2];
  const double step_measured = std::log(half.risk / result.measured[1].risk);
  const double step_predicted = std::log(result.plug_in[2].risk / result.plug_in[1].risk);
  result.risk = result.plug_in[3].risk * half.risk / result.plug_in[2].risk;
  const auto& last = result.plug_in[3];
  result.log_error = std::hypot(half.standard_error / half.risk, last.standard_error / last.risk,
                                step_measured - step_predicted);
  return result;
}

}  // namespace ntk::theory
