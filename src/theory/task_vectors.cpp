#include "theory/task_vectors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.hpp"
#include "theory/effective_dimension.hpp"
#include "theory/filter.hpp"
#include "theory/linear_algebra.hpp"

namespace ntk::theory {

namespace {

constexpr std::size_t least_task_rows = 40;

double frobenius2(std::span<const double> kernel, std::size_t n, std::span<const std::size_t> a,
                  std::span<const std::size_t> b) {
  double sum = 0;
  for (const std::size_t i : a) {
    for (const std::size_t j : b) sum += kernel[i * n + j] * kernel[i * n + j];
  }
  return sum;
}

}  // namespace

std::vector<Split> split_tasks(const TaskRows& rows, std::uint64_t seed) {
  std::vector<std::vector<std::size_t>> members(rows.names.size());
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    members.at(static_cast<std::size_t>(rows.task[i])).push_back(i);
  }
  std::vector<Split> splits;
  for (std::size_t t = 0; t < members.size(); ++t) {
    const auto& own = members[t];
    require(own.size() >= least_task_rows, ExitCode::input,
            "task {} has {} rows (its task vector is trained on half of at least {}) use more "
            "samples",
            rows.names[t], own.size(), least_task_rows);
    auto split =
        draw_split(own.size(), at_rows(rows.group, own), own.size() / 2, own.size() / 4, seed);
    splits.push_back({at_rows(own, split.train), at_rows(own, split.test)});
  }
  return splits;
}

std::vector<double> centre_by_task(std::span<const double> values,
                                   std::span<const std::int32_t> task,
                                   std::span<const Split> splits) {
  std::vector<double> means, result(values.begin(), values.end());
  for (const auto& split : splits) means.push_back(mean(at_rows(values, split.train)));
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] -= means[static_cast<std::size_t>(task[i])];
  }
  return result;
}

std::vector<double> centre_kernel_by_task(std::vector<double> kernel,
                                          std::span<const std::int32_t> task,
                                          std::span<const Split> splits) {
  const std::size_t n = task.size();
  ensure(kernel.size() == n * n, "a kernel of {} entries for {} rows", kernel.size(), n);
  for (std::size_t i = 0; i < n; ++i) {  // columns' means out of every row
    const std::span row(kernel.data() + i * n, n);
    const auto centred_row = centre_by_task(row, task, splits);
    std::copy(centred_row.begin(), centred_row.end(), row.begin());
  }
  std::vector<double> means(splits.size() * n, 0.0);
  for (std::size_t t = 0; t < splits.size(); ++t) {
    const auto count = static_cast<double>(splits[t].train.size());
    for (const std::size_t i : splits[t].train) {
      for (std::size_t j = 0; j < n; ++j) means[t * n + j] += kernel[i * n + j] / count;
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    const double* of = means.data() + static_cast<std::size_t>(task[i]) * n;
    for (std::size_t j = 0; j < n; ++j) kernel[i * n + j] -= of[j];
  }
  return kernel;
}

TaskVector fit_task_vector(std::span<const double> kernel, std::size_t n,
                           std::span<const double> labels, std::vector<std::size_t> rows,
                           std::size_t intercepts) {
  const std::size_t m = rows.size();
  TaskVector vector{std::move(rows), std::vector<double>(m, 0.0), 0, std::vector<double>(n, 0.0)};
  auto own = sub_matrix(kernel, n, vector.rows, vector.rows);
  for (double& v : own) v /= static_cast<double>(m);
  const auto eigen = eigen_symmetric(std::move(own), m);
  const std::size_t modes = std::min(positive_modes(eigen.values), m - std::min(m, intercepts));
  const auto y = at_rows(labels, vector.rows);
  const double square = std::inner_product(y.begin(), y.end(), y.begin(), 0.0);
  if (modes == 0 || !(square > 0)) return vector;
  const auto values = std::span(eigen.values).first(modes);
  const auto projections = project(eigen, y);
  const std::vector<double> zero(m, 0.0);
  const auto modal = label_modes(projections, square, zero, 0, static_cast<double>(m),
                                 static_cast<double>(intercepts), modes);
  vector.eta = gcv_stop(values, modal, eta_grid(values));
  const auto residual = flow_residual(values, vector.eta);
  for (std::size_t k = 0; k < modes; ++k) {
    const double scale = (1 - residual[k]) / values[k] * projections[k] / static_cast<double>(m);
    for (std::size_t i = 0; i < m; ++i) {
      vector.coefficients[i] += scale * eigen.vectors[k * m + i];
    }
  }
  for (std::size_t x = 0; x < n; ++x) {
    for (std::size_t i = 0; i < m; ++i) {
      vector.update[x] += kernel[x * n + vector.rows[i]] * vector.coefficients[i];
    }
  }
  return vector;
}

double task_alignment(std::span<const double> kernel, std::size_t n, std::span<const std::size_t> a,
                      std::span<const std::size_t> b) {
  const double own = frobenius2(kernel, n, a, a) * frobenius2(kernel, n, b, b);
  if (!(own > 0)) return std::numeric_limits<double>::quiet_NaN();
  return frobenius2(kernel, n, a, b) / std::sqrt(own);
}

}  // namespace ntk::theory
