#include "theory/sub_spectra.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "theory/held_out.hpp"
#include "theory/linear_algebra.hpp"

namespace ntk::theory {
namespace {

// log N1 at log kappa, between the curve's points; nothing outside of them. kappa descends.
std::optional<double> log_dimension(const RidgeCurve& curve, double kappa) {
  const auto after = std::lower_bound(curve.kappa.begin(), curve.kappa.end(), kappa,
                                      [](double a, double b) { return a > b; });
  if (after == curve.kappa.begin() || after == curve.kappa.end()) return std::nullopt;
  const auto i = static_cast<std::size_t>(after - curve.kappa.begin());
  const double part =
      std::log(kappa / curve.kappa[i - 1]) / std::log(curve.kappa[i] / curve.kappa[i - 1]);
  return (1 - part) * std::log(curve.df[i - 1]) + part * std::log(curve.df[i]);
}

}  // namespace

std::vector<std::vector<double>> sub_spectra(std::span<const double> kernel, std::size_t n,
                                             std::size_t m, std::size_t draws, std::uint64_t seed,
                                             std::size_t outputs) {
  ensure(m % outputs == 0, "{} rows are no samples of {}", m, outputs);
  std::vector<std::vector<double>> spectra(draws);
  for (std::size_t d = 0; d < draws; ++d) {
    const auto rows =
        rows_of_samples(draw_split(n / outputs, {}, m / outputs, 0, seed + d).train, outputs);
    auto part = sub_matrix(kernel, n, rows, rows);
    centre_rows(part, m, centring_means(part, m, outputs));
    for (double& v : part) v /= static_cast<double>(m);
    auto values = eigenvalues_symmetric(std::move(part), m);
    values.resize(std::min(positive_modes(values), m - outputs));
    spectra[d] = std::move(values);
  }
  return spectra;
}

std::optional<double> jackknife_sd(std::span<const double> values, std::size_t m, std::size_t n) {
  if (values.size() < 10 || m >= n) return std::nullopt;
  const double middle = mean(values);
  double square = 0;
  for (const double v : values) square += (v - middle) * (v - middle);
  const auto kept = static_cast<double>(m), left = static_cast<double>(n - m);
  return std::sqrt(kept / left * square / static_cast<double>(values.size()));
}

WindowValues kappa_values(std::span<const std::vector<double>> spectra, std::size_t m,
                          double most) {
  WindowValues result;
  for (const auto& values : spectra) {
    if (values.size() < 2) continue;
    const auto windows = kappa_windows(ridge_curve(values, static_cast<double>(m)), most);
    if (windows.full) result.full.push_back(windows.full->alpha);
    if (windows.low) result.low.push_back(windows.low->alpha);
    if (windows.high) result.high.push_back(windows.high->alpha);
  }
  return result;
}

std::size_t agreeing_rank(const RidgeCurve& curve, std::span<const std::vector<double>> spectra,
                          std::size_t m, double tolerance) {
  std::vector<RidgeCurve> parts;
  for (const auto& values : spectra) {
    if (values.size() >= 2) parts.push_back(ridge_curve(values, static_cast<double>(m)));
  }
  double last = 0;
  for (std::size_t p = 0; p < curve.df.size(); ++p) {
    if (curve.df[p] < 5) continue;
    double sum = 0;
    for (const auto& part : parts) {
      const auto at = log_dimension(part, curve.kappa[p]);
      if (!at) return static_cast<std::size_t>(last);
      sum += std::exp(*at);
    }
    const double ratio = sum / (static_cast<double>(parts.size()) * curve.df[p]);
    if (!(std::abs(ratio - 1) <= tolerance)) break;
    last = curve.df[p];
  }
  return static_cast<std::size_t>(last);
}

}  // namespace ntk::theory
