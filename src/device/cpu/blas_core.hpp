// Which kernels the BLAS library runs. OpenBLAS that does not know a processor silently runs its
// oldest kernels, 4-5 times slower; it reads OPENBLAS_CORETYPE when it is loaded, so the cure is to
// set the variable and start the program again.
#pragma once

#include <string>

namespace ntk::device::cpu {

std::string blas_name();  // library and version
std::string blas_core();  // name of the kernels in use, e.g. SkylakeX

// The core to ask for when `core` wastes what this processor can do; empty when it is fine.
std::string better_core(const std::string& core, bool has_avx2, bool has_avx512);

// Starts the program again with OPENBLAS_CORETYPE set when the core in use is slow and the user has
// not chosen one. Call first in main, before MPI. When it returns, either there is nothing to cure,
// and the text is empty, or the slow core stays, and the text is a warning.
std::string cure_slow_blas(char** argv);

// So many threads a BLAS call from here on.
void set_blas_threads(int threads);

}  // namespace ntk::device::cpu
