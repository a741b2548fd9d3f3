#include "theory/extrapolation.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "base/error.hpp"
#include "theory/cross_validation.hpp"
#include "theory/effective_dimension.hpp"
#include "theory/linear_algebra.hpp"

namespace ntk::theory {
namespace {

constexpr std::size_t path_points = 80;
constexpr double in_95_percent = 1.96;
constexpr std::size_t ridge_points = 120;

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

// m rows to train on, and whole groups of the others to judge. Not all of the others: whole groups
// need some room.
Split self_split(std::size_t n, std::size_t m, std::span<const std::int64_t> group,
                 bool single_rows, std::uint64_t seed) {
  const std::size_t judges = 2 * n / 5;
  if (!single_rows || group.empty()) return draw_split(n, group, m, judges, seed);
  Split split = draw_split(n, group, 0, judges, seed);
  std::set<std::int64_t> judging;
  for (const std::size_t r : split.test) judging.insert(group[r]);
  for (std::size_t r = 0; r < n; ++r) {
    if (!judging.contains(group[r])) split.train.push_back(r);
  }
  require(split.train.size() >= m, ExitCode::input,
          "{} rows beside those that judge are too few for {} (groups are large) use more samples",
          split.train.size(), m);
  shuffle(split.train, seed);
  split.train.resize(m);
  std::sort(split.train.begin(), split.train.end());
  return split;
}

SelfMeasured measure(std::span<const double> kernel, std::size_t n, std::size_t m,
                     std::span<const double> labels, std::span<const double> variances,
                     std::span<const std::int64_t> group, bool single_rows, std::uint64_t seed,
                     std::size_t draws, std::span<const double> path) {
  Judged judged(n);
  for (std::size_t d = 0; d < draws; ++d) {
    const auto split = self_split(n, m, group, single_rows, seed + d);
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

LabelModes modes_of(const HeldOutModes& modes, std::span<const double> labels,
                    std::span<const double> noise_variances) {
  const auto y = centred(labels);
  return label_modes(project(modes.eigen, y),
                     std::inner_product(y.begin(), y.end(), y.begin(), 0.0),
                     project_variances(modes.eigen, noise_variances), mean(noise_variances),
                     static_cast<double>(modes.train), 1, modes.modes);
}

}  // namespace

double CorrectedRisk::low() const {
  return risk * std::exp(-in_95_percent * log_error);
}
double CorrectedRisk::high() const {
  return risk * std::exp(in_95_percent * log_error);
}

BothCurves both_curves(const HeldOutModes& modes, std::span<const double> labels,
                       std::span<const double> noise_variances, std::span<const double> sizes) {
  const auto values = std::span(modes.eigen.values).first(modes.modes);
  const auto curve = ridge_curve(values, static_cast<double>(modes.train), ridge_points);
  const double noise = mean(noise_variances);
  BiasCurve bias = bias_curve(values, curve, modes_of(modes, labels, noise_variances));
  BothCurves both;
  both.plug_in = learning_points(curve, bias, noise, sizes);
  std::vector<double> inverse;
  for (const double lambda : curve.lambda) inverse.push_back(1 / lambda);
  const auto errors = leave_one_out(modes, labels, inverse, Path::ridge);
  for (std::size_t p = 0; p < errors.size(); ++p) {
    bias.bias[p] = errors[p] * (1 - curve.n2[p] / curve.n) - noise;
  }
  both.leave_one_out = learning_points(curve, bias, noise, sizes);
  return both;
}

std::optional<CorrectedRisk> corrected_risk(std::span<const double> kernel,
                                            const HeldOutModes& modes,
                                            std::span<const double> labels,
                                            std::span<const double> noise_variances,
                                            std::span<const std::int64_t> group, bool single_rows,
                                            std::uint64_t seed, std::size_t draws) {
  const std::size_t n = modes.train;
  ensure(labels.size() == n && noise_variances.size() == n, "{} labels, {} variances for {} rows",
         labels.size(), noise_variances.size(), n);
  if (modes.modes < 2 || !(modes_of(modes, labels, noise_variances).total_power() > 0) || n < 80) {
    return std::nullopt;
  }
  const auto values = std::span(modes.eigen.values).first(modes.modes);
  const std::vector<std::size_t> sizes{n / 8, n / 4, n / 2};
  std::vector<double> at(sizes.begin(), sizes.end());
  at.push_back(static_cast<double>(n));
  const auto both = both_curves(modes, labels, noise_variances, at);
  CorrectedRisk result;
  result.plug_in = both.plug_in;
  result.leave_one_out = both.leave_one_out;
  const auto path = eta_grid(values, path_points);
  try {
    for (const std::size_t m : sizes) {
      result.measured.push_back(
          measure(kernel, n, m, labels, noise_variances, group, single_rows, seed, draws, path));
    }
  } catch (const Error& error) {
    if (error.code() != ExitCode::input) throw;
    return std::nullopt;
  }
  for (const auto& point : result.leave_one_out) {
    if (!point.usable()) return std::nullopt;
  }
  for (const auto& point : result.measured) {
    if (!(point.risk > 2 * point.standard_error)) return std::nullopt;
  }
  const auto& half = result.measured[2];
  const double step_measured = std::log(half.risk / result.measured[1].risk);
  const double step_predicted =
      std::log(result.leave_one_out[2].risk / result.leave_one_out[1].risk);
  result.risk = result.leave_one_out[3].risk * half.risk / result.leave_one_out[2].risk;
  const auto& last = result.leave_one_out[3];
  result.log_error = std::hypot(half.standard_error / half.risk, last.standard_error / last.risk,
                                step_measured - step_predicted);
  return result;
}

}  // namespace ntk::theory
