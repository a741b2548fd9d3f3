#include "theory/filter.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.hpp"

namespace ntk::theory {
namespace {

double sum(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

template <class Score>
double minimiser(std::span<const double> grid, Score score) {
  ensure(!grid.empty(), "an empty grid of stopping times");
  double best = grid[0], least = score(grid[0]);
  for (const double eta : grid.subspan(1)) {
    const double value = score(eta);
    if (value < least) {
      least = value;
      best = eta;
    }
  }
  return best;
}

// n - df, summed directly: the difference would lose all digits near interpolation.
double residual_freedom(std::span<const double> residual, const LabelModes& labels) {
  return sum(residual) + labels.n - labels.null_modes - static_cast<double>(residual.size());
}

// The first eta where the falling `error` reaches `level`: 0 when it is there at the start,
// never_stop when it never is.
template <class Error>
double crossing(std::span<const double> eigenvalues, double level, Error error) {
  if (error(0.0) <= level) return 0;
  const auto ends = eta_grid(eigenvalues, 2);
  double low = std::log(ends[0]) - 20, high = std::log(ends[1]);
  if (error(std::exp(high)) > level) return never_stop;
  for (int i = 0; i < 80; ++i) {
    const double middle = 0.5 * (low + high);
    (error(std::exp(middle)) > level ? low : high) = middle;
  }
  return std::exp(high);
}

}  // namespace

double LabelModes::total_power() const {
  return sum(power) + outside_power;
}
double LabelModes::total_noise() const {
  return sum(noise) + outside_noise;
}
double LabelModes::signal() const {
  return total_power() - total_noise();
}

LabelModes label_modes(std::span<const double> projections, double squared_norm,
                       std::span<const double> mode_variances, double mean_variance, double n,
                       double null_modes, std::size_t modes) {
  ensure(projections.size() >= modes && mode_variances.size() >= modes,
         "{} projections and {} mode variances for {} modes", projections.size(),
         mode_variances.size(), modes);
  LabelModes labels;
  labels.n = n;
  labels.null_modes = null_modes;
  for (std::size_t i = 0; i < modes; ++i) {
    labels.power.push_back(projections[i] * projections[i] / n);
    labels.noise.push_back(mode_variances[i] / n);
  }
  // A kernel with a mode for every dimension leaves nothing outside: no rounding residue.
  if (static_cast<double>(modes) + null_modes < n) {
    labels.outside_power = std::max(0.0, squared_norm / n - sum(labels.power));
    labels.outside_noise = std::max(0.0, mean_variance * (n - null_modes) / n - sum(labels.noise));
  }
  return labels;
}

LabelModes with_noise(LabelModes labels, double variance) {
  const auto modes = static_cast<double>(labels.power.size());
  labels.noise.assign(labels.power.size(), variance / labels.n);
  labels.outside_noise = variance * std::max(0.0, labels.n - labels.null_modes - modes) / labels.n;
  return labels;
}

std::vector<double> flow_residual(std::span<const double> eigenvalues, double eta) {
  std::vector<double> residual;
  residual.reserve(eigenvalues.size());
  for (const double l : eigenvalues) residual.push_back(std::exp(-eta * l));
  return residual;
}

std::vector<double> ridge_residual(std::span<const double> eigenvalues, double nu) {
  std::vector<double> residual;
  residual.reserve(eigenvalues.size());
  for (const double l : eigenvalues) residual.push_back(nu / (l + nu));
  return residual;
}

double degrees_of_freedom(std::span<const double> residual) {
  return static_cast<double>(residual.size()) - sum(residual);
}

Risk in_sample_risk(std::span<const double> residual, std::span<const double> signal,
                    std::span<const double> noise, double outside_signal) {
  ensure(residual.size() == signal.size() && residual.size() == noise.size(),
         "{} modes with {} signals and {} noises", residual.size(), signal.size(), noise.size());
  Risk risk{outside_signal, 0};
  for (std::size_t i = 0; i < residual.size(); ++i) {
    risk.bias += residual[i] * residual[i] * signal[i];
    risk.variance += (1 - residual[i]) * (1 - residual[i]) * noise[i];
  }
  return risk;
}

double training_error(std::span<const double> residual, const LabelModes& labels) {
  double error = labels.outside_power;
  for (std::size_t i = 0; i < residual.size(); ++i) {
    error += residual[i] * residual[i] * labels.power[i];
  }
  return error;
}

double gcv_score(std::span<const double> residual, const LabelModes& labels) {
  const double freedom = residual_freedom(residual, labels) / labels.n;
  return training_error(residual, labels) / (freedom * freedom);
}

double sure_score(std::span<const double> residual, const LabelModes& labels) {
  double score = training_error(residual, labels);
  for (std::size_t i = 0; i < residual.size(); ++i) {
    score += 2 * (1 - residual[i]) * labels.noise[i];
  }
  return score;
}

std::vector<double> eta_grid(std::span<const double> eigenvalues, std::size_t points) {
  ensure(!eigenvalues.empty() && eigenvalues.back() > 0 && points >= 2,
         "a path over {} eigenvalues on {} points", eigenvalues.size(), points);
  const double first = std::log(0.01 / eigenvalues.front());
  const double last = std::log(30 / eigenvalues.back());
  std::vector<double> grid;
  for (std::size_t p = 0; p < points; ++p) {
    grid.push_back(std::exp(first + (last - first) * static_cast<double>(p) /
                                        static_cast<double>(points - 1)));
  }
  return grid;
}

std::size_t gcv_points(std::span<const double> eigenvalues, const LabelModes& labels,
                       std::span<const double> grid) {
  const double outside = labels.n - labels.null_modes - static_cast<double>(eigenvalues.size());
  const auto spread = [&](double eta) {
    double first = outside, second = outside;
    for (const double s : flow_residual(eigenvalues, eta)) {
      first += s;
      second += s * s;
    }
    return second > 0 ? first * first / second : 0.0;
  };
  const auto end = std::partition_point(grid.begin(), grid.end(),
                                        [&](double eta) { return spread(eta) >= 0.1 * labels.n; });
  return std::max<std::size_t>(1, static_cast<std::size_t>(end - grid.begin()));
}

double gcv_stop(std::span<const double> eigenvalues, const LabelModes& labels,
                std::span<const double> grid) {
  return minimiser(grid.first(gcv_points(eigenvalues, labels, grid)),
                   [&](double eta) { return gcv_score(flow_residual(eigenvalues, eta), labels); });
}

double sure_stop(std::span<const double> eigenvalues, const LabelModes& labels,
                 std::span<const double> grid) {
  return minimiser(grid,
                   [&](double eta) { return sure_score(flow_residual(eigenvalues, eta), labels); });
}

double discrepancy_stop(std::span<const double> eigenvalues, const LabelModes& labels,
                        double noise_variance) {
  return crossing(eigenvalues, noise_variance, [&](double eta) {
    return training_error(flow_residual(eigenvalues, eta), labels);
  });
}

double smoothed_discrepancy_stop(std::span<const double> eigenvalues, const LabelModes& labels,
                                 double alpha) {
  std::vector<double> weights;
  double noise = 0;
  for (std::size_t i = 0; i < eigenvalues.size(); ++i) {
    weights.push_back(std::pow(eigenvalues[i] / eigenvalues[0], 1 / (alpha + 1)));
    noise += weights[i] * labels.noise[i];
  }
  return crossing(eigenvalues, noise, [&](double eta) {
    const auto residual = flow_residual(eigenvalues, eta);
    double error = 0;
    for (std::size_t i = 0; i < residual.size(); ++i) {
      error += weights[i] * residual[i] * residual[i] * labels.power[i];
    }
    return error;
  });
}

double effective_noise(std::span<const double> eigenvalues, const LabelModes& labels, double eta) {
  const auto residual = flow_residual(eigenvalues, eta);
  return training_error(residual, labels) * labels.n / residual_freedom(residual, labels);
}

double rkhs_norm2(std::span<const double> eigenvalues, const LabelModes& labels, double eta) {
  const auto residual = flow_residual(eigenvalues, eta);
  double norm = 0;
  for (std::size_t i = 0; i < residual.size(); ++i) {
    const double fit = 1 - residual[i];
    norm += fit * fit * labels.power[i] / eigenvalues[i];
  }
  return norm;
}

}  // namespace ntk::theory
