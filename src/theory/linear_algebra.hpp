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

double mean(std::span<const double> values);

// Rows r = sample * outputs + output: the mean over samples, of every output.
std::vector<double> output_means(std::span<const double> values, std::size_t outputs);

// values minus their mean, that of each output.
std::vector<double> centred(std::span<const double> values, std::size_t outputs = 1);

// Means over training samples that take the constants of every output out of a kernel:
// H K H with H = (I - 11^T/N) (x) I_C.
struct CentringMeans {
  std::size_t outputs = 1;
  std::vector<double> column;  // (outputs, n) mean over the training rows of this output
  std::vector<double> all;     // (outputs, outputs) mean over the columns of each output too
};
// Of the symmetric row-major (n, n) training kernel.
CentringMeans centring_means(std::span<const double> kernel, std::size_t n, std::size_t outputs);
// Centres `rows` rows, whole samples, against the same training columns: (rows, n) row-major, in
// place. The training kernel itself or that of other rows.
void centre_rows(std::vector<double>& kernel, std::size_t rows, const CentringMeans& means);

// H K H with one output, in place; K row-major (n, n).
void centre_kernel(std::vector<double>& kernel, std::size_t n);

// Least-squares line y = intercept + slope x with weights; rms is the weighted rms residual.
struct Line {
  double slope = 0, intercept = 0, rms = 0;
};
Line fit_line(std::span<const double> x, std::span<const double> y,
              std::span<const double> weights);

}  // namespace ntk::theory
