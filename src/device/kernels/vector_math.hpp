// Tells the compiler that glibc's vector library (libmvec, since glibc 2.35) has erf, exp and tanh,
// so that loops over them become vector code. At most 4 units in the last place from exact. The
// library's own headers say this only under -ffast-math, which would change everything else too.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__CUDACC__) && !defined(__clang__)
#include <features.h>
#if __GLIBC_PREREQ(2, 35)
extern "C" {
#pragma omp declare simd notinbranch
float erff(float) noexcept;
#pragma omp declare simd notinbranch
double erf(double) noexcept;
#pragma omp declare simd notinbranch
float expf(float) noexcept;
#pragma omp declare simd notinbranch
double exp(double) noexcept;
#pragma omp declare simd notinbranch
float tanhf(float) noexcept;
#pragma omp declare simd notinbranch
double tanh(double) noexcept;
}
#endif
#endif
