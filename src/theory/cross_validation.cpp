#include "theory/cross_validation.hpp"

#include <cblas.h>

#include <algorithm>
#include <cmath>

namespace ntk::theory {
namespace {

// (points, modes): what is fitted of each mode, times `scale` of the mode.
std::vector<double> weights_along(const HeldOutModes& modes, std::span<const double> grid,
                                  Path path, std::span<const double> scale) {
  std::vector<double> weights(grid.size() * modes.modes);
  for (std::size_t p = 0; p < grid.size(); ++p) {
    for (std::size_t k = 0; k < modes.modes; ++k) {
      weights[p * modes.modes + k] = fitted_part(path, modes.eigen.values[k], grid[p]) * scale[k];
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

}  // namespace

double fitted_part(Path path, double eigenvalue, double t) {
  if (std::isinf(t)) return 1;
  return path == Path::flow ? -std::expm1(-t * eigenvalue) : t * eigenvalue / (t * eigenvalue + 1);
}

std::vector<double> predict_along(const HeldOutModes& modes, std::span<const double> labels,
                                  std::span<const double> grid, Path path) {
  const double middle = mean(labels);
  auto scale = project(modes.eigen, centred(labels));
  for (std::size_t k = 0; k < modes.modes; ++k) scale[k] /= modes.eigen.values[k];
  const auto weights = weights_along(modes, grid, path, scale);
  std::vector<double> result(grid.size() * modes.test, middle);
  if (modes.modes == 0 || modes.test == 0) return result;
  const int p = static_cast<int>(grid.size()), k = static_cast<int>(modes.modes);
  const int t = static_cast<int>(modes.test);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, p, t, k, 1.0, weights.data(), k,
              modes.factor.data(), k, 1.0, result.data(), t);
  return result;
}

std::vector<double> leave_one_out(const HeldOutModes& modes, std::span<const double> labels,
                                  std::span<const double> grid, Path path) {
  const std::size_t n = modes.train;
  const auto rows = static_cast<double>(n);
  const auto y = centred(labels);
  const auto projections = project(modes.eigen, y);
  const auto vectors = std::span(modes.eigen.vectors).first(modes.modes * n);
  std::vector<double> squares(vectors.begin(), vectors.end());
  for (double& v : squares) v *= v;
  const std::vector<double> one(modes.modes, 1.0);
  const auto hat =
      product(weights_along(modes, grid, path, one), squares, grid.size(), modes.modes, n);
  const auto fit =
      product(weights_along(modes, grid, path, projections), vectors, grid.size(), modes.modes, n);
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
                             std::uint64_t seed) {
  const auto order = shuffled_groups(n, group, seed);
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
    for (std::size_t i = 0; i < n; ++i) {
      if (!std::binary_search(fold.test.begin(), fold.test.end(), i)) fold.train.push_back(i);
    }
    fold.modes = held_out_modes(sub_matrix(kernel, n, fold.train, fold.train),
                                sub_matrix(kernel, n, fold.test, fold.train), fold.train.size(),
                                fold.test.size());
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
