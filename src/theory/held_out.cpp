#include "theory/held_out.hpp"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "base/error.hpp"
#include "theory/effective_dimension.hpp"
#include "theory/stopping.hpp"

namespace ntk::theory {
namespace {

// Coefficients (1 - S_k)/l_k u_k^T y for one eta.
std::vector<double> coefficients(const HeldOutModes& modes, std::span<const double> projections,
                                 double eta) {
  std::vector<double> weights(modes.modes);
  for (std::size_t k = 0; k < modes.modes; ++k) {
    const double l = modes.eigen.values[k];
    weights[k] = -std::expm1(-eta * l) / l * projections[k];
  }
  return weights;
}

std::vector<double> evaluate(const HeldOutModes& modes, std::span<const double> projections,
                             double intercept, double eta) {
  const auto weights = coefficients(modes, projections, eta);
  std::vector<double> result(modes.test, intercept);
  if (modes.modes > 0 && modes.test > 0) {
    const int rows = static_cast<int>(modes.test), columns = static_cast<int>(modes.modes);
    cblas_dgemv(CblasRowMajor, CblasNoTrans, rows, columns, 1.0, modes.factor.data(), columns,
                weights.data(), 1, 1.0, result.data(), 1);
  }
  return result;
}

}  // namespace

Split draw_split(std::size_t rows, std::span<const std::int64_t> group, std::size_t train_rows,
                 std::size_t test_rows, std::uint64_t seed) {
  ensure(group.empty() || group.size() == rows, "{} group numbers for {} rows", group.size(), rows);
  std::map<std::int64_t, std::vector<std::size_t>> members;
  for (std::size_t i = 0; i < rows; ++i) {
    members[group.empty() ? static_cast<std::int64_t>(i) : group[i]].push_back(i);
  }
  std::vector<const std::vector<std::size_t>*> order;
  for (const auto& [number, list] : members) order.push_back(&list);
  // Fisher-Yates with explicit draws: std::shuffle differs between standard libraries.
  std::mt19937_64 random(seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  Split split;
  for (const auto* list : order) {
    auto& part = split.test.size() < test_rows ? split.test : split.train;
    const std::size_t wanted = (&part == &split.test ? test_rows : train_rows) - part.size();
    part.insert(part.end(), list->begin(),
                list->begin() + static_cast<std::ptrdiff_t>(std::min(wanted, list->size())));
  }
  require(split.test.size() == test_rows && split.train.size() == train_rows, ExitCode::input,
          "{} rows in {} groups do not give {} training and {} test rows (groups are never divided "
          "between them) use more samples or smaller groups",
          rows, order.size(), train_rows, test_rows);
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.test.begin(), split.test.end());
  return split;
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
                            std::size_t train, std::size_t test) {
  ensure(train > 0 && train_kernel.size() == train * train && test_kernel.size() == test * train,
         "blocks of {} and {} entries for {} training and {} test rows", train_kernel.size(),
         test_kernel.size(), train, test);
  std::vector<double> column(train);
  for (std::size_t j = 0; j < train; ++j)
    column[j] = mean({train_kernel.data() + j * train, train});
  const double all = mean(column);
  for (std::size_t i = 0; i < test; ++i) {
    double* row = test_kernel.data() + i * train;
    const double middle = mean({row, train});
    for (std::size_t j = 0; j < train; ++j) row[j] += all - middle - column[j];
  }
  centre_kernel(train_kernel, train);
  for (double& v : train_kernel) v /= static_cast<double>(train);
  HeldOutModes modes{train, test, eigen_symmetric(std::move(train_kernel), train), 0, {}};
  modes.modes = std::min(positive_modes(modes.eigen.values), train - 1);
  modes.factor.assign(test * modes.modes, 0.0);
  if (test > 0 && modes.modes > 0) {
    const int t = static_cast<int>(test), n = static_cast<int>(train);
    const int m = static_cast<int>(modes.modes);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, t, m, n, 1.0 / n, test_kernel.data(), n,
                modes.eigen.vectors.data(), n, 0.0, modes.factor.data(), m);
  }
  return modes;
}

std::vector<double> predict(const HeldOutModes& modes, std::span<const double> labels, double eta) {
  return evaluate(modes, project(modes.eigen, centred(labels)), mean(labels), eta);
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

HeldOutRun run_held_out(const HeldOutModes& modes, std::span<const double> labels,
                        std::span<const double> noise_variances, std::span<const double> reference,
                        std::span<const double> reference_variance, std::span<const double> path) {
  const auto n = static_cast<double>(modes.train);
  const auto values = std::span(modes.eigen.values).first(modes.modes);
  const auto y = centred(labels);
  const auto projections = project(modes.eigen, y);
  const double squared = std::inner_product(y.begin(), y.end(), y.begin(), 0.0);
  const double middle = mean(labels);
  const auto risk_at = [&](double eta) {
    return measured_risk(evaluate(modes, projections, middle, eta), reference, reference_variance);
  };
  HeldOutRun run;
  const std::vector<double> zero(modes.train, 0.0);
  const auto known = noise_variances.empty() ? std::span<const double>(zero) : noise_variances;
  auto modal = label_modes(projections, squared, project_variances(modes.eigen, known), mean(known),
                           n, 1, modes.modes);
  const auto grid = eta_grid(values);
  const double gcv = gcv_stop(values, modal, grid);
  run.norm2 = rkhs_norm2(values, modal, gcv);
  run.noise = mean(known);
  if (noise_variances.empty()) {
    run.noise = effective_noise(values, modal, gcv);
    modal = with_noise(std::move(modal), run.noise);
  }
  RuleRisk oracle{"oracle", 0, risk_at(0)};
  for (const double eta : path) {
    run.risk.push_back(risk_at(eta));
    if (run.risk.back() < oracle.risk) oracle = {"oracle", eta, run.risk.back()};
  }
  if (const double end = risk_at(never_stop); end < oracle.risk) {
    oracle = {"oracle", never_stop, end};
  }
  run.rules.push_back(oracle);
  const auto add = [&](const char* rule, double eta) {
    run.rules.push_back({rule, eta, risk_at(eta)});
  };
  add("discrepancy", discrepancy_stop(values, modal, run.noise));
  add("gcv", gcv);
  add("sure", sure_stop(values, modal, grid));
  if (run.noise > 0 && run.norm2 > 0) add("rwy", rwy_stop(values, n, run.noise, run.norm2));
  add("never", never_stop);
  add("null", 0);
  run.labels = std::move(modal);
  return run;
}

}  // namespace ntk::theory
