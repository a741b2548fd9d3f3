#include "device/cuda/product.hpp"

#include <array>
#include <utility>

#include "base/error.hpp"

namespace ntk::device::cuda {
namespace {

// Numbers of operands, of results, and the arithmetic between them.
struct Types {
  cudaDataType_t operand, result;
  cublasComputeType_t compute;
};

Types types_of(Precision precision) {
  switch (precision) {
    case Precision::fp64:
      return {CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F};
    case Precision::fp32:
      return {CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F};
    case Precision::tf32:
      return {CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32};
    default:
      return {CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F};
  }
}

// One and zero in the type of the result.
struct Scalars {
  const void* one;
  const void* zero;
};
Scalars scalars_of(cudaDataType_t type) {
  static const float one = 1, zero = 0;
  static const double one64 = 1, zero64 = 0;
  return type == CUDA_R_64F ? Scalars{&one64, &zero64} : Scalars{&one, &zero};
}

// The largest power of two, up to 256, that divides both addresses. Panels begin at multiples of
// 256, so that it follows from offsets inside them, and so from the shape of the job.
std::uint32_t common_alignment(const void* a, const void* b) {
  const auto both = reinterpret_cast<std::uintptr_t>(a) | reinterpret_cast<std::uintptr_t>(b) | 256;
  return static_cast<std::uint32_t>(both & (~both + 1));
}

using Descriptor = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

// A column-major matrix, a batch of them `stride` numbers apart.
Layout make_layout(cudaDataType_t type, std::int64_t rows, std::int64_t columns, std::int64_t ld) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(cublasLtMatrixLayoutCreate(&layout, type, static_cast<std::uint64_t>(rows),
                                   static_cast<std::uint64_t>(columns), ld),
        "cublasLtMatrixLayoutCreate");
  return Layout(layout);
}

void set_batch(cublasLtMatrixLayout_t layout, std::int32_t count, std::int64_t stride) {
  check(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                         sizeof count),
        "cublasLtMatrixLayoutSetAttribute");
  check(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                         &stride, sizeof stride),
        "cublasLtMatrixLayoutSetAttribute");
}

}  // namespace

// cuBLAS is column-major: what is row-major here is its transpose there, C' = B A'.
struct Products::Plan {
  struct Batch {
    std::int32_t count = 0;
    std::int64_t stride_b = 0, stride_c = 0;
    bool operator==(const Batch&) const = default;
  };
  Descriptor operation;
  Layout a, b, c;
  cublasLtMatmulAlgo_t algorithm{};
  Batch set{};  // what the layouts say

  Plan(cublasLtHandle_t lt, Precision precision, const ProductShape& s) {
    const Types types = types_of(precision);
    cublasLtMatmulDesc_t made = nullptr;
    check(cublasLtMatmulDescCreate(&made, types.compute, types.result), "cublasLtMatmulDescCreate");
    operation = Descriptor(made);
    const cublasOperation_t transpose = CUBLAS_OP_T;
    check(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &transpose,
                                         sizeof transpose),
          "cublasLtMatmulDescSetAttribute");
    b = make_layout(types.operand, s.k, s.n, s.ldb);
    a = make_layout(types.operand, s.k, s.m, s.lda);
    c = make_layout(types.result, s.n, s.m, s.n);
    // A typical batch: the algorithm is then used for batches of any size.
    constexpr std::int32_t typical = 8;
    set_batch(b, typical, s.n * s.ldb);
    set_batch(a, typical, 0);
    set_batch(c, typical, s.m * s.n);
    choose(lt, s);
  }

  // Whether the algorithm can do a batch of another size.
  bool serves(cublasLtHandle_t lt, const cublasLtMatmulAlgo_t& candidate, std::int32_t batch) {
    for (const auto& layout : {&a, &b, &c}) {
      check(cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
                                             sizeof batch),
            "cublasLtMatrixLayoutSetAttribute");
    }
    cublasLtMatmulHeuristicResult_t result{};
    return cublasLtMatmulAlgoCheck(lt, operation, b, a, c, c, &candidate, &result) ==
               CUBLAS_STATUS_SUCCESS &&
           result.workspaceSize <= workspace_bytes;
  }

  void choose(cublasLtHandle_t lt, const ProductShape& s) {
    cublasLtMatmulPreference_t made = nullptr;
    check(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
    const Preference preference(made);
    const std::size_t bytes = workspace_bytes;
    check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &bytes, sizeof bytes),
          "cublasLtMatmulPreferenceSetAttribute");
    const std::uint32_t whole_sums = CUBLASLT_REDUCTION_SCHEME_NONE;
    check(
        cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                             &whole_sums, sizeof whole_sums),
        "cublasLtMatmulPreferenceSetAttribute");
    for (const auto attribute :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES}) {
      check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &s.alignment,
                                                 sizeof s.alignment),
            "cublasLtMatmulPreferenceSetAttribute");
    }
    std::array<cublasLtMatmulHeuristicResult_t, 16> found{};
    int count = 0;
    const auto status =
        cublasLtMatmulAlgoGetHeuristic(lt, operation, b, a, c, c, preference,
                                       static_cast<int>(found.size()), found.data(), &count);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) check(status, "cublasLtMatmulAlgoGetHeuristic");
    for (int i = 0; i < count; ++i) {
      const auto& result = found[static_cast<std::size_t>(i)];
      std::int32_t parts = 0;
      std::size_t written = 0;
      if (result.state != CUBLAS_STATUS_SUCCESS ||
          cublasLtMatmulAlgoConfigGetAttribute(&result.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM,
                                               &parts, sizeof parts,
                                               &written) != CUBLAS_STATUS_SUCCESS ||
          parts > 1 || !serves(lt, result.algo, 1) || !serves(lt, result.algo, most_batch)) {
        continue;
      }
      algorithm = result.algo;
      return;
    }
    fail(ExitCode::resources,
         "cuBLAS has no algorithm for a product of {} x {} x {} (on this device) use another "
         "kernel.precision or kernel.tile_samples",
         s.m, s.n, s.k);
  }
};

Products::Products(Precision precision) : precision_(precision) {
  cublasLtHandle_t lt = nullptr;
  check(cublasLtCreate(&lt), "cublasLtCreate");
  lt_ = BlasLt(lt);
}

Products::~Products() = default;

Products::Plan& Products::plan(const ProductShape& shape) {
  auto& slot = plans_[shape];
  if (!slot) slot = std::make_unique<Plan>(lt_, precision_, shape);
  return *slot;
}

void Products::batched(cudaStream_t stream, void* workspace, const ProductShape& unaligned,
                       int batch, const void* a, const void* b, std::int64_t stride_b, void* c,
                       std::int64_t stride_c) {
  ProductShape shape = unaligned;
  shape.alignment = common_alignment(a, b);
  Plan& p = plan(shape);
  if (std::exchange(p.set, Plan::Batch{batch, stride_b, stride_c}) !=
      Plan::Batch{batch, stride_b, stride_c}) {
    set_batch(p.a, batch, 0);
    set_batch(p.b, batch, stride_b);
    set_batch(p.c, batch, stride_c);
  }
  const Scalars scalars = scalars_of(types_of(precision_).result);
  check(cublasLtMatmul(lt_, p.operation, scalars.one, b, p.b, a, p.a,
                       shape.accumulate ? scalars.one : scalars.zero, c, p.c, c, p.c, &p.algorithm,
                       workspace, workspace_bytes, stream),
        "cublasLtMatmul");
}

void Products::single(cublasHandle_t blas, const ProductShape& s, const void* a, const void* b,
                      void* c) const {
  const Types types = types_of(precision_);
  const Scalars scalars = scalars_of(types.result);
  check(cublasGemmEx(blas, CUBLAS_OP_T, CUBLAS_OP_N, static_cast<int>(s.n), static_cast<int>(s.m),
                     static_cast<int>(s.k), scalars.one, b, types.operand, static_cast<int>(s.ldb),
                     a, types.operand, static_cast<int>(s.lda),
                     s.accumulate ? scalars.one : scalars.zero, c, types.result,
                     static_cast<int>(s.n), types.compute, CUBLAS_GEMM_DEFAULT),
        "cublasGemmEx");
}

}  // namespace ntk::device::cuda
