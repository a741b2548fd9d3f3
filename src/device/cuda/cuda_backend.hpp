// The CUDA backend. Everything is ordered by one stream, from which contraction branches off into
// several and comes back; copies to the host have another. Memory, handles and products are in .cpp
// files, what launches kernels is in .cu files.
#pragma once

#include <vector>

#include "device/backend.hpp"
#include "device/cuda/check.hpp"
#include "device/cuda/product.hpp"
#include "device/cuda/staging.hpp"
#include "device/memory_pool.hpp"
#include "device/precision.hpp"

namespace ntk::device::cuda {

template <class Real>
class CudaBackend final : public Backend<Real> {
 public:
  using typename Backend<Real>::Product;
  using typename Backend<Real>::StructuredBlock;
  using typename Backend<Real>::MatchBlock;

  CudaBackend(int device, Precision precision, std::size_t limit_bytes);
  ~CudaBackend() override;

  void* allocate(std::size_t bytes) override { return pool_.allocate(bytes); }
  void release(void* pointer) override { pool_.release(pointer); }
  std::size_t peak_bytes() const override { return pool_.peak_bytes(); }
  void upload(void* device, const void* host, std::size_t bytes) override;
  void download(void* host, const void* device, std::size_t bytes) override;
  std::unique_ptr<HostCopy> copy_out(const void* device, std::size_t bytes) override;
  void zero(void* device, std::size_t bytes) override;
  bool uses_host_memory() const override { return false; }
  void synchronize() override;
  GemmTiming time_gemm() override;

  void gemm(bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const Real* a,
            std::int64_t lda, const Real* b, std::int64_t ldb, bool accumulate, Real* c,
            std::int64_t ldc) override;

  void add_bias(std::int64_t rows, std::int64_t width, const Real* bias, Real* x) override;
  void add(std::int64_t count, const Real* x, Real* y) override;
  void gather(std::int64_t rows, std::int64_t width, const std::int32_t* ids, const Real* table,
              bool accumulate, Real* y) override;
  void scatter_add(int copies, std::int64_t rows, std::int64_t out_rows, std::int64_t width,
                   const std::int32_t* ids, const Real* x, Real* y) override;
  void mean_pool(RaggedView s, std::int64_t width, const Real* x, Real* y) override;
  void mean_pool_backward(RaggedView s, int copies, std::int64_t width, const Real* dy,
                          Real* dx) override;

  void layer_norm(std::int64_t rows, std::int64_t width, Real eps, const Real* x, const Real* gamma,
                  const Real* beta, Real* y, Real* statistics) override;
  void layer_norm_backward(std::int64_t rows, int copies, std::int64_t width, const Real* x,
                           const Real* statistics, const Real* gamma, const Real* dy,
                           Real* dx) override;
  void layer_norm_tangent(std::int64_t rows, std::int64_t width, const Real* x,
                          const Real* statistics, const Real* gamma, const Real* dx,
                          const Real* dgamma, const Real* dbeta, Real* dy) override;

  void activation(Activation kind, std::int64_t count, const Real* x, Real* y) override;
  void activation_backward(Activation kind, std::int64_t count, std::int64_t period, const Real* x,
                           const Real* y, const Real* dy, Real* dx) override;

  void attention(RaggedView q_rows, RaggedView k_rows, int heads, std::int64_t width, const Real* q,
                 const Real* k, const Real* v, Real* y) override;
  void attention_backward(RaggedView q_rows, RaggedView k_rows, int heads, std::int64_t width,
                          int copies, const Real* q, const Real* k, const Real* v, const Real* dy,
                          Real* dq, Real* dk, Real* dv) override;
  void attention_tangent(RaggedView q_rows, RaggedView k_rows, int heads, std::int64_t width,
                         const Real* q, const Real* k, const Real* v, const Real* dq,
                         const Real* dk, const Real* dv, Real* dy) override;

  std::int64_t operand_bytes(std::int64_t rows, std::int64_t columns) const override {
    return rows * columns * facts(precision_).operand_bytes;
  }
  void form(const FactorView<Real>& f, int copies, std::int64_t inputs, std::int64_t outputs,
            std::int64_t first, std::int64_t count, const Operands& to, int slot) override;
  void put_rows(std::int64_t rows, const Real* x, const Operands& to, int slot) override;
  void contract(const Operands& operands, std::span<const Product> products) override;
  void sum_rows(RaggedView s, std::int64_t rows, int copies, std::int64_t width, const Real* dy,
                Real* v) override;
  void sum_rows_normalised(RaggedView s, std::int64_t rows, int copies, std::int64_t width,
                           const Real* x, const Real* statistics, const Real* dy, Real* v) override;
  void contract_structured(std::span<const StructuredBlock> blocks, int copies, std::int64_t inputs,
                           std::int64_t outputs, std::int64_t p_stride, std::int64_t q_stride,
                           bool class_diagonal) override;
  void sum_entries(std::int64_t entries, const std::int64_t* first, const std::int64_t* rows,
                   std::int64_t total_rows, int copies, std::int64_t width, const Real* dy,
                   Real* d) override;
  void contract_matches(std::span<const MatchBlock> blocks, std::int64_t width) override;

 private:
  // One row of products that go through cuBLAS together: panels q, q + 1, ... against one panel p.
  struct Batch {
    const Product* first;
    int count;
  };
  // Such a row is too small to fill a GPU: several are under way at a time, each on one of these.
  struct Lane {
    Stream stream;
    Workspace workspace;
  };
  std::vector<Batch> batches_of(std::span<const Product> products) const;
  void multiply_chunks(const Lane& lane, const Operands& operands, const Batch& batch,
                       Real* scratch);
  // c (m x n) = rows of x times rows of y, as operands of one chunk.
  void multiply_rows(std::int64_t m, std::int64_t n, std::int64_t width, const void* x,
                     const void* y, Real* c);

  int device_;
  Precision precision_;
  std::size_t limit_;
  Stream stream_;
  MemoryPool pool_;
  Staging staging_;
  Workspace workspace_;
  Blas blas_;
  Products products_;
  std::vector<Lane> lanes_;
};

}  // namespace ntk::device::cuda
