#include "theory/cross_validation.hpp"

#include <cblas.h>

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"

namespace ntk::theory {
namespace {

// (points, modes): what is fitted of each mode, times `scale` of the mode.
std::vector<double> weights_along(std::span<const double> values, std::span<const double> grid,
                                  Path path, std::span<const double> scale) {
  std::vector<double> weights;
  weights.reserve(grid.size() * values.size());
  for (const double t : grid) {
    for (std::size_t k = 0; k < values.size(); ++k) {
      weights.push_back(fitted_part(path, values[k], t) * scale[k]);
    }
  }
  return weights;
}

// (points, columns) = weights (points, modes) times matrix (modes, columns).
std::vector<double> product(std::span<const double> weights, std::span<const double> matrix,
                            std::size_t points, std::size_t modes, std::size_t columns) {
  std::vector<double> result(points * columns, 0.0);
  if (modes == 0 || columns == 0) return result;
  const int p = static_cast<int>(points), k = static_cast<int>(modes);
  const int c = static_cast<int>(columns);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, p, c, k, 1.0, weights.data(), k,
              matrix.data(), c, 0.0, result.data(), c);
  return result;
}

// leave_one_out with several outputs: (I - I/N - H_ii)^-1 (y_i - f_i) is the error on the sample's
// rows, H_ii its own block. All pairs of its outputs are rows of one product.
std::vector<double> leave_sample_out(const HeldOutModes& modes, std::span<const double> labels,
                                     std::span<const double> grid, Path path) {
  const std::size_t n = modes.train, m = modes.modes, outputs = modes.outputs();
  const std::size_t samples = n / outputs, pairs = outputs * outputs;
  const auto y = centred(labels, outputs);
  const auto projections = project(modes.eigen, y);
  const auto values = std::span(modes.eigen.values).first(m);
  const auto vectors = std::span(modes.eigen.vectors).first(m * n);
  const std::vector<double> one(m, 1.0);
  const auto own = weights_along(values, grid, path, one);
  const auto fit =
      product(weights_along(values, grid, path, projections), vectors, grid.size(), m, n);
  std::vector<double> errors(grid.size(), 0.0), squares(m * pairs);
  const auto size = static_cast<Eigen::Index>(outputs);
  for (std::size_t s = 0; s < samples; ++s) {
    for (std::size_t k = 0; k < m; ++k) {
      const double* u = vectors.data() + k * n + s * outputs;
      for (std::size_t p = 0; p < pairs; ++p) {
        squares[k * pairs + p] = u[p / outputs] * u[p % outputs];
      }
    }
    const auto hat = product(own, squares, grid.size(), m, pairs);
    for (std::size_t p = 0; p < grid.size(); ++p) {
      const Eigen::Map<const Eigen::MatrixXd> block(hat.data() + p * pairs, size, size);
      Eigen::VectorXd left(size);
      for (std::size_t c = 0; c < outputs; ++c) {
        const std::size_t r = s * outputs + c;
        left(static_cast<Eigen::Index>(c)) = y[r] - fit[p * n + r];
      }
      const Eigen::MatrixXd rest =
          (1 - 1 / static_cast<double>(samples)) * Eigen::MatrixXd::Identity(size, size) - block;
      errors[p] += rest.partialPivLu().solve(left).squaredNorm() / static_cast<double>(n);
    }
  }
  // At interpolation the blocks are singular.
  for (double& e : errors) e = std::isfinite(e) ? e : std::numeric_limits<double>::infinity();
  return errors;
}

}  // namespace

double fitted_part(Path path, double eigenvalue, double t) {
  if (std::isinf(t)) return 1;
  return path == Path::flow ? -std::expm1(-t * eigenvalue) : t * eigenvalue / (t * eigenvalue + 1);
}

LabelFit fit_labels(const HeldOutModes& modes, std::span<const double> labels) {
  LabelFit fit{{modes.eigen.values.begin(),
                modes.eigen.values.begin() + static_cast<std::ptrdiff_t>(modes.modes)},
               project(modes.eigen, centred(labels, modes.outputs())),
               output_means(labels, modes.outputs())};
  fit.projections.resize(modes.modes);
  return fit;
}

std::vector<double> predict_rows(const LabelFit& fit, std::span<const double> factor,
                                 std::span<const double> grid, Path path) {
  const std::size_t modes = fit.values.size(), outputs = fit.means.size();
  ensure(fit.projections.size() == modes && modes > 0 && factor.size() % modes == 0,
         "{} projections and a factor of {} entries for {} modes", fit.projections.size(),
         factor.size(), modes);
  const std::size_t rows = factor.size() / modes;
  auto scale = fit.projections;
  for (std::size_t k = 0; k < modes; ++k) scale[k] /= fit.values[k];
  const auto weights = weights_along(fit.values, grid, path, scale);
  std::vector<double> result(grid.size() * rows);
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = fit.means[i % rows % outputs];
  if (rows == 0) return result;
  const int p = static_cast<int>(grid.size()), k = static_cast<int>(modes);
  const int t = static_cast<int>(rows);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, p, t, k, 1.0, weights.data(), k,
              factor.data(), k, 1.0, result.data(), t);
  return result;
}

std::vector<double> predict_along(const HeldOutModes& modes, std::span<const double> labels,
                                  std::span<const double> grid, Path path) {
  const auto fit = fit_labels(modes, labels);
  if (modes.modes > 0) return predict_rows(fit, modes.factor, grid, path);
  std::vector<double> means;
  for (std::size_t i = 0; i < grid.size() * modes.test; ++i) {
    means.push_back(fit.means[i % modes.test % modes.outputs()]);
  }
  return means;
}

std::vector<double> leave_one_out(const HeldOutModes& modes, std::span<const double> labels,
                                  std::span<const double> grid, Path path) {
  const std::size_t n = modes.train;
  if (modes.outputs() > 1) return leave_sample_out(modes, labels, grid, path);
  const auto rows = static_cast<double>(n);
  const auto y = centred(labels);
  const auto projections = project(modes.eigen, y);
  const auto values = std::span(modes.eigen.values).first(modes.modes);
  const auto vectors = std::span(modes.eigen.vectors).first(modes.modes * n);
  std::vector<double> squares(vectors.begin(), vectors.end());
  for (double& v : squares) v *= v;
  const std::vector<double> one(modes.modes, 1.0);
  const auto hat =
      product(weights_along(values, grid, path, one), squares, grid.size(), modes.modes, n);
  const auto fit =
      product(weights_along(values, grid, path, projections), vectors, grid.size(), modes.modes, n);
  std::vector<double> errors(grid.size(), 0.0);
  for (std::size_t p = 0; p < grid.size(); ++p) {
    for (std::size_t i = 0; i < n; ++i) {
      const double left = std::max(1e-12, 1 - 1 / rows - hat[p * n + i]);
      const double error = (y[i] - fit[p * n + i]) / left;
      errors[p] += error * error / rows;
    }
  }
  return errors;
}

std::vector<Fold> draw_folds(std::span<const double> kernel, std::size_t n,
                             std::span<const std::int64_t> group, std::size_t count,
                             std::uint64_t seed, std::size_t outputs) {
  const auto order = shuffled_groups(n / outputs, group, seed);
  std::vector<Fold> folds(std::min(count, order.size()));
  if (folds.size() < 2) return {};
  // Always into the smallest, so that folds differ by less than a group.
  for (const auto& list : order) {
    auto& fold = *std::min_element(folds.begin(), folds.end(), [](const auto& a, const auto& b) {
      return a.test.size() < b.test.size();
    });
    fold.test.insert(fold.test.end(), list.begin(), list.end());
  }
  for (auto& fold : folds) {
    std::sort(fold.test.begin(), fold.test.end());
    fold.test = rows_of_samples(fold.test, outputs);
    for (std::size_t i = 0; i < n; ++i) {
      if (!std::binary_search(fold.test.begin(), fold.test.end(), i)) fold.train.push_back(i);
    }
    fold.modes = held_out_modes(sub_matrix(kernel, n, fold.train, fold.train),
                                sub_matrix(kernel, n, fold.test, fold.train), fold.train.size(),
                                fold.test.size(), outputs);
  }
  return folds;
}

std::vector<double> fold_errors(std::span<const Fold> folds, std::span<const double> labels,
                                std::span<const double> grid, Path path) {
  std::vector<double> errors(grid.size(), 0.0);
  double rows = 0;
  for (const auto& fold : folds) rows += static_cast<double>(fold.test.size());
  for (const auto& fold : folds) {
    const auto predictions = predict_along(fold.modes, at_rows(labels, fold.train), grid, path);
    for (std::size_t p = 0; p < grid.size(); ++p) {
      for (std::size_t i = 0; i < fold.test.size(); ++i) {
        const double error = labels[fold.test[i]] - predictions[p * fold.test.size() + i];
        errors[p] += error * error / rows;
      }
    }
  }
  return errors;
}

}  // namespace ntk::theory
