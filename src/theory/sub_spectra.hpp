// Uncertainty of whatever is read from eigenvalues: spectra of principal sub-matrices, whose rows
// are drawn without replacement. Rows drawn with replacement would repeat, which makes about 37 %
// of the eigenvalues zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "theory/effective_dimension.hpp"

namespace ntk::theory {

// The positive eigenvalues, descending, of H K_m H / m for `draws` random sets of m rows of the
// row-major (n, n) `kernel`: whole samples of `outputs` rows, which divide m; H centres every
// output. Draw d takes seed + d.
std::vector<std::vector<double>> sub_spectra(std::span<const double> kernel, std::size_t n,
                                             std::size_t m, std::size_t draws, std::uint64_t seed,
                                             std::size_t outputs = 1);

// Standard deviation of a statistic of n rows from its values on draws of m of them (Shao and Wu,
// Annals of Statistics 17, 1989: the jackknife that deletes n - m rows):
//   sd^2 = m/(n - m) mean (value - mean)^2.
// Nothing with fewer than 10 values.
std::optional<double> jackknife_sd(std::span<const double> values, std::size_t m, std::size_t n);

// The exponents of kappa_windows on every spectrum; a window that some spectrum has not is left
// out for it. Windows end at df = `most` m.
struct WindowValues {
  std::vector<double> full, low, high;
};
WindowValues kappa_values(std::span<const std::vector<double>> spectra, std::size_t m,
                          double most = 0.5);

// The last rank k up to which the effective dimension of all n rows and that of the sub-matrices of
// m agree: |mean N1_m(kappa) / N1_n(kappa) - 1| <= tolerance for all kappa with N1_n in [5, k].
// 0 when they never do.
std::size_t agreeing_rank(const RidgeCurve& curve, std::span<const std::vector<double>> spectra,
                          std::size_t m, double tolerance = 0.05);

}  // namespace ntk::theory
