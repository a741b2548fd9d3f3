// Eigenvalues and eigenvectors of distributed symmetric matrices, in descending order.
//
//   values only    PDSYEV 'N'                       (ScaLAPACK, QR without vectors)
//   all vectors    PDSYEVD, padded workspace        (ScaLAPACK, divide and conquer)
//   leading pairs  EPSKRYLOVSCHUR on a shell matrix (SLEPc; own product)
//
// On a GPU, for one rank: gpu.hpp.
//
// PDSYEVR would be faster for values, but ScaLAPACK 2.2.1's returns wrong ones without a word on
// some kernels (centred 20 x 20 and 40 x 40 ones, one process: off by 0.2 to 0.4 percent of l_1
// with info = 0), which the trace check found.
//
// All are collective over the matrix's grid, check for finite entries first, and leave A as it was:
// ScaLAPACK destroys the lower triangle with the diagonal only, which is restored from the upper
// one, so no second copy is ever held. Failures inside a solver are AgreedError(numerical).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spectrum/block_cyclic.hpp"
#include "spectrum/norms.hpp"

namespace ntk::spectrum {

struct Pairs {
  std::vector<double> values;  // descending
  BlockCyclicMatrix vectors;   // n x values.size(), column k belongs to values[k]
  std::string method;          // routine used
};

// All eigenvalues.
std::vector<double> solve_values(BlockCyclicMatrix& a, const std::string& name);

// All pairs.
Pairs solve_all(BlockCyclicMatrix& a, const std::string& name);

// The `count` algebraically largest pairs; `count` is cut to n. Uses solve_all where the Krylov
// space would be most of the matrix (3 count >= n). Residuals are driven below n eps |A|_F.
Pairs solve_leading(BlockCyclicMatrix& a, std::int64_t count, const Norms& norms,
                    const std::string& name);

}  // namespace ntk::spectrum
