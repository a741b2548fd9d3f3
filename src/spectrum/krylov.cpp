#include "spectrum/krylov.hpp"

#include <slepceps.h>

#include <cstring>
#include <limits>
#include <optional>

#include "base/error.hpp"
#include "parallel/collectives.hpp"
#include "parallel/petsc_scope.hpp"
#include "spectrum/scalapack.hpp"

namespace ntk::spectrum {

namespace {

void check_petsc(PetscErrorCode code, const char* what) {
  parallel::check_petsc(code, what, "try spectrum.method = \"full\"");
}

using OwnedMat = parallel::PetscOwned<Mat, MatDestroy>;
using OwnedVec = parallel::PetscOwned<Vec, VecDestroy>;
using OwnedEps = parallel::PetscOwned<EPS, EPSDestroy>;

// y = scale A x without moving A: the whole of x on every rank (8n bytes), a product with the local
// piece, and a sum that leaves each rank its own part of y.
class Product {
 public:
  Product(const BlockCyclicMatrix& a, double scale)
      : a_(a),
        scale_(scale),
        full_(static_cast<std::size_t>(a.rows())),
        in_(static_cast<std::size_t>(a.local_columns())),
        out_(static_cast<std::size_t>(a.local_rows())) {}

  // Vec parts of all ranks: PETSc's contiguous row ranges.
  void set_ranges(const PetscInt* starts) {
    const int ranks = a_.grid().comm().size();
    for (int r = 0; r < ranks; ++r) {
      starts_.push_back(static_cast<int>(starts[r]));
      counts_.push_back(static_cast<int>(starts[r + 1] - starts[r]));
    }
  }

  const std::vector<double>& gather(const double* mine) {
    parallel::check_mpi(
        MPI_Allgatherv(mine, counts_[rank()], MPI_DOUBLE, full_.data(), counts_.data(),
                       starts_.data(), MPI_DOUBLE, a_.grid().comm()),
        "MPI_Allgatherv");
    return full_;
  }

  void apply(const double* x, double* y) {
    gather(x);
    const auto& map = a_.distribution();
    const int rows = static_cast<int>(a_.local_rows());
    const int columns = static_cast<int>(a_.local_columns());
    for (int j = 0; j < columns; ++j) {
      in_[static_cast<std::size_t>(j)] =
          full_[static_cast<std::size_t>(map.columns().to_global(j))];
    }
    std::fill(full_.begin(), full_.end(), 0.0);
    if (rows > 0 && columns > 0) {
      const double zero = 0;
      const int step = 1, lda = a_.leading_dimension();
      dgemv_("N", &rows, &columns, &scale_, a_.data(), &lda, in_.data(), &step, &zero, out_.data(),
             &step);
      for (int i = 0; i < rows; ++i) {
        full_[static_cast<std::size_t>(map.rows().to_global(i))] =
            out_[static_cast<std::size_t>(i)];
      }
    }
    parallel::check_mpi(
        MPI_Reduce_scatter(full_.data(), y, counts_.data(), MPI_DOUBLE, MPI_SUM, a_.grid().comm()),
        "MPI_Reduce_scatter");
  }

 private:
  std::size_t rank() const { return static_cast<std::size_t>(a_.grid().comm().rank()); }

  const BlockCyclicMatrix& a_;
  const double scale_;
  std::vector<double> full_, in_, out_;
  std::vector<int> starts_, counts_;
};

// SLEPc calls this; exceptions must not cross C.
PetscErrorCode multiply(Mat shell, Vec x, Vec y) {
  Product* product = nullptr;
  const double* in = nullptr;
  double* out = nullptr;
  PetscFunctionBegin;
  PetscCall(MatShellGetContext(shell, &product));
  PetscCall(VecGetArrayRead(x, &in));
  PetscCall(VecGetArrayWrite(y, &out));
  try {
    product->apply(in, out);
  } catch (const std::exception& error) {
    parallel::petsc_text() = error.what();
    PetscFunctionReturn(PETSC_ERR_LIB);
  }
  PetscCall(VecRestoreArrayWrite(y, &out));
  PetscCall(VecRestoreArrayRead(x, &in));
  PetscFunctionReturn(0);
}

}  // namespace

Pairs krylov_schur(const BlockCyclicMatrix& a, std::int64_t count, double frobenius,
                   const std::string& name) {
  const MPI_Comm comm = a.grid().comm();
  const auto n = static_cast<PetscInt>(a.rows()), wanted = static_cast<PetscInt>(count);
  Pairs pairs;
  pairs.method = "EPSKRYLOVSCHUR";
  // Before PETSc: a rank that failed alone would leave the others in a collective call.
  std::optional<Product> context;
  parallel::collectively(comm, [&] {
    pairs.vectors = BlockCyclicMatrix(a.grid(), n, wanted, a.block());
    context.emplace(a, 1 / frobenius);  // of norm one, whatever the kernel's scale
  });
  Product& product = *context;
  const parallel::PetscScope scope(comm, SlepcInitialize, SlepcFinalize);
  OwnedMat shell;
  OwnedEps eps;
  OwnedVec vector;
  check_petsc(MatCreateShell(comm, PETSC_DECIDE, PETSC_DECIDE, n, n, &product, &shell.object),
              "MatCreateShell");
  const PetscInt* starts = nullptr;
  check_petsc(MatGetOwnershipRanges(shell, &starts), "MatGetOwnershipRanges");
  product.set_ranges(starts);
  check_petsc(MatShellSetOperation(shell, MATOP_MULT, reinterpret_cast<void (*)()>(multiply)),
              "MatShellSetOperation");
  check_petsc(EPSCreate(comm, &eps.object), "EPSCreate");
  check_petsc(EPSSetOperators(eps, shell, nullptr), "EPSSetOperators");
  check_petsc(EPSSetProblemType(eps, EPS_HEP), "EPSSetProblemType");
  check_petsc(EPSSetType(eps, EPSKRYLOVSCHUR), "EPSSetType");
  check_petsc(EPSSetWhichEigenpairs(eps, EPS_LARGEST_REAL), "EPSSetWhichEigenpairs");
  check_petsc(EPSSetDimensions(eps, wanted, PETSC_DEFAULT, PETSC_DEFAULT), "EPSSetDimensions");
  // Absolute: relative to each eigenvalue, pairs at the rounding level would never converge.
  check_petsc(EPSSetConvergenceTest(eps, EPS_CONV_ABS), "EPSSetConvergenceTest");
  const double tolerance = static_cast<double>(n) * std::numeric_limits<double>::epsilon();
  check_petsc(EPSSetTolerances(eps, tolerance, 1000), "EPSSetTolerances");
  check_petsc(EPSSolve(eps), "EPSSolve");

  PetscInt converged = 0;
  check_petsc(EPSGetConverged(eps, &converged), "EPSGetConverged");
  if (converged < wanted) {
    throw parallel::AgreedError(
        ExitCode::numerical,
        fmt::format("only {} of {} leading eigenpairs of {} converged (they are too close together "
                    "for a Krylov method) use spectrum.method = \"full\" or a smaller "
                    "spectrum.leading",
                    converged, wanted, name));
  }

  const auto& map = pairs.vectors.distribution();
  check_petsc(MatCreateVecs(shell, &vector.object, nullptr), "MatCreateVecs");
  for (PetscInt k = 0; k < wanted; ++k) {
    double value = 0;
    const double* mine = nullptr;
    check_petsc(EPSGetEigenpair(eps, k, &value, nullptr, vector, nullptr), "EPSGetEigenpair");
    pairs.values.push_back(value * frobenius);
    check_petsc(VecGetArrayRead(vector, &mine), "VecGetArrayRead");
    const std::vector<double>& whole = product.gather(mine);
    check_petsc(VecRestoreArrayRead(vector, &mine), "VecRestoreArrayRead");
    if (!map.columns().mine(k)) continue;
    double* column = pairs.vectors.column(map.columns().to_local(k));
    for (std::int64_t i = 0; i < pairs.vectors.local_rows(); ++i) {
      column[i] = whole[static_cast<std::size_t>(map.rows().to_global(i))];
    }
  }
  return pairs;
}

}  // namespace ntk::spectrum
