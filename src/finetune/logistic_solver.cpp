#include <petsctao.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "finetune/logistic.hpp"
#include "parallel/petsc_scope.hpp"

namespace ntk::finetune {
namespace {

using OwnedMat = parallel::PetscOwned<Mat, MatDestroy>;
using OwnedTao = parallel::PetscOwned<Tao, TaoDestroy>;
using OwnedVec = parallel::PetscOwned<Vec, VecDestroy>;

constexpr const char* advice = "look at the features, or use another head";

void check(PetscErrorCode code, const char* what) {
  parallel::check_petsc(code, what, advice);
}

struct Problem {
  LogisticLoss& loss;
  double penalty;
  std::size_t size() const { return loss.parameters(); }
};

PetscErrorCode loss_and_gradient(Tao, Vec x, PetscReal* value, Vec gradient, void* context) {
  const auto* problem = static_cast<Problem*>(context);
  const double* in = nullptr;
  double* out = nullptr;
  PetscFunctionBegin;
  PetscCall(VecGetArrayRead(x, &in));
  PetscCall(VecGetArrayWrite(gradient, &out));
  *value = problem->loss.at({in, problem->size()}, problem->penalty, {out, problem->size()});
  PetscCall(VecRestoreArrayWrite(gradient, &out));
  PetscCall(VecRestoreArrayRead(x, &in));
  PetscFunctionReturn(0);
}

// Products are with the Hessian at `x`: a trial step may have moved the loss elsewhere.
PetscErrorCode move_hessian(Tao tao, Vec x, Mat, Mat, void* context) {
  Vec scratch = nullptr;
  PetscReal value = 0;
  PetscFunctionBegin;
  PetscCall(VecDuplicate(x, &scratch));
  PetscCall(loss_and_gradient(tao, x, &value, scratch, context));
  PetscCall(VecDestroy(&scratch));
  PetscFunctionReturn(0);
}

PetscErrorCode times_hessian(Mat hessian, Vec x, Vec y) {
  Problem* problem = nullptr;
  const double* in = nullptr;
  double* out = nullptr;
  PetscFunctionBegin;
  PetscCall(MatShellGetContext(hessian, &problem));
  PetscCall(VecGetArrayRead(x, &in));
  PetscCall(VecGetArrayWrite(y, &out));
  problem->loss.hessian_times({in, problem->size()}, problem->penalty, {out, problem->size()});
  PetscCall(VecRestoreArrayWrite(y, &out));
  PetscCall(VecRestoreArrayRead(x, &in));
  PetscFunctionReturn(0);
}

}  // namespace

struct LogisticSolver::Impl {
  parallel::PetscScope scope{MPI_COMM_SELF};
  // PETSc 3.18 forgets TAO's methods at its end, but not that it knew them: the next scope would
  // find none.
  ~Impl() { TaoRegisterDestroy(); }
};

LogisticSolver::LogisticSolver() : impl_(std::make_unique<Impl>()) {}
LogisticSolver::~LogisticSolver() = default;

LogisticFit LogisticSolver::minimise(LogisticLoss& loss, double penalty,
                                     std::vector<double> start) {
  ensure(start.size() == loss.parameters(), "a start of {} parameters", start.size());
  Problem problem{loss, penalty};
  const auto n = static_cast<PetscInt>(start.size());
  OwnedVec x;
  OwnedMat hessian;
  OwnedTao tao;
  check(VecCreateSeqWithArray(MPI_COMM_SELF, 1, n, start.data(), &x.object), "VecCreate");
  check(MatCreateShell(MPI_COMM_SELF, n, n, n, n, &problem, &hessian.object), "MatCreateShell");
  check(MatShellSetOperation(hessian, MATOP_MULT, reinterpret_cast<void (*)()>(times_hessian)),
        "MatShellSetOperation");
  check(MatSetOption(hessian, MAT_SYMMETRIC, PETSC_TRUE), "MatSetOption");
  check(TaoCreate(MPI_COMM_SELF, &tao.object), "TaoCreate");
  check(TaoSetType(tao, TAONTR), "TaoSetType");
  check(TaoSetSolution(tao, x), "TaoSetSolution");
  check(TaoSetObjectiveAndGradient(tao, nullptr, loss_and_gradient, &problem),
        "TaoSetObjectiveAndGradient");
  check(TaoSetHessian(tao, hessian, hessian, move_hessian, &problem), "TaoSetHessian");
  constexpr double goal = 1e-9;
  check(TaoSetTolerances(tao, goal, 0, 0), "TaoSetTolerances");
  check(TaoSetMaximumIterations(tao, 500), "TaoSetMaximumIterations");
  KSP steps = nullptr;
  PC preconditioner = nullptr;
  check(TaoGetKSP(tao, &steps), "TaoGetKSP");
  check(KSPGetPC(steps, &preconditioner), "KSPGetPC");
  check(PCSetType(preconditioner, PCNONE), "PCSetType");
  check(TaoSolve(tao), "TaoSolve");

  LogisticFit fit;
  PetscInt iterations = 0;
  check(TaoGetIterationNumber(tao, &iterations), "TaoGetIterationNumber");
  fit.iterations = static_cast<int>(iterations);
  std::vector<double> gradient(start.size());
  const double value = loss.at(start, penalty, gradient);
  for (const double g : gradient) fit.gradient_norm += g * g;
  fit.gradient_norm = std::sqrt(fit.gradient_norm);
  require(std::isfinite(value) && fit.gradient_norm < goal, ExitCode::numerical,
          "logistic regression did not converge (gradient {:.1e} after {} steps, {:.1e} is wanted) "
          "{}",
          fit.gradient_norm, fit.iterations, goal, advice);
  fit.x = std::move(start);
  return fit;
}

}  // namespace ntk::finetune
