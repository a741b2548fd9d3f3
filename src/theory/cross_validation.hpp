// Stopping rules that judge a fit on rows it has not seen: leave-one-out and K folds. They know
// neither the noise nor the reference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "theory/held_out.hpp"

namespace ntk::theory {

// How far a mode is fitted: gradient flow after total step size t leaves exp(-t l) of it, ridge
// regression nu/(l + nu) with nu = 1/t.
enum class Path { flow, ridge };
double fitted_part(Path path, double eigenvalue, double t);  // 1 - S, in [0, 1]

// Labels as a fit sees them: in the modes of the centred training kernel.
struct LabelFit {
  std::vector<double> values;       // positive eigenvalues of K/n, descending
  std::vector<double> projections;  // U^T y, one a mode
  std::vector<double> means;        // of the labels, one an output: the intercepts
};
LabelFit fit_labels(const HeldOutModes& modes, std::span<const double> labels);

// Predictions at every point of `grid`, (grid, rows) row-major, on rows that are given by their
// `factor` (held_out_factor; (rows, modes) row-major):
//   f(x) = mean y + (1/n) k_x^T U diag((1 - S_i)/l_i) U^T y.
std::vector<double> predict_rows(const LabelFit& fit, std::span<const double> factor,
                                 std::span<const double> grid, Path path = Path::flow);
// The same on the block's test rows.
std::vector<double> predict_along(const HeldOutModes& modes, std::span<const double> labels,
                                  std::span<const double> grid, Path path = Path::flow);

// Leave-one-out error of the training block at every point of `grid`,
//   mean ((y_i - f_i) / (1 - 1/n - H_ii))^2,  H = U diag(1 - S) U^T, 1/n for the intercept;
// with several outputs a sample is left out with all its rows, and H_ii is a block of them.
// Exact for ridge regression at fixed n nu; for gradient flow the usual approximation, since the
// path on n - 1 rows is no shortcut of that on n, and meaningless near interpolation, as GCV is
// (gcv_points).
std::vector<double> leave_one_out(const HeldOutModes& modes, std::span<const double> labels,
                                  std::span<const double> grid, Path path = Path::flow);

// One fold of a training block; indexes into its rows, ascending.
struct Fold {
  std::vector<std::size_t> train, test;
  HeldOutModes modes;
};

// Up to `count` folds of the row-major (n, n) kernel of a training block, drawn at random; samples
// of one group (empty = every sample its own) stay together. Fewer where there are fewer groups;
// none where there is one.
std::vector<Fold> draw_folds(std::span<const double> kernel, std::size_t n,
                             std::span<const std::int64_t> group, std::size_t count,
                             std::uint64_t seed, std::size_t outputs = 1);

// Mean squared error on the folds' rows at every point of `grid`. Never empty folds.
std::vector<double> fold_errors(std::span<const Fold> folds, std::span<const double> labels,
                                std::span<const double> grid, Path path = Path::flow);

}  // namespace ntk::theory
