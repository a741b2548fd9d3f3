// Products of operands by cuBLAS in a named precision.
//
// An entry's bits must not depend on what else is in the call. So the contraction's products, which
// come in batches whose size depends on the task, run through cublasLt with an algorithm that is
// chosen once for a shape, without splitting sums over thread blocks: a batch only repeats it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "device/cuda/check.hpp"
#include "device/precision.hpp"

namespace ntk::device::cuda {

// C (m x n, contiguous, fp32 or fp64) = or += A B^T, all row-major: rows of A and B are `lda` and
// `ldb` numbers apart, k of which are multiplied.
struct ProductShape {
  std::int64_t m, n, k, lda, ldb;
  bool accumulate;
  std::uint32_t alignment = 0;  // bytes, of A and B; `batched` fills it in
  auto operator<=>(const ProductShape&) const = default;
};

class Products {
 public:
  explicit Products(Precision precision);
  ~Products();

  // Bytes of scratch that a call of `batched` may use: calls on different streams need their own.
  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;

  static constexpr std::int32_t most_batch = 256;

  // `batch` products, at most most_batch: B and C lie `stride_b` and `stride_c` numbers apart, A is
  // the same.
  void batched(cudaStream_t stream, void* workspace, const ProductShape& shape, int batch,
               const void* a, const void* b, std::int64_t stride_b, void* c, std::int64_t stride_c);
  // One product with an algorithm of cuBLAS's choice, which follows from the shape alone.
  void single(cublasHandle_t blas, const ProductShape& shape, const void* a, const void* b,
              void* c) const;

 private:
  struct Plan;
  Plan& plan(const ProductShape& shape);

  Precision precision_;
  BlasLt lt_;
  std::map<ProductShape, std::unique_ptr<Plan>> plans_;
};

}  // namespace ntk::device::cuda
