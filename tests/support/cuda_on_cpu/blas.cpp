// cuBLAS by plain loops, column-major, sums in the type of the result.
#include <cublasLt.h>
#include <cublas_v2.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

struct Matrix {
  cudaDataType_t type;
  std::uint64_t rows, columns;
  std::int64_t ld, stride = 0;
  std::int32_t batch = 1;

  double at(const void* data, std::int64_t batch_index, std::int64_t i, std::int64_t j) const {
    const std::int64_t where = batch_index * stride + j * ld + i;
    if (type == CUDA_R_64F) return static_cast<const double*>(data)[where];
    if (type == CUDA_R_32F) return static_cast<double>(static_cast<const float*>(data)[where]);
    const std::uint32_t bits =
        static_cast<std::uint32_t>(static_cast<const std::uint16_t*>(data)[where]) << 16;
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return static_cast<double>(x);
  }
};

template <class Sum>
void multiply(bool ta, bool tb, const Matrix& ma, const void* a, const Matrix& mb, const void* b,
              double beta, const Matrix& mc, void* c) {
  const auto m = static_cast<std::int64_t>(mc.rows), n = static_cast<std::int64_t>(mc.columns);
  const auto k = static_cast<std::int64_t>(ta ? ma.rows : ma.columns);
  if (m * n * k > std::int64_t{1} << 30) return;  // only what measures the rate is that large
  for (std::int32_t t = 0; t < mc.batch; ++t) {
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t i = 0; i < m; ++i) {
        Sum sum = 0;
        for (std::int64_t l = 0; l < k; ++l) {
          sum += static_cast<Sum>(ta ? ma.at(a, t, l, i) : ma.at(a, t, i, l)) *
                 static_cast<Sum>(tb ? mb.at(b, t, j, l) : mb.at(b, t, l, j));
        }
        Sum& to = static_cast<Sum*>(c)[t * mc.stride + j * mc.ld + i];
        to = sum + (beta == 0 ? Sum(0) : static_cast<Sum>(beta) * to);
      }
    }
  }
}

void multiply_as(bool ta, bool tb, const Matrix& ma, const void* a, const Matrix& mb, const void* b,
                 double beta, const Matrix& mc, void* c) {
  if (mc.type == CUDA_R_64F) {
    multiply<double>(ta, tb, ma, a, mb, b, beta, mc, c);
  } else {
    multiply<float>(ta, tb, ma, a, mb, b, beta, mc, c);
  }
}

cublasStatus_t gemm(cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const void* a,
                    cudaDataType_t a_type, int lda, const void* b, cudaDataType_t b_type, int ldb,
                    double beta, void* c, cudaDataType_t c_type, int ldc) {
  const bool xa = ta == CUBLAS_OP_T, xb = tb == CUBLAS_OP_T;
  const auto u = [](int x) { return static_cast<std::uint64_t>(x); };
  multiply_as(xa, xb, {a_type, u(xa ? k : m), u(xa ? m : k), lda}, a,
              {b_type, u(xb ? n : k), u(xb ? k : n), ldb}, b, beta, {c_type, u(m), u(n), ldc}, c);
  return CUBLAS_STATUS_SUCCESS;
}

double scalar(const void* at, cudaDataType_t type) {
  return type == CUDA_R_64F ? *static_cast<const double*>(at)
                            : static_cast<double>(*static_cast<const float*>(at));
}

// What a descriptor of a product holds.
struct Operation {
  cudaDataType_t scale;
  cublasOperation_t ta = CUBLAS_OP_N, tb = CUBLAS_OP_N;
};

// What a preference holds: the alignment that an algorithm may rely on.
struct Wishes {
  std::uint32_t a = 256, b = 256;
};

bool aligned(const void* data, std::uint64_t bytes) {
  return reinterpret_cast<std::uintptr_t>(data) % bytes == 0;
}

template <class T, class Opaque>
T& inside(Opaque opaque) {
  static_assert(sizeof(T) <= sizeof(*opaque));
  return *reinterpret_cast<T*>(opaque);
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  *handle = static_cast<cublasHandle_t>(std::malloc(1));
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  std::free(handle);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t, cudaStream_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void*, size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetProperty(libraryPropertyType, int* value) {
  *value = 0;
  return CUBLAS_STATUS_SUCCESS;
}
const char* cublasGetStatusString(cublasStatus_t) {
  return "an error of cuBLAS";
}
cublasStatus_t cublasSgemm_v2(cublasHandle_t, cublasOperation_t ta, cublasOperation_t tb, int m,
                              int n, int k, const float*, const float* a, int lda, const float* b,
                              int ldb, const float* beta, float* c, int ldc) {
  return gemm(ta, tb, m, n, k, a, CUDA_R_32F, lda, b, CUDA_R_32F, ldb, static_cast<double>(*beta),
              c, CUDA_R_32F, ldc);
}
cublasStatus_t cublasDgemm_v2(cublasHandle_t, cublasOperation_t ta, cublasOperation_t tb, int m,
                              int n, int k, const double*, const double* a, int lda,
                              const double* b, int ldb, const double* beta, double* c, int ldc) {
  return gemm(ta, tb, m, n, k, a, CUDA_R_64F, lda, b, CUDA_R_64F, ldb, *beta, c, CUDA_R_64F, ldc);
}
cublasStatus_t cublasGemmEx(cublasHandle_t, cublasOperation_t ta, cublasOperation_t tb, int m,
                            int n, int k, const void*, const void* a, cudaDataType a_type, int lda,
                            const void* b, cudaDataType b_type, int ldb, const void* beta, void* c,
                            cudaDataType c_type, int ldc, cublasComputeType_t, cublasGemmAlgo_t) {
  return gemm(ta, tb, m, n, k, a, a_type, lda, b, b_type, ldb, scalar(beta, c_type), c, c_type,
              ldc);
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = static_cast<cublasLtHandle_t>(std::malloc(1));
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  std::free(handle);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t ld) {
  *layout = new cublasLtMatrixLayoutOpaque_t;
  new (*layout) Matrix{type, rows, columns, ld};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, size_t) {
  auto& matrix = inside<Matrix>(layout);
  if (attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT) {
    std::memcpy(&matrix.batch, value, sizeof matrix.batch);
  } else if (attribute == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET) {
    std::memcpy(&matrix.stride, value, sizeof matrix.stride);
  } else {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* description, cublasComputeType_t,
                                        cudaDataType_t scale) {
  *description = new cublasLtMatmulDescOpaque_t;
  new (*description) Operation{scale};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
  delete description;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t) {
  if (attribute != CUBLASLT_MATMUL_DESC_TRANSA) return CUBLAS_STATUS_NOT_SUPPORTED;
  std::memcpy(&inside<Operation>(description).ta, value, sizeof(cublasOperation_t));
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque_t;
  new (*preference) Wishes;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t) {
  auto& wishes = inside<Wishes>(preference);
  if (attribute == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES) {
    std::memcpy(&wishes.a, value, sizeof wishes.a);
  } else if (attribute == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES) {
    std::memcpy(&wishes.b, value, sizeof wishes.b);
  }
  return CUBLAS_STATUS_SUCCESS;
}
// Two: one that splits sums, which must not be taken, and one that does not.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t preference, int,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* count) {
  for (int i = 0; i < 2; ++i) {
    results[i] = {};
    results[i].state = CUBLAS_STATUS_SUCCESS;
    results[i].algo.data[0] = i == 0 ? 4 : 1;
    results[i].algo.data[1] = inside<Wishes>(preference).a;
    results[i].algo.data[2] = inside<Wishes>(preference).b;
  }
  *count = 2;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t,
                                       cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                       cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                       const cublasLtMatmulAlgo_t*,
                                       cublasLtMatmulHeuristicResult_t* result) {
  result->workspaceSize = 0;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t,
                                                    void* value, size_t, size_t* written) {
  const auto parts = static_cast<std::int32_t>(algorithm->data[0]);
  std::memcpy(value, &parts, sizeof parts);
  *written = sizeof parts;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t description, const void*,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void*,
                              cublasLtMatrixLayout_t, void* d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void*, size_t, cudaStream_t) {
  const auto& op = inside<Operation>(description);
  const auto& result = inside<Matrix>(d_layout);
  if (algorithm->data[0] != 1) return CUBLAS_STATUS_INVALID_VALUE;
  if (!aligned(a, algorithm->data[1]) || !aligned(b, algorithm->data[2]) || !aligned(d, 256)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  multiply_as(op.ta == CUBLAS_OP_T, op.tb == CUBLAS_OP_T, inside<Matrix>(a_layout), a,
              inside<Matrix>(b_layout), b, scalar(beta, op.scale), result, d);
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
