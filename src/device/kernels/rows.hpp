// Small operations on rows: gather, scatter, sums over the rows of a sample. A team splits the
// `width` numbers of a row; each thread keeps to its own, so that no barrier is needed.
#pragma once

#include <cstdint>

#include "device/kernels/team.hpp"

namespace ntk::device::kernels {

// y = x or y += x.
template <class Team, class Real>
NTK_HD void take_row(Team team, std::int64_t width, const Real* x, bool accumulate, Real* y) {
  if (accumulate) {
    NTK_SIMD
    for (std::int64_t i = team.rank(); i < width; i += team.size()) y[i] += x[i];
  } else {
    NTK_SIMD
    for (std::int64_t i = team.rank(); i < width; i += team.size()) y[i] = x[i];
  }
}

// y += scale * x.
template <class Team, class Real>
NTK_HD void add_scaled_row(Team team, std::int64_t width, Real scale, const Real* x, Real* y) {
  NTK_SIMD
  for (std::int64_t i = team.rank(); i < width; i += team.size()) y[i] += scale * x[i];
}

// y = sum of rows [first, last) of x.
template <class Team, class Real>
NTK_HD void sum_of_rows(Team team, std::int64_t first, std::int64_t last, std::int64_t width,
                        const Real* x, Real* y) {
  for (std::int64_t i = team.rank(); i < width; i += team.size()) y[i] = 0;
  for (std::int64_t r = first; r < last; ++r) {
    const Real* from = x + r * width;
    NTK_SIMD
    for (std::int64_t i = team.rank(); i < width; i += team.size()) y[i] += from[i];
  }
}

// y = sum over the listed rows of x.
template <class Team, class Real>
NTK_HD void sum_of_listed_rows(Team team, const std::int64_t* rows, std::int64_t count,
                               std::int64_t width, const Real* x, Real* y) {
  for (std::int64_t i = team.rank(); i < width; i += team.size()) y[i] = 0;
  for (std::int64_t at = 0; at < count; ++at) {
    const Real* from = x + rows[at] * width;
    NTK_SIMD
    for (std::int64_t i = team.rank(); i < width; i += team.size()) y[i] += from[i];
  }
}

// y = mean of rows [first, last) of x.
template <class Team, class Real>
NTK_HD void mean_of_rows(Team team, std::int64_t first, std::int64_t last, std::int64_t width,
                         const Real* x, Real* y) {
  sum_of_rows(team, first, last, width, x, y);
  const Real inverse = Real(1) / static_cast<Real>(last - first);
  for (std::int64_t i = team.rank(); i < width; i += team.size()) y[i] *= inverse;
}

// y = sum over rows [first, last) of dy times the normalised x (gradient of a layer norm's gamma).
template <class Team, class Real>
NTK_HD void sum_of_normalised_rows(Team team, std::int64_t first, std::int64_t last,
                                   std::int64_t width, const Real* x, const Real* statistics,
                                   const Real* dy, Real* y) {
  for (std::int64_t i = team.rank(); i < width; i += team.size()) y[i] = 0;
  for (std::int64_t r = first; r < last; ++r) {
    const Real *from = dy + r * width, *at = x + r * width;
    const Real mean = statistics[2 * r], scale = statistics[2 * r + 1];
    NTK_SIMD
    for (std::int64_t i = team.rank(); i < width; i += team.size())
      y[i] += from[i] * ((at[i] - mean) * scale);
  }
}

}  // namespace ntk::device::kernels
