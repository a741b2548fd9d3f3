// Layer norm of one row by one team.
//   mean = sum x / d,  var = sum (x - mean)^2 / d,  r = 1 / sqrt(var + eps),  n = (x - mean) r
//   y = gamma n + beta
//   dx = r (g - mean(g) - n mean(g n)),  g = gamma dy          (vjp)
//   dy = gamma r (dx - mean(dx) - n mean(dx n)) + dgamma n + dbeta   (jvp)
#pragma once

#include <cmath>
#include <cstdint>

#include "device/kernels/team.hpp"

namespace ntk::device::kernels {

template <class Team, class Real>
NTK_HD void layer_norm_row(Team team, std::int64_t d, Real eps, const Real* x, const Real* gamma,
                           const Real* beta, Real* y, Real* statistics) {
  // In fp64: two reductions a row cost little, and their error would reach every later factor.
  double sum = 0;
  NTK_SIMD_SUM(sum)
  for (std::int64_t i = team.rank(); i < d; i += team.size()) sum += static_cast<double>(x[i]);
  const double exact_mean = team.sum(sum) / static_cast<double>(d);
  double squares = 0;
  NTK_SIMD_SUM(squares)
  for (std::int64_t i = team.rank(); i < d; i += team.size()) {
    const double difference = static_cast<double>(x[i]) - exact_mean;
    squares += difference * difference;
  }
  const Real mean = static_cast<Real>(exact_mean);
  const Real r = static_cast<Real>(
      1.0 / std::sqrt(team.sum(squares) / static_cast<double>(d) + static_cast<double>(eps)));
  NTK_SIMD
  for (std::int64_t i = team.rank(); i < d; i += team.size())
    y[i] = gamma[i] * ((x[i] - mean) * r) + beta[i];
  if (team.rank() == 0) {
    statistics[0] = mean;
    statistics[1] = r;
  }
}

template <class Team, class Real>
NTK_HD void layer_norm_backward_row(Team team, std::int64_t d, const Real* x,
                                    const Real* statistics, const Real* gamma, const Real* dy,
                                    Real* dx) {
  const Real mean = statistics[0], r = statistics[1];
  Real sum = 0, product = 0;
  NTK_SIMD_SUM(sum, product)
  for (std::int64_t i = team.rank(); i < d; i += team.size()) {
    const Real g = gamma[i] * dy[i];
    sum += g;
    product += g * ((x[i] - mean) * r);
  }
  const Real a = team.sum(sum) / static_cast<Real>(d), b = team.sum(product) / static_cast<Real>(d);
  NTK_SIMD
  for (std::int64_t i = team.rank(); i < d; i += team.size()) {
    dx[i] += r * (gamma[i] * dy[i] - a - (x[i] - mean) * r * b);
  }
}

template <class Team, class Real>
NTK_HD void layer_norm_tangent_row(Team team, std::int64_t d, const Real* x, const Real* statistics,
                                   const Real* gamma, const Real* dx, const Real* dgamma,
                                   const Real* dbeta, Real* dy) {
  const Real mean = statistics[0], r = statistics[1];
  Real sum = 0, product = 0;
  NTK_SIMD_SUM(sum, product)
  for (std::int64_t i = team.rank(); i < d; i += team.size()) {
    sum += dx[i];
    product += dx[i] * ((x[i] - mean) * r);
  }
  const Real a = team.sum(sum) / static_cast<Real>(d), b = team.sum(product) / static_cast<Real>(d);
  for (std::int64_t i = team.rank(); i < d; i += team.size()) {
    const Real n = (x[i] - mean) * r;
    dy[i] += gamma[i] * r * (dx[i] - a - n * b) + (dgamma ? dgamma[i] * n : Real(0)) +
             (dbeta ? dbeta[i] : Real(0));
  }
}

}  // namespace ntk::device::kernels
