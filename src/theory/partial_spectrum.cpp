#include "theory/partial_spectrum.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "base/error.hpp"

namespace ntk::theory {
namespace {

// The argument where the monotone `f` crosses zero, between `low` and `high`: bisection and false
// position by turns. The nearer end where it does not cross.
template <class Function>
double root(double low, double high, Function f) {
  double at_low = f(low), at_high = f(high);
  if ((at_low > 0) == (at_high > 0)) return std::abs(at_low) < std::abs(at_high) ? low : high;
  for (int i = 0; i < 200 && high - low > 1e-9; ++i) {
    const double part = i % 2 == 0 ? 0.5 : at_low / (at_low - at_high);
    const double middle = low + part * (high - low), value = f(middle);
    if (std::abs(value) < 1e-12) return middle;
    const bool up = (value > 0) == (at_high > 0);
    (up ? high : low) = middle;
    (up ? at_high : at_low) = value;
  }
  return 0.5 * (low + high);
}

// l(x) of complete_tail for top = 1.
double tail_shape(double x, double xi, double sigma) {
  if (std::abs(xi) < 1e-8) return std::exp(-x / sigma);
  const double base = 1 + xi * x / sigma;
  return base > 0 ? std::pow(base, -1 / xi) : 0.0;
}

Interval hull(double a, double b) {
  return {std::min(a, b), std::max(a, b)};
}

}  // namespace

Interval operator+(Interval a, Interval b) {
  return {a.low + b.low, a.high + b.high};
}
Interval operator-(Interval a, Interval b) {
  return {a.low - b.high, a.high - b.low};
}
Interval operator*(Interval a, double positive) {
  return {a.low * positive, a.high * positive};
}
Interval intersection(Interval a, Interval b) {
  return hull(std::max(a.low, b.low), std::min(a.high, b.high));  // hull: rounding
}

double error_of(double estimate, Interval bounds) {
  return std::max({0.0, bounds.high - estimate, estimate - bounds.low});
}

TailMoments TailMoments::of(double top, double mass, double first, double second,
                            double second_error) {
  TailMoments t{top, std::max(0.0, mass), 0, {}};
  t.first = std::clamp(first, 0.0, top * t.mass);
  const double least = t.mass > 0 ? t.first * t.first / t.mass : 0.0, most = top * t.first;
  t.second = {std::clamp(second - second_error, least, most),
              std::clamp(second + second_error, least, most)};
  return t;
}

TailMoments operator*(TailMoments moments, double positive) {
  moments.mass *= positive;
  moments.first *= positive;
  moments.second = moments.second * positive;
  return moments;
}

Interval tail_bounds(const TailMoments& tail, int power, const std::function<double(double)>& g) {
  const double b = tail.top, at_zero = g(0), at_top = g(b);
  // From the moments of order `power` and higher. g falls and is convex: the more its weights are
  // spread, the larger the sum, so each end takes its own end of `second`.
  if (power == 2) return {tail.second.low * at_top, tail.second.high * at_zero};
  if (!(tail.first > 0) || !(b > 0)) {
    const double all = power == 0 ? tail.mass * at_zero : 0.0;
    return {all, all};
  }
  if (power == 1) {  // weights w l: their mass and mean
    const double at_end = tail.second.low / b;
    return hull(tail.first * g(tail.second.high / tail.first),
                (tail.first - at_end) * at_zero + at_end * at_top);
  }
  ensure(power == 0, "bounds for power {}", power);
  const double inside = tail.first * tail.first / tail.second.high;
  const double high = (tail.mass - inside) * at_zero + inside * g(tail.second.high / tail.first);
  // Weights w (b - l) sit at one point.
  const double mass = b * tail.mass - tail.first, first = b * tail.first - tail.second.low;
  if (!(mass > 0)) return hull(tail.mass * at_top, high);
  const double point = std::min(first / mass, b);
  const double there = b > point ? std::min(tail.mass, mass / (b - point)) : tail.mass;
  return hull(there * g(point) + (tail.mass - there) * at_top, high);
}

Interval capped_bounds(const TailMoments& tail, double cap) {
  if (cap >= tail.top) return {tail.first, tail.first};
  if (!(tail.first > 0)) return {0, 0};
  return {tail.first * cap / tail.top, tail.mass * std::min(tail.first / tail.mass, cap)};
}

std::vector<double> complete_tail(const TailMoments& tail, std::size_t modes) {
  std::vector<double> values(modes, 0.0);
  if (!(tail.first > 0)) return values;
  const double mean = tail.first / tail.top;  // in units of the top
  const double square = 0.5 * (tail.second.low + tail.second.high) / (tail.top * tail.top);
  struct Sums {
    double first = 0, second = 0;
  };
  const auto sums = [&](double xi, double log_sigma) {
    Sums s;
    const double sigma = std::exp(log_sigma);
    for (std::size_t x = 1; x <= modes; ++x) {
      const double l = tail_shape(static_cast<double>(x), xi, sigma);
      if (l == 0) break;
      s.first += l;
      s.second += l * l;
    }
    return s;
  };
  // For every xi one sigma gives the sum; along it the squares fall with xi, from those of a step
  // to those of equal values.
  const auto scale = [&](double xi) {
    return root(-30 * std::max(1.0, xi), 35,
                [&](double t) { return sums(xi, t).first / mean - 1; });
  };
  const double xi = root(-500, 20, [&](double t) { return sums(t, scale(t)).second / square - 1; });
  const double sigma = std::exp(scale(xi));
  double sum = 0;
  for (std::size_t x = 1; x <= modes; ++x) {
    values[x - 1] = tail.top * tail_shape(static_cast<double>(x), xi, sigma);
    sum += values[x - 1];
  }
  for (double& v : values) v = std::min(tail.top, v * tail.first / sum);
  return values;
}

std::vector<double> spread_over(const TailMoments& weights, std::span<const double> values) {
  std::vector<double> spread(values.size(), 0.0);
  if (values.empty() || !(weights.top > 0)) return spread;
  Eigen::Matrix3d sums = Eigen::Matrix3d::Zero();
  for (const double v : values) {
    const double t = v / weights.top;
    const Eigen::Vector3d powers(1, t, t * t);
    sums += powers * powers.transpose();
  }
  const double top = weights.top;
  const Eigen::Vector3d moments(weights.mass, weights.first / top,
                                0.5 * (weights.second.low + weights.second.high) / (top * top));
  // Least norm where the values are too few or too alike to carry three moments.
  const Eigen::Vector3d c = sums.completeOrthogonalDecomposition().solve(moments);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double t = values[i] / top;
    spread[i] = c[0] + t * (c[1] + t * c[2]);
  }
  return spread;
}

}  // namespace ntk::theory
