// Leave-one-out and folds against plain refits, ridge regression against its normal equations.
#include "theory/cross_validation.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using test::Draw;

struct LabelledKernel {
  std::size_t n;
  std::vector<double> kernel, y;
};
LabelledKernel make_labelled(std::size_t n, std::uint64_t seed) {
  Draw draw(seed);
  const auto x = draw.uniforms(n);
  LabelledKernel p{n, test::kernel_matrix(x, test::min_kernel), {}};
  for (const double v : x) p.y.push_back(std::sin(5 * v) + 0.3 * draw.normal());
  return p;
}

// Predictions at row `out` of kernel ridge regression with an intercept on the other rows,
//   min |y - c - K a|^2 + penalty a^T K a,
// by Gauss-Jordan elimination on [K + penalty I, 1; 1^T, 0].
double left_out_ridge(const LabelledKernel& p, std::size_t out, double penalty) {
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < p.n; ++i) {
    if (i != out) rows.push_back(i);
  }
  const std::size_t m = rows.size(), size = m + 1;
  std::vector<std::vector<double>> a(size, std::vector<double>(size + 1, 0.0));
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < m; ++j) a[i][j] = p.kernel[rows[i] * p.n + rows[j]];
    a[i][i] += penalty;
    a[i][m] = a[m][i] = 1;
    a[i][size] = p.y[rows[i]];
  }
  for (std::size_t c = 0; c < size; ++c) {
    std::size_t pivot = c;
    for (std::size_t r = c; r < size; ++r) {
      if (std::abs(a[r][c]) > std::abs(a[pivot][c])) pivot = r;
    }
    std::swap(a[c], a[pivot]);
    for (std::size_t r = 0; r < size; ++r) {
      if (r == c) continue;
      const double factor = a[r][c] / a[c][c];
      for (std::size_t k = c; k <= size; ++k) a[r][k] -= factor * a[c][k];
    }
  }
  double f = a[m][size] / a[m][m];
  for (std::size_t j = 0; j < m; ++j) f += p.kernel[out * p.n + rows[j]] * a[j][size] / a[j][j];
  return f;
}

TEST(CrossValidation, RidgeLeaveOneOutIsThatOfRefits) {
  const auto p = make_labelled(30, 81);
  const auto modes = held_out_modes(p.kernel, {}, p.n, 0);
  const std::vector<double> grid{0.5, 5, 50, 5000};
  const auto shortcut = leave_one_out(modes, p.y, grid, Path::ridge);
  for (std::size_t g = 0; g < grid.size(); ++g) {
    double error = 0;
    for (std::size_t i = 0; i < p.n; ++i) {
      error += std::pow(p.y[i] - left_out_ridge(p, i, 30 / grid[g]), 2) / 30;
    }
    EXPECT_NEAR(shortcut[g] / error, 1, 1e-8) << grid[g];
  }
}

TEST(CrossValidation, FoldsOfSingleRowsAreLeaveOneOut) {
  const auto p = make_labelled(25, 82);
  const auto folds = draw_folds(p.kernel, p.n, {}, p.n, 3);
  ASSERT_EQ(folds.size(), p.n);
  // The same penalty n nu on 24 rows: nu is larger by 25/24.
  const std::vector<double> grid{2.4, 240}, whole{2.5, 250};
  const auto by_folds = fold_errors(folds, p.y, grid, Path::ridge);
  const auto shortcut =
      leave_one_out(held_out_modes(p.kernel, {}, p.n, 0), p.y, whole, Path::ridge);
  for (std::size_t g = 0; g < grid.size(); ++g) EXPECT_NEAR(by_folds[g] / shortcut[g], 1, 1e-9);
}

TEST(CrossValidation, FlowLeaveOneOutIsCloseToRefits) {
  const auto p = make_labelled(60, 83);
  const auto modes = held_out_modes(p.kernel, {}, p.n, 0);
  const auto folds = draw_folds(p.kernel, p.n, {}, p.n, 3);
  const std::vector<double> grid{1, 10, 100};
  const auto shortcut = leave_one_out(modes, p.y, grid), refits = fold_errors(folds, p.y, grid);
  for (std::size_t g = 0; g < grid.size(); ++g) EXPECT_NEAR(shortcut[g] / refits[g], 1, 0.05);
}

TEST(CrossValidation, FoldsKeepGroupsAndCoverEveryRowOnce) {
  const auto p = make_labelled(60, 84);
  std::vector<std::int64_t> group;
  for (int i = 0; i < 60; ++i) group.push_back(i / 7);
  const auto folds = draw_folds(p.kernel, p.n, group, 4, 5);
  ASSERT_EQ(folds.size(), 4u);
  std::vector<int> seen(60, 0);
  for (const auto& fold : folds) {
    EXPECT_EQ(fold.train.size() + fold.test.size(), 60u);
    EXPECT_GE(fold.test.size(), 8u);
    std::set<std::int64_t> tested;
    for (const auto r : fold.test) {
      seen[r] += 1;
      tested.insert(group[r]);
    }
    for (const auto r : fold.train) EXPECT_FALSE(tested.contains(group[r]));
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 60);
  EXPECT_EQ(draw_folds(p.kernel, p.n, group, 20, 5).size(), 9u);
  EXPECT_TRUE(draw_folds(p.kernel, p.n, std::vector<std::int64_t>(60, 1), 5, 5).empty());
}

TEST(CrossValidation, PathsStartAtTheMeanAndEndAtInterpolation) {
  for (const Path path : {Path::flow, Path::ridge}) {
    EXPECT_EQ(fitted_part(path, 0.3, 0), 0);
    EXPECT_EQ(fitted_part(path, 0.3, never_stop), 1);
  }
  // nu = 1/t brackets gradient flow: (1/2) min(1, t l) <= 1 - S <= min(1, t l).
  for (const double t : {0.01, 1.0, 100.0}) {
    for (const Path path : {Path::flow, Path::ridge}) {
      EXPECT_LE(fitted_part(path, 0.7, t), std::min(1.0, 0.7 * t));
      EXPECT_GE(fitted_part(path, 0.7, t), 0.5 * std::min(1.0, 0.7 * t));
    }
  }
}

}  // namespace
}  // namespace ntk::theory
