#include "spectrum/solvers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "parallel/collectives.hpp"
#include "spectrum/krylov.hpp"
#include "spectrum/scalapack.hpp"

namespace ntk::spectrum {

namespace {

constexpr int kOne = 1, kQuery = -1;

// Solves -A in place of A, so that ascending eigenvalues come out in descending order and the
// vectors' columns with them; puts A back afterwards.
template <class Solve>
void on_negative(BlockCyclicMatrix& a, Solve&& solve) {
  const std::vector<double> kept = diagonal(a);
  scale(a, -1.0);
  solve();
  scale(a, -1.0);
  mirror_upper(a);
  set_diagonal(a, kept);
}

void require_success(const BlockCyclicMatrix& a, const char* routine, int info,
                     const std::string& name) {
  int worst = parallel::all_max(a.grid().comm(), std::abs(info));
  if (worst == 0) return;
  throw parallel::AgreedError(
      ExitCode::numerical,
      fmt::format("{} failed on {} ({} reports {}) try spectrum.method = \"leading\" or another "
                  "number of ranks",
                  routine, name, routine, info != 0 ? info : worst));
}

// Workspace lengths come back as floating-point numbers.
std::int64_t length(double queried) {
  return static_cast<std::int64_t>(std::ceil(queried));
}

// The largest over the grid; AgreedError(resources) beyond 32-bit counts.
int agreed_length(const BlockCyclicMatrix& a, std::int64_t wanted) {
  const std::int64_t largest = parallel::all_max(a.grid().comm(), wanted);
  if (largest > std::numeric_limits<int>::max()) {
    throw parallel::AgreedError(
        ExitCode::resources,
        fmt::format("the eigensolver needs a workspace of {} numbers (more than 32-bit counts "
                    "hold) use more ranks",
                    largest));
  }
  return static_cast<int>(largest);
}

// Eigenvalues of A from those of -A, and the same on every rank: PDSYEVD leaves them unsorted on
// processes that hold no columns, and heterogeneous nodes may round differently.
void finish_values(const BlockCyclicMatrix& a, std::vector<double>& negated) {
  parallel::broadcast(a.grid().comm(), negated.data(), negated.size() * sizeof(double), 0);
  for (double& value : negated) value = value == 0 ? 0.0 : -value;
}

}  // namespace

std::vector<double> solve_values(BlockCyclicMatrix& a, const std::string& name) {
  require_finite(a, name);
  const int n = static_cast<int>(a.rows());
  std::vector<double> values(static_cast<std::size_t>(n));
  if (n == 0) return values;
  on_negative(a, [&] {
    double z = 0;
    int info = 0;
    std::vector<double> work(3);
    const auto call = [&](int lwork) {
      pdsyev_("N", "L", &n, a.data(), &kOne, &kOne, a.descriptor(), values.data(), &z, &kOne, &kOne,
              a.descriptor(), work.data(), &lwork, &info);
      require_success(a, "PDSYEV", info, name);
    };
    call(kQuery);
    const int lwork = agreed_length(a, length(work[0]));
    parallel::collectively(a.grid().comm(),
                           [&] { work.assign(static_cast<std::size_t>(lwork), 0.0); });
    call(lwork);
  });
  finish_values(a, values);
  return values;
}

Pairs solve_all(BlockCyclicMatrix& a, const std::string& name) {
  require_finite(a, name);
  const int n = static_cast<int>(a.rows());
  Pairs pairs;
  pairs.method = "PDSYEVD";
  pairs.values.resize(static_cast<std::size_t>(n));
  parallel::collectively(a.grid().comm(),
                         [&] { pairs.vectors = BlockCyclicMatrix(a.grid(), n, n, a.block()); });
  if (n == 0) return pairs;
  on_negative(a, [&] {
    BlockCyclicMatrix& v = pairs.vectors;
    int info = 0;
    std::vector<double> work(3);
    std::vector<int> integers(3);
    const auto call = [&](int lwork, int liwork) {
      pdsyevd_("V", "L", &n, a.data(), &kOne, &kOne, a.descriptor(), pairs.values.data(), v.data(),
               &kOne, &kOne, v.descriptor(), work.data(), &lwork, integers.data(), &liwork, &info);
      require_success(a, "PDSYEVD", info, name);
    };
    call(kQuery, kQuery);
    const int lwork = agreed_length(
        a, std::max(length(work[0]), padded_workspace(n, a.block(), a.grid().shape())));
    const int liwork =
        agreed_length(a, std::max(integers[0], 7 * n + 8 * a.grid().shape().columns + 2));
    parallel::collectively(a.grid().comm(), [&] {
      work.assign(static_cast<std::size_t>(lwork), 0.0);
      integers.assign(static_cast<std::size_t>(liwork), 0);
    });
    call(lwork, liwork);
  });
  finish_values(a, pairs.values);
  return pairs;
}

Pairs solve_leading(BlockCyclicMatrix& a, std::int64_t count, const Norms& norms,
                    const std::string& name) {
  const std::int64_t n = a.rows();
  count = std::min(count, n);
  if (3 * count >= n || norms.frobenius == 0) {
    Pairs all = solve_all(a, name);
    if (count == n) return all;
    Pairs pairs;
    pairs.method = all.method;
    pairs.values.assign(all.values.begin(), all.values.begin() + count);
    parallel::collectively(a.grid().comm(), [&] {
      // The first columns of a block-cyclic matrix are the first local columns of every process.
      pairs.vectors = BlockCyclicMatrix(a.grid(), n, count, a.block());
      for (std::int64_t j = 0; j < pairs.vectors.local_columns(); ++j) {
        std::copy_n(all.vectors.column(j), a.local_rows(), pairs.vectors.column(j));
      }
    });
    return pairs;
  }
  require_finite(a, name);
  return krylov_schur(a, count, norms.frobenius, name);
}

}  // namespace ntk::spectrum
