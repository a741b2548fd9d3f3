#include "spectrum/norms.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "parallel/collectives.hpp"

namespace ntk::spectrum {

Norms norms(const BlockCyclicMatrix& a) {
  const auto& comm = a.grid().comm();
  double largest = 0;
  for (std::int64_t j = 0; j < a.local_columns(); ++j) {
    for (std::int64_t i = 0; i < a.local_rows(); ++i) {
      largest = std::max(largest, std::abs(a.local(i, j)));
    }
  }
  largest = parallel::all_max(comm, largest);
  Norms result;
  for (const double d : diagonal(a)) result.trace += d;
  if (largest == 0) return result;
  double sum = 0;
  for (std::int64_t j = 0; j < a.local_columns(); ++j) {
    double column = 0;  // two levels of summation keep the rounding small
    for (std::int64_t i = 0; i < a.local_rows(); ++i) {
      const double x = a.local(i, j) / largest;
      column += x * x;
    }
    sum += column;
  }
  result.frobenius = largest * std::sqrt(parallel::all_sum(comm, sum));
  return result;
}

void require_finite(const BlockCyclicMatrix& a, const std::string& name) {
  const auto& comm = a.grid().comm();
  std::int64_t bad = 0, first = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t j = 0; j < a.local_columns(); ++j) {
    for (std::int64_t i = 0; i < a.local_rows(); ++i) {
      if (std::isfinite(a.local(i, j))) continue;
      ++bad;
      const auto at = a.distribution().to_global(parallel::LocalElement{i, j});
      first = std::min(first, at.row * a.columns() + at.column);
    }
  }
  bad = parallel::all_sum(comm, bad);
  if (bad == 0) return;
  first = parallel::all_min(comm, first);
  throw parallel::AgreedError(
      ExitCode::numerical,
      fmt::format("{} has {} entries that are not finite numbers, the first at row {}, column {} "
                  "(overflow in the kernel, or a damaged file) check the model's weights and the "
                  "precision, or compute the kernel again",
                  name, bad, first / a.columns(), first % a.columns()));
}

CentringMeans means(const BlockCyclicMatrix& a, std::int64_t outputs) {
  const std::int64_t n = a.rows(), samples = n / outputs;
  ensure(a.columns() == n && samples * outputs == n, "{} rows of {} outputs", n, outputs);
  CentringMeans result{outputs, {}, {}};
  result.rows.assign(static_cast<std::size_t>(n * outputs), 0.0);
  result.grand.assign(static_cast<std::size_t>(outputs * outputs), 0.0);
  if (n == 0) return result;
  const auto& map = a.distribution();
  for (std::int64_t j = 0; j < a.local_columns(); ++j) {
    const std::int64_t c = map.columns().to_global(j) % outputs;
    for (std::int64_t i = 0; i < a.local_rows(); ++i) {
      result.rows[static_cast<std::size_t>(map.rows().to_global(i) * outputs + c)] += a.local(i, j);
    }
  }
  parallel::all_sum(a.grid().comm(), result.rows);
  for (double& mean : result.rows) mean /= static_cast<double>(samples);
  for (std::int64_t r = 0; r < n; ++r) {
    for (std::int64_t c = 0; c < outputs; ++c) {
      result.grand[static_cast<std::size_t>(r % outputs * outputs + c)] +=
          result.rows[static_cast<std::size_t>(r * outputs + c)] / static_cast<double>(samples);
    }
  }
  // Equal up to rounding: made equal, so that the centred kernel is exactly symmetric.
  for (std::int64_t c = 0; c < outputs; ++c) {
    for (std::int64_t d = 0; d < c; ++d) {
      double& below = result.grand[static_cast<std::size_t>(c * outputs + d)];
      double& above = result.grand[static_cast<std::size_t>(d * outputs + c)];
      below = above = 0.5 * (below + above);
    }
  }
  return result;
}

void centre(BlockCyclicMatrix& a, const CentringMeans& m) {
  const auto& map = a.distribution();
  const std::int64_t outputs = m.outputs;
  for (std::int64_t j = 0; j < a.local_columns(); ++j) {
    const std::int64_t q = map.columns().to_global(j);
    for (std::int64_t i = 0; i < a.local_rows(); ++i) {
      const std::int64_t r = map.rows().to_global(i);
      const double both = m.rows[static_cast<std::size_t>(r * outputs + q % outputs)] +
                          m.rows[static_cast<std::size_t>(q * outputs + r % outputs)];
      a.local(i, j) +=
          m.grand[static_cast<std::size_t>(r % outputs * outputs + q % outputs)] - both;
    }
  }
}

void centre_evaluation(std::int64_t row, std::int64_t rows, const CentringMeans& m, double* k) {
  const std::int64_t outputs = m.outputs;
  const std::int64_t n = static_cast<std::int64_t>(m.rows.size()) / outputs;
  if (n == 0) return;
  const double share = static_cast<double>(outputs) / static_cast<double>(n);
  std::vector<double> own(static_cast<std::size_t>(outputs));
  for (std::int64_t i = 0; i < rows; ++i, k += n) {
    const std::int64_t output = (row + i) % outputs;
    std::fill(own.begin(), own.end(), 0.0);
    for (std::int64_t q = 0; q < n; ++q) own[static_cast<std::size_t>(q % outputs)] += k[q];
    for (std::int64_t q = 0; q < n; ++q) {
      const std::int64_t c = q % outputs;
      k[q] += m.grand[static_cast<std::size_t>(output * outputs + c)] -
              own[static_cast<std::size_t>(c)] * share -
              m.rows[static_cast<std::size_t>(q * outputs + output)];
    }
  }
}

}  // namespace ntk::spectrum
