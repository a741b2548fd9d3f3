#include "theory/decay_check.hpp"

#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "theory/decay.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/normal_draws.hpp"

namespace ntk::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

double value_of(const RankStatistic& statistic, std::span<const double> eigenvalues) {
  if (statistic.last == 1) return eigenvalues[0];
  const auto fit = rank_decay(eigenvalues, statistic.first, statistic.last);
  return fit && fit->high == static_cast<double>(statistic.last) ? fit->alpha : nan;
}

// Draws from check.model until `draws`, or until it is clear that it is not the kernel's.
void draw_from(LawCheck& check, const std::vector<RankStatistic>& observed, std::size_t n,
               std::uint64_t seed, std::size_t draws) {
  std::vector<std::vector<double>> values(observed.size());
  const auto far = [&](std::size_t i) {
    const double middle = mean(values[i]);
    double square = 0;
    for (const double v : values[i]) square += (v - middle) * (v - middle);
    const double sd = std::sqrt(square / static_cast<double>(values[i].size() - 1));
    return !(std::abs(observed[i].value - middle) <= far_away * sd);
  };
  for (; check.draws < draws; ++check.draws) {
    if (check.draws == first_draws) {
      bool given_up = false;
      for (std::size_t i = 0; i < observed.size(); ++i) given_up = given_up || far(i);
      if (given_up) break;
    }
    const auto drawn = draw_spectrum(check.model, n, seed + check.draws);
    for (std::size_t i = 0; i < observed.size(); ++i) {
      values[i].push_back(value_of(observed[i], drawn));
    }
  }
  for (std::size_t i = 0; i < observed.size(); ++i) {
    const auto [low, high] = std::minmax_element(values[i].begin(), values[i].end());
    check.statistics.push_back({observed[i], *low, *high});
    // A draw whose positive eigenvalues do not fill the window does not look like the kernel.
    if (std::ranges::any_of(values[i], [](double v) { return std::isnan(v); })) {
      check.statistics.back().low = check.statistics.back().high = nan;
    }
  }
}

// Fitted on df in [5, 0.3 n], judged beyond.
double extrapolation(const RidgeCurve& curve, DecayLaw law) {
  const auto fit = fit_law(curve, law, 5, 0.3 * curve.n);
  if (!fit) return nan;
  double square = 0, count = 0;
  for (std::size_t p = 0; p < curve.df.size(); ++p) {
    if (curve.df[p] <= 0.3 * curve.n || curve.df[p] > 0.5 * curve.n) continue;
    const double d = std::log(model_dimension(*fit, curve.kappa[p]) / curve.df[p]);
    square += d * d;
    count += 1;
  }
  return std::sqrt(square / count);  // NaN without points
}

}  // namespace

std::string RankStatistic::name() const {
  return last == 1 ? "l_1" : fmt::format("slope [{}, {}]", first, last);
}

std::vector<RankStatistic> rank_statistics(std::span<const double> eigenvalues, std::size_t n) {
  std::vector<RankStatistic> result{{1, 1, eigenvalues[0]}};
  const auto slope = [&](std::size_t first, std::size_t last) {
    if (last > eigenvalues.size() || last < 2 * first) return;
    result.push_back({first, last, 0});
    result.back().value = value_of(result.back(), eigenvalues);
  };
  slope(5, 50);
  if (n >= 1000) {
    slope(100, 500);
  } else {
    slope(std::max<std::size_t>(5, n / 10), n / 2);
  }
  return result;
}

std::vector<double> draw_spectrum(const DecayModel& model, std::size_t n, std::uint64_t seed) {
  constexpr std::size_t panel = 256;  // features drawn at a time, one a row
  const std::size_t features = 4 * n;
  const double rows = static_cast<double>(n);
  const int order = static_cast<int>(n);
  NormalDraws draw(seed);
  std::vector<double> z(panel * n), kernel(n * n, 0.0);
  for (std::size_t first = 0; first < features; first += panel) {
    const std::size_t count = std::min(panel, features - first);
    for (std::size_t k = 0; k < count; ++k) {
      const auto row = std::span(z).subspan(k * n, n);
      const double variance = model_eigenvalue(model, static_cast<double>(first + k + 1));
      for (double& v : row) v = std::sqrt(variance / rows) * draw.next();
      const double middle = mean(row);
      for (double& v : row) v -= middle;
    }
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, order, static_cast<int>(count), 1.0,
                z.data(), order, 1.0, kernel.data(), order);
  }
  auto values = eigenvalues_symmetric(std::move(kernel), n);
  values.pop_back();  // of the constant
  const double rest = model_tail(model, static_cast<double>(features)) / rows;
  for (double& v : values) v += rest;
  return values;
}

bool LawCheck::accepted() const {
  return !statistics.empty() && std::all_of(statistics.begin(), statistics.end(),
                                            [](const auto& s) { return s.inside(); });
}

std::vector<LawCheck> check_laws(std::span<const double> eigenvalues, std::size_t n,
                                 std::uint64_t seed, std::size_t draws, double worst_rms) {
  std::vector<LawCheck> checks;
  if (eigenvalues.size() < 2) return checks;
  const auto curve = ridge_curve(eigenvalues, static_cast<double>(n));
  auto models = fit_laws(curve);
  if (models.empty()) return checks;
  for (auto& model : models) {
    const double beyond = extrapolation(curve, model.law);
    checks.push_back({std::move(model), beyond, 0, {}});
  }
  const auto power = std::find_if(checks.begin(), checks.end(),
                                  [](const auto& c) { return c.model.law == DecayLaw::power; });
  std::rotate(checks.begin(), power, std::next(power));
  const auto observed = rank_statistics(eigenvalues, n);
  for (auto& check : checks) {
    if (check.model.rms > worst_rms) continue;
    draw_from(check, observed, n, seed, draws);
    if (check.accepted()) break;
  }
  return checks;
}

}  // namespace ntk::theory
