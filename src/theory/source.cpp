#include "theory/source.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "theory/linear_algebra.hpp"

namespace ntk::theory {
namespace {

constexpr std::size_t first_judged = 10;  // ranks
constexpr std::size_t least_signal_rank = 40;

std::vector<double> mode_signal(const LabelModes& labels) {
  auto signal = labels.power;
  for (std::size_t k = 0; k < signal.size(); ++k) signal[k] -= labels.noise[k];
  return signal;
}

}  // namespace

std::vector<double> tail_sums(const LabelModes& labels) {
  auto tails = mode_signal(labels);
  double sum = labels.outside_power - labels.outside_noise;
  for (std::size_t k = tails.size(); k-- > 0;) {
    sum += tails[k];
    tails[k] = sum / (1 - static_cast<double>(k) / labels.n);
  }
  return tails;
}

std::size_t signal_rank(const LabelModes& labels) {
  std::vector<double> signal{0}, noise{0};  // running sums
  for (std::size_t k = 0; k < labels.power.size(); ++k) {
    signal.push_back(signal.back() + labels.power[k] - labels.noise[k]);
    noise.push_back(noise.back() + labels.noise[k]);
  }
  for (std::size_t k = first_judged; k < signal.size(); ++k) {
    const std::size_t before = k / 2;
    if (signal[k] - signal[before] > noise[k] - noise[before]) continue;
    return k == first_judged ? 0 : k - 1;
  }
  return labels.power.size() < first_judged ? 0 : labels.power.size();
}

std::optional<TailFit> tail_fit(std::span<const double> tails, std::size_t first,
                                std::size_t last) {
  if (first < 1 || last < first + 4 || last >= tails.size()) return std::nullopt;
  std::vector<double> x, y, w;
  for (std::size_t k = first; k <= last; ++k) {
    if (!(tails[k] > 0)) return std::nullopt;
    x.push_back(std::log(static_cast<double>(k)));
    y.push_back(std::log(tails[k]));
    w.push_back(1 / static_cast<double>(k));
  }
  const Line line = fit_line(x, y, w);
  return TailFit{-line.slope, first, last, line.rms};
}

std::vector<TailFit> tail_fits(const LabelModes& labels) {
  const std::size_t m = std::min(signal_rank(labels), static_cast<std::size_t>(labels.n / 5));
  if (m < least_signal_rank) return {};
  const auto tails = tail_sums(labels);
  std::vector<TailFit> fits;
  for (const auto& [first, last] : {std::pair<std::size_t, std::size_t>{5, m / 4},
                                    {5, m / 2},
                                    {std::max<std::size_t>(5, m / 10), m}}) {
    const auto fit = tail_fit(tails, first, last);
    if (!fit) return {};
    fits.push_back(*fit);
  }
  return fits;
}

double kernel_target_alignment(std::span<const double> eigenvalues, const LabelModes& labels) {
  ensure(eigenvalues.size() == labels.power.size(), "{} eigenvalues for {} label modes",
         eigenvalues.size(), labels.power.size());
  double product = 0, squares = 0;
  for (std::size_t k = 0; k < eigenvalues.size(); ++k) {
    product += eigenvalues[k] * labels.power[k];
    squares += eigenvalues[k] * eigenvalues[k];
  }
  return product / std::sqrt(squares) / labels.total_power();
}

std::vector<double> cumulative_power(const LabelModes& labels) {
  const double all = labels.signal();
  if (!(all > 0)) return {};
  auto shares = mode_signal(labels);
  double sum = 0;
  for (double& share : shares) {
    sum += share;
    share = sum / all;
  }
  return shares;
}

}  // namespace ntk::theory
