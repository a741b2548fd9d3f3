// Leading eigenpairs by SLEPc's Krylov-Schur method on a shell matrix over the block-cyclic buffer.
#pragma once

#include <cstdint>
#include <string>

#include "spectrum/block_cyclic.hpp"
#include "spectrum/solvers.hpp"

namespace ntk::spectrum {

// The `count` largest pairs of a finite, non-zero symmetric matrix with count < n, residuals at
// most n eps `frobenius`. PETSc and SLEPc live on the grid's communicator for the call's duration,
// see no command line, no options file, and install no signal handlers. Too few converged pairs are
// an AgreedError(numerical); a failure inside PETSc is an Error(numerical) with its text.
Pairs krylov_schur(const BlockCyclicMatrix& a, std::int64_t count, double frobenius,
                   const std::string& name);

}  // namespace ntk::spectrum
