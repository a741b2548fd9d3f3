#include "spectrum/checks.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/log.hpp"
#include "parallel/collectives.hpp"
#include "spectrum/scalapack.hpp"

namespace ntk::spectrum {

namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kAlarm = 30, kFailure = 100;
constexpr int kOne = 1;

// deviation / scale in units of n eps; nothing over nothing is nothing.
double ratio(double deviation, double scale, std::int64_t n) {
  if (deviation == 0) return 0;
  return deviation / (scale * static_cast<double>(std::max<std::int64_t>(1, n)) * kEps);
}

// Sum of squares of the first `columns` local columns.
double squares(const BlockCyclicMatrix& t, std::int64_t columns) {
  double sum = 0;
  for (std::int64_t j = 0; j < columns; ++j) {
    for (std::int64_t i = 0; i < t.local_rows(); ++i) sum += t.local(i, j) * t.local(i, j);
  }
  return sum;
}

}  // namespace

double Checks::worst_ratio() const {
  double worst = 0;
  for (const auto& one : {residual, orthogonality, trace, frobenius}) {
    if (one) worst = one.value() > worst || std::isnan(*one) ? *one : worst;
  }
  return worst;
}

nlohmann::json Checks::to_json() const {
  nlohmann::json json = nlohmann::json::object();
  const auto put = [&](const char* name, const std::optional<double>& value) {
    if (value) json[name] = *value;
  };
  put("residual", residual);
  put("orthogonality", orthogonality);
  put("trace", trace);
  put("frobenius", frobenius);
  put("smallest", smallest);
  put("smallest_allowed", smallest_allowed);
  return json;
}

void check_vectors(const BlockCyclicMatrix& a, const Pairs& pairs, const Norms& norms,
                   Checks& checks) {
  const BlockCyclicMatrix& v = pairs.vectors;
  const auto& comm = a.grid().comm();
  const int n = static_cast<int>(a.rows()), k = static_cast<int>(v.columns());
  // A panel of whole rounds of block columns: its local columns line up with those of V.
  const std::int64_t round = a.block() * a.grid().shape().columns;
  const std::int64_t width =
      std::min<std::int64_t>(k, round * std::max<std::int64_t>(1, 256 / round));
  double residual = 0, orthogonality = 0;
  BlockCyclicMatrix av, vv;
  parallel::collectively(comm, [&] {
    av = BlockCyclicMatrix(a.grid(), n, width, a.block());
    vv = BlockCyclicMatrix(a.grid(), k, width, a.block());
  });
  const double one = 1, zero = 0, scale = norms.frobenius > 0 ? norms.frobenius : 1;
  const double inverse = 1 / scale;
  const auto& columns = v.distribution().columns();
  for (std::int64_t start = 0; start < k; start += width) {
    const int w = static_cast<int>(std::min<std::int64_t>(width, k - start));
    const int first = static_cast<int>(start) + 1;
    const std::int64_t offset = columns.local_below(start);
    const std::int64_t local = columns.local_below(start + w) - offset;

    pdgemm_("N", "N", &n, &w, &n, &inverse, a.data(), &kOne, &kOne, a.descriptor(), v.data(), &kOne,
            &first, v.descriptor(), &zero, av.data(), &kOne, &kOne, av.descriptor());
    for (std::int64_t j = 0; j < local; ++j) {
      const double value =
          pairs.values[static_cast<std::size_t>(columns.to_global(offset + j))] / scale;
      const double* vector = v.column(offset + j);
      for (std::int64_t i = 0; i < av.local_rows(); ++i) av.local(i, j) -= value * vector[i];
    }
    residual += squares(av, local);

    pdgemm_("T", "N", &k, &w, &n, &one, v.data(), &kOne, &kOne, v.descriptor(), v.data(), &kOne,
            &first, v.descriptor(), &zero, vv.data(), &kOne, &kOne, vv.descriptor());
    for (std::int64_t j = 0; j < local; ++j) {
      const std::int64_t diagonal = columns.to_global(offset + j);
      if (vv.distribution().rows().mine(diagonal)) {
        vv.local(vv.distribution().rows().to_local(diagonal), j) -= 1;
      }
    }
    orthogonality += squares(vv, local);
  }
  checks.residual = ratio(std::sqrt(parallel::all_sum(comm, residual)), 1, n);
  checks.orthogonality = ratio(std::sqrt(parallel::all_sum(comm, orthogonality)), 1, n);
}

void check_values(const std::vector<double>& values, std::int64_t n, const Norms& norms,
                  double unit_roundoff, bool semidefinite, Checks& checks) {
  const double scale = norms.frobenius > 0 ? norms.frobenius : 1;
  double sum = 0, square = 0;
  for (const double value : values) {
    sum += value / scale;
    square += (value / scale) * (value / scale);
  }
  const double excess_trace = sum - norms.trace / scale;
  const double excess_norm = std::sqrt(square) - norms.frobenius / scale;
  if (static_cast<std::int64_t>(values.size()) == n) {
    checks.trace = ratio(std::abs(excess_trace), 1, n);
    checks.frobenius = ratio(std::abs(excess_norm), 1, n);
    if (semidefinite && n > 0) {
      checks.smallest = values.back();
      checks.smallest_allowed =
          -(10 * unit_roundoff + static_cast<double>(n) * kEps) * std::max(0.0, values.front());
    }
  } else {
    checks.frobenius = ratio(std::max(0.0, excess_norm), 1, n);
    // Eigenvalues left out may be negative by rounding of the kernel, up to n u l_1 together.
    const double slack = semidefinite && !values.empty()
                             ? 10 * static_cast<double>(n) * unit_roundoff * values.front() / scale
                             : std::numeric_limits<double>::infinity();
    checks.trace = ratio(std::max(0.0, excess_trace - slack), 1, n);
  }
}

void enforce(const Checks& checks, const std::string& name) {
  const double worst = checks.worst_ratio();
  if (!(worst <= kFailure)) {
    throw parallel::AgreedError(
        ExitCode::numerical,
        fmt::format("the computed spectrum of {} fails its checks (worst ratio {:.3g}, {} allowed: "
                    "{}) try another number of ranks or spectrum.method",
                    name, worst, kFailure, checks.to_json().dump()));
  }
  if (worst > kAlarm) {
    log::warn("the spectrum of {} is less exact than usual (worst ratio {:.3g}, expected below {})",
              name, worst, kAlarm);
  }
  if (checks.smallest && *checks.smallest < *checks.smallest_allowed) {
    log::warn(
        "{} has the eigenvalue {:.3e} (rounding explains {:.3e}): it is not positive "
        "semi-definite to its precision",
        name, *checks.smallest, *checks.smallest_allowed);
  }
}

}  // namespace ntk::spectrum
