#include "theory/decay.hpp"

#include <algorithm>
#include <cmath>

#include "theory/linear_algebra.hpp"

namespace ntk::theory {
namespace {

constexpr std::size_t least_ranks = 5;

std::size_t ranks_above(std::span<const double> eigenvalues, double floor) {
  const auto end = std::find_if(eigenvalues.begin(), eigenvalues.end(),
                                [floor](double l) { return !(l > std::max(floor, 0.0)); });
  return static_cast<std::size_t>(end - eigenvalues.begin());
}

// (k^g - 1)/g, log k in the limit.
double stretch(double k, double g) {
  const double t = g * std::log(k);
  return std::abs(g) < 1e-12 ? std::log(k) : std::expm1(t) / g;
}

}  // namespace

std::optional<DecayFit> rank_decay(std::span<const double> eigenvalues, std::size_t first,
                                   std::size_t last, RankWeights weights) {
  last = std::min(last, ranks_above(eigenvalues, 0.0));
  if (first < 1 || last + 1 < first + least_ranks) return std::nullopt;
  std::vector<double> x, y, w;
  for (std::size_t k = first; k <= last; ++k) {
    x.push_back(std::log(static_cast<double>(k)));
    y.push_back(std::log(eigenvalues[k - 1]));
    w.push_back(weights == RankWeights::equal ? 1.0 : 1.0 / static_cast<double>(k));
  }
  const Line line = fit_line(x, y, w);
  return DecayFit{-line.slope, static_cast<double>(first), static_cast<double>(last), x.size(),
                  line.rms,    std::exp(line.intercept)};
}

std::vector<DecayFit> local_slopes(std::span<const double> eigenvalues, double floor) {
  const std::size_t usable = ranks_above(eigenvalues, floor);
  std::vector<DecayFit> slopes;
  for (const auto& [first, last] :
       {std::pair<std::size_t, std::size_t>{5, 50}, {5, 100}, {20, 200}, {100, 500}}) {
    if (last > usable) continue;
    if (const auto fit = rank_decay(eigenvalues, first, last)) slopes.push_back(*fit);
  }
  return slopes;
}

std::optional<StretchedFit> stretched_fit(std::span<const double> eigenvalues, std::size_t first,
                                          std::size_t last) {
  last = std::min(last, ranks_above(eigenvalues, 0.0));
  if (first < 1 || last + 1 < first + least_ranks) return std::nullopt;
  std::vector<double> y, w, x(last - first + 1);
  for (std::size_t k = first; k <= last; ++k) {
    y.push_back(std::log(eigenvalues[k - 1]));
    w.push_back(1.0 / static_cast<double>(k));
  }
  const auto fit = [&](double g) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = stretch(static_cast<double>(first + i), g);
    const Line line = fit_line(x, y, w);
    return StretchedFit{g, -line.slope, line.intercept, first, last, line.rms};
  };
  // The residual is smooth in g: a scan, then a finer one around its minimum.
  StretchedFit best = fit(0.0);
  for (int i = -50; i <= 125; ++i) {
    if (const auto f = fit(0.02 * i); f.rms < best.rms) best = f;
  }
  const double middle = best.g;
  for (int i = -20; i <= 20; ++i) {
    if (const auto f = fit(middle + 0.001 * i); f.rms < best.rms) best = f;
  }
  return best;
}

std::optional<std::size_t> finite_rank(std::span<const double> eigenvalues, double floor,
                                       std::size_t null_modes, double gap) {
  const std::size_t count = eigenvalues.size() - std::min(null_modes, eigenvalues.size());
  for (std::size_t m = 1; m < count; ++m) {
    if (!(eigenvalues[m - 1] > floor)) return std::nullopt;
    const double next = std::max(eigenvalues[m], floor);
    if (eigenvalues[m - 1] > gap * next && eigenvalues[m] <= 10 * floor) return m;
  }
  return std::nullopt;
}

DecayVerdict classify_decay(std::span<const double> eigenvalues, double floor,
                            std::size_t null_modes, std::size_t rows) {
  DecayVerdict verdict;
  verdict.rank = finite_rank(eigenvalues, floor, null_modes);
  const std::size_t usable = verdict.rank.value_or(ranks_above(eigenvalues, floor));
  const auto n = static_cast<double>(rows > 0 ? rows : eigenvalues.size());
  for (const double part : {0.1, 0.2, 0.5}) {
    const std::size_t last = std::min(usable, static_cast<std::size_t>(part * n));
    if (!verdict.windows.empty() && verdict.windows.back().last == last) continue;
    if (const auto fit = stretched_fit(eigenvalues, 5, last)) verdict.windows.push_back(*fit);
  }
  if (verdict.rank) {
    verdict.kind = "finite rank";
    return verdict;
  }
  const auto all = [&](auto holds) {
    return !verdict.windows.empty() &&
           std::all_of(verdict.windows.begin(), verdict.windows.end(), holds);
  };
  if (verdict.windows.empty()) {
    verdict.kind = "undetermined";
  } else if (all([](const StretchedFit& f) { return std::abs(f.g) < 0.1; })) {
    verdict.kind = "polynomial";
  } else if (all([](const StretchedFit& f) { return f.g > 0.8; })) {
    verdict.kind = "exponential or faster";
  } else {
    verdict.kind = "stretched or other";
  }
  return verdict;
}

}  // namespace ntk::theory
