#include "theory/linear_algebra.hpp"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.hpp"

extern "C" void dsyevd_(const char* job, const char* triangle, const int* n, double* a,
                        const int* lda, double* w, double* work, const int* lwork, int* iwork,
                        const int* liwork, int* info);

namespace ntk::theory {

namespace {

// Ascending; the vectors, where asked for, replace the matrix.
std::vector<double> solve_symmetric(const char* job, std::vector<double>& matrix, std::size_t n) {
  ensure(matrix.size() == n * n, "a matrix of {} entries is not {} x {}", matrix.size(), n, n);
  require(
      n <= 30000, ExitCode::resources,
      "a sub-matrix of {} rows is too large (LAPACK counts its entries in 32 bits) use fewer rows",
      n);
  require(std::all_of(matrix.begin(), matrix.end(), [](double v) { return std::isfinite(v); }),
          ExitCode::numerical,
          "the kernel holds a value that is not finite (its file may be damaged) make it again");
  std::vector<double> values(n);
  if (n == 0) return values;
  const int order = static_cast<int>(n);
  int info = 0, query = -1, integers = 0;
  double doubles = 0;
  dsyevd_(job, "L", &order, matrix.data(), &order, values.data(), &doubles, &query, &integers,
          &query, &info);
  std::vector<double> work(static_cast<std::size_t>(doubles));
  std::vector<int> iwork(static_cast<std::size_t>(integers));
  const int lwork = static_cast<int>(work.size()), liwork = static_cast<int>(iwork.size());
  dsyevd_(job, "L", &order, matrix.data(), &order, values.data(), work.data(), &lwork, iwork.data(),
          &liwork, &info);
  require(info == 0, ExitCode::numerical,
          "the eigenvalues of a sub-matrix of {} rows did not converge (LAPACK dsyevd returned {}) "
          "check the kernel with `ntk inspect`",
          n, info);
  return values;
}

}  // namespace

SymmetricEigen eigen_symmetric(std::vector<double> matrix, std::size_t n) {
  SymmetricEigen result{n, solve_symmetric("V", matrix, n), {}};
  result.vectors = std::move(matrix);
  // LAPACK's order is ascending, one vector a column, i.e. a row of our row-major buffer.
  std::reverse(result.values.begin(), result.values.end());
  for (std::size_t k = 0; k < n / 2; ++k) {
    std::swap_ranges(result.vectors.begin() + static_cast<std::ptrdiff_t>(k * n),
                     result.vectors.begin() + static_cast<std::ptrdiff_t>((k + 1) * n),
                     result.vectors.begin() + static_cast<std::ptrdiff_t>((n - 1 - k) * n));
  }
  return result;
}

std::vector<double> eigenvalues_symmetric(std::vector<double> matrix, std::size_t n) {
  auto values = solve_symmetric("N", matrix, n);
  std::reverse(values.begin(), values.end());
  return values;
}

std::vector<double> project(const SymmetricEigen& eigen, std::span<const double> y) {
  ensure(y.size() == eigen.n, "{} labels for {} rows", y.size(), eigen.n);
  std::vector<double> result(eigen.n);
  if (eigen.n == 0) return result;
  const int n = static_cast<int>(eigen.n);
  cblas_dgemv(CblasRowMajor, CblasNoTrans, n, n, 1.0, eigen.vectors.data(), n, y.data(), 1, 0.0,
              result.data(), 1);
  return result;
}

std::vector<double> project_variances(const SymmetricEigen& eigen, std::span<const double> v) {
  ensure(v.size() == eigen.n, "{} variances for {} rows", v.size(), eigen.n);
  std::vector<double> result(eigen.n, 0.0);
  for (std::size_t k = 0; k < eigen.n; ++k) {
    const double* row = eigen.vectors.data() + k * eigen.n;
    for (std::size_t i = 0; i < eigen.n; ++i) result[k] += row[i] * row[i] * v[i];
  }
  return result;
}

double mean(std::span<const double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> output_means(std::span<const double> values, std::size_t outputs) {
  if (outputs == 1) return {mean(values)};
  std::vector<double> result(outputs, 0.0);
  for (std::size_t i = 0; i < values.size(); ++i) result[i % outputs] += values[i];
  for (double& v : result) v /= static_cast<double>(values.size() / outputs);
  return result;
}

std::vector<double> centred(std::span<const double> values, std::size_t outputs) {
  const auto middle = output_means(values, outputs);
  std::vector<double> result(values.begin(), values.end());
  for (std::size_t i = 0; i < result.size(); ++i) result[i] -= middle[i % outputs];
  return result;
}

CentringMeans centring_means(std::span<const double> kernel, std::size_t n, std::size_t outputs) {
  CentringMeans means{outputs, std::vector<double>(outputs * n), {}};
  std::vector<double> row(n);
  for (std::size_t i = 0; i < n; ++i) {  // symmetric: the columns' means are the rows'
    const auto of_row = output_means(kernel.subspan(i * n, n), outputs);
    for (std::size_t c = 0; c < outputs; ++c) means.column[c * n + i] = of_row[c];
  }
  for (std::size_t c = 0; c < outputs; ++c) {
    const auto all = output_means(std::span(means.column).subspan(c * n, n), outputs);
    means.all.insert(means.all.end(), all.begin(), all.end());
  }
  return means;
}

void centre_rows(std::vector<double>& kernel, std::size_t rows, const CentringMeans& means) {
  const std::size_t outputs = means.outputs, n = means.column.size() / outputs;
  for (std::size_t i = 0; i < rows; ++i) {
    double* row = kernel.data() + i * n;
    const std::size_t c = i % outputs;
    const auto middle = output_means({row, n}, outputs);
    for (std::size_t j = 0; j < n; ++j) {
      row[j] +=
          means.all[c * outputs + j % outputs] - middle[j % outputs] - means.column[c * n + j];
    }
  }
}

void centre_kernel(std::vector<double>& kernel, std::size_t n) {
  centre_rows(kernel, n, centring_means(kernel, n, 1));
}

Line fit_line(std::span<const double> x, std::span<const double> y,
              std::span<const double> weights) {
  ensure(x.size() == y.size() && x.size() == weights.size() && x.size() >= 2,
         "a line through {} points with {} values and {} weights", x.size(), y.size(),
         weights.size());
  double total = 0, mx = 0, my = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    total += weights[i];
    mx += weights[i] * x[i];
    my += weights[i] * y[i];
  }
  mx /= total;
  my /= total;
  double xx = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += weights[i] * (x[i] - mx) * (x[i] - mx);
    xy += weights[i] * (x[i] - mx) * (y[i] - my);
  }
  Line line;
  line.slope = xy / xx;
  line.intercept = my - line.slope * mx;
  double squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double r = y[i] - line.intercept - line.slope * x[i];
    squares += weights[i] * r * r;
  }
  line.rms = std::sqrt(squares / total);
  return line;
}

}  // namespace ntk::theory
