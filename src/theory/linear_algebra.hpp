// The little dense linear algebra that the statistics need: small symmetric eigenproblems
// (sub-matrices of a stored kernel, at most a few thousand rows) and weighted lines. Serial.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace ntk::theory {

// Eigenvalues in descending order; vectors[k * n + i] is component i of the k-th unit eigenvector.
struct SymmetricEigen {
  std::size_t n = 0;
  std::vector<double> values;
  std::vector<double> vectors;
};

// Eigendecomposition of the symmetric row-major (n, n) `matrix` (LAPACK dsyevd).
// Throws Error(numerical) when an entry is not finite or LAPACK does not converge.
SymmetricEigen eigen_symmetric(std::vector<double> matrix, std::size_t n);
// The eigenvalues alone, which takes a fifth of the time. Reads the upper triangle.
std::vector<double> eigenvalues_symmetric(std::vector<double> matrix, std::size_t n);

// U^T y for every eigenvector, in the order of the eigenvalues. y has n entries.
std::vector<double> project(const SymmetricEigen& eigen, std::span<const double> y);

// sum_j U_ji^2 v_j for every mode i: the variance that independent noise of variances v (n
// entries) has in each mode.
std::vector<double> project_variances(const SymmetricEigen& eigen, std::span<const double> v);

// H K H with H = I - 11^T/n, in place; K row-major (n, n).
void centre_kernel(std::vector<double>& kernel, std::size_t n);

double mean(std::span<const double> values);

// values minus their mean.
std::vector<double> centred(std::span<const double> values);

// Least-squares line y = intercept + slope x with weights; rms is the weighted rms residual.
struct Line {
  double slope = 0, intercept = 0, rms = 0;
};
Line fit_line(std::span<const double> x, std::span<const double> y,
              std::span<const double> weights);

}  // namespace ntk::theory
