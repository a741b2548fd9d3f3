#include "theory/held_out.hpp"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.hpp"
#include "theory/effective_dimension.hpp"

namespace ntk::theory {

std::vector<std::vector<std::size_t>> shuffled_groups(std::size_t rows,
                                                      std::span<const std::int64_t> group,
                                                      std::uint64_t seed) {
  ensure(group.empty() || group.size() == rows, "{} group numbers for {} rows", group.size(), rows);
  std::map<std::int64_t, std::vector<std::size_t>> members;
  for (std::size_t i = 0; i < rows; ++i) {
    members[group.empty() ? static_cast<std::int64_t>(i) : group[i]].push_back(i);
  }
  std::vector<std::vector<std::size_t>> order;
  for (auto& [number, list] : members) order.push_back(std::move(list));
  shuffle(order, seed);
  return order;
}

Split draw_split(std::size_t rows, std::span<const std::int64_t> group, std::size_t train_rows,
                 std::size_t test_rows, std::uint64_t seed) {
  const auto order = shuffled_groups(rows, group, seed);
  Split split;
  for (const auto& list : order) {
    auto& part = split.test.size() < test_rows ? split.test : split.train;
    const std::size_t wanted = (&part == &split.test ? test_rows : train_rows) - part.size();
    part.insert(part.end(), list.begin(),
                list.begin() + static_cast<std::ptrdiff_t>(std::min(wanted, list.size())));
  }
  require(split.test.size() == test_rows && split.train.size() == train_rows, ExitCode::input,
          "{} rows in {} groups do not give {} training and {} test rows (groups are never divided "
          "between them) use more samples or smaller groups",
          rows, order.size(), train_rows, test_rows);
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.test.begin(), split.test.end());
  return split;
}

std::vector<std::size_t> rows_of_samples(std::span<const std::size_t> samples,
                                         std::size_t outputs) {
  std::vector<std::size_t> rows;
  rows.reserve(samples.size() * outputs);
  for (const std::size_t s : samples) {
    for (std::size_t c = 0; c < outputs; ++c) rows.push_back(s * outputs + c);
  }
  return rows;
}

std::vector<double> sub_matrix(std::span<const double> matrix, std::size_t n,
                               std::span<const std::size_t> rows,
                               std::span<const std::size_t> columns) {
  ensure(matrix.size() == n * n, "a matrix of {} entries is not {} x {}", matrix.size(), n, n);
  std::vector<double> block;
  block.reserve(rows.size() * columns.size());
  for (const std::size_t i : rows) {
    for (const std::size_t j : columns) block.push_back(matrix[i * n + j]);
  }
  return block;
}

HeldOutModes held_out_modes(std::vector<double> train_kernel, std::vector<double> test_kernel,
                            std::size_t train, std::size_t test, std::size_t outputs) {
  ensure(train > 0 && train % outputs == 0 && test % outputs == 0 &&
             train_kernel.size() == train * train && test_kernel.size() == test * train,
         "blocks of {} and {} entries for {} training and {} test rows of {} outputs",
         train_kernel.size(), test_kernel.size(), train, test, outputs);
  auto means = centring_means(train_kernel, train, outputs);
  centre_rows(train_kernel, train, means);
  for (double& v : train_kernel) v /= static_cast<double>(train);
  HeldOutModes modes{train, test, eigen_symmetric(std::move(train_kernel), train),
                     0,     {},   std::move(means)};
  modes.modes = std::min(positive_modes(modes.eigen.values), train - outputs);
  modes.factor = held_out_factor(modes, std::move(test_kernel), test);
  return modes;
}

std::vector<double> held_out_factor(const HeldOutModes& modes, std::vector<double> kernel,
                                    std::size_t rows) {
  ensure(kernel.size() == rows * modes.train, "a kernel of {} entries is not {} x {}",
         kernel.size(), rows, modes.train);
  centre_rows(kernel, rows, modes.means);
  std::vector<double> factor(rows * modes.modes, 0.0);
  if (rows > 0 && modes.modes > 0) {
    const int r = static_cast<int>(rows), n = static_cast<int>(modes.train);
    const int m = static_cast<int>(modes.modes);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, r, m, n, 1.0 / n, kernel.data(), n,
                modes.eigen.vectors.data(), n, 0.0, factor.data(), m);
  }
  return factor;
}

double measured_risk(std::span<const double> predictions, std::span<const double> reference,
                     std::span<const double> reference_variance) {
  ensure(predictions.size() == reference.size() && reference.size() == reference_variance.size(),
         "{} predictions, {} references, {} variances", predictions.size(), reference.size(),
         reference_variance.size());
  double risk = 0;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const double error = predictions[i] - reference[i];
    risk += error * error - reference_variance[i];
  }
  return risk / static_cast<double>(predictions.size());
}

}  // namespace ntk::theory
