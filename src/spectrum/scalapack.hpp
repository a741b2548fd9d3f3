// The ScaLAPACK, BLACS and BLAS routines in use (Fortran and C interfaces, 32-bit integers). All
// indices are 1-based; `desc` is the 9-entry descriptor of a dense block-cyclic matrix.
#pragma once

#include <mpi.h>

extern "C" {

// --- BLACS ------------------------------------------------------------------------------------
int Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridinit(int* context, const char* order, int rows, int columns);
void Cblacs_gridinfo(int context, int* rows, int* columns, int* my_row, int* my_column);
void Cblacs_gridexit(int context);

// --- PBLAS ------------------------------------------------------------------------------------
// C := beta C + alpha op(A) op(B), C is m x n, the inner dimension k.
void pdgemm_(const char* trans_a, const char* trans_b, const int* m, const int* n, const int* k,
             const double* alpha, const double* a, const int* ia, const int* ja, const int* desc_a,
             const double* b, const int* ib, const int* jb, const int* desc_b, const double* beta,
             double* c, const int* ic, const int* jc, const int* desc_c);
// C := beta C + alpha A', C is m x n.
void pdtran_(const int* m, const int* n, const double* alpha, const double* a, const int* ia,
             const int* ja, const int* desc_a, const double* beta, double* c, const int* ic,
             const int* jc, const int* desc_c);

// --- ScaLAPACK ----------------------------------------------------------------------------------
// Eigenvalues ascending in w on every process; the triangle `uplo` of A with the diagonal is
// destroyed, the other one is not touched.
void pdsyev_(const char* jobz, const char* uplo, const int* n, double* a, const int* ia,
             const int* ja, const int* desc_a, double* w, double* z, const int* iz, const int* jz,
             const int* desc_z, double* work, const int* lwork, int* info);
void pdsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* ia,
              const int* ja, const int* desc_a, double* w, double* z, const int* iz, const int* jz,
              const int* desc_z, double* work, const int* lwork, int* iwork, const int* liwork,
              int* info);

// --- BLAS (column-major) ------------------------------------------------------------------------
void dgemm_(const char* trans_a, const char* trans_b, const int* m, const int* n, const int* k,
            const double* alpha, const double* a, const int* lda, const double* b, const int* ldb,
            const double* beta, double* c, const int* ldc);
void dgemv_(const char* trans, const int* m, const int* n, const double* alpha, const double* a,
            const int* lda, const double* x, const int* incx, const double* beta, double* y,
            const int* incy);
}
