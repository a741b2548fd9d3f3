// The reference backend: BLAS and OpenMP. Parallel loops cut their work into pieces whose size
// does not depend on the number of threads, so results do not either.
#pragma once

#include <exception>
#include <memory>

#include "device/backend.hpp"
#include "device/cpu/host_memory.hpp"

namespace ntk::device::cpu {

// The product that time_gemm times: a square of this side by rows of it, so many for each thread.
inline constexpr std::int64_t timed_order = 1536, timed_rows = 512;

template <class Real>
class CpuBackend : public Backend<Real> {
 public:
  CpuBackend(int threads, std::size_t limit_bytes)
      : threads_(threads), pool_(std::make_unique<HostMemory>(), limit_bytes) {}

  void* allocate(std::size_t bytes) override { return pool_.allocate(bytes); }
  void release(void* pointer) override { pool_.release(pointer); }
  std::size_t peak_bytes() const override { return pool_.peak_bytes(); }
  void upload(void* device, const void* host, std::size_t bytes) override;
  void download(void* host, const void* device, std::size_t bytes) override;
  std::unique_ptr<HostCopy> copy_out(const void* device, std::size_t bytes) override;
  void zero(void* device, std::size_t bytes) override;
  bool uses_host_memory() const override { return true; }
  void synchronize() override {}
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

  std::int64_t operand_bytes(std::int64_t rows, std::int64_t columns) const override;
  void form(const FactorView<Real>& f, int copies, std::int64_t inputs, std::int64_t outputs,
            std::int64_t first, std::int64_t count, const Operands& to, int slot) override;
  void put_rows(std::int64_t rows, const Real* x, const Operands& to, int slot) override;
  void sum_rows(RaggedView s, std::int64_t rows, int copies, std::int64_t width, const Real* dy,
                Real* v) override;
  void sum_rows_normalised(RaggedView s, std::int64_t rows, int copies, std::int64_t width,
                           const Real* x, const Real* statistics, const Real* dy, Real* v) override;
  void contract(const Operands& operands,
                std::span<const typename Backend<Real>::Product> products) override;
  void contract_structured(std::span<const typename Backend<Real>::StructuredBlock> blocks,
                           int copies, std::int64_t inputs, std::int64_t outputs,
                           std::int64_t p_stride, std::int64_t q_stride,
                           bool class_diagonal) override;
  void sum_entries(std::int64_t entries, const std::int64_t* first, const std::int64_t* rows,
                   std::int64_t total_rows, int copies, std::int64_t width, const Real* dy,
                   Real* d) override;
  void contract_matches(std::span<const typename Backend<Real>::MatchBlock> blocks,
                        std::int64_t width) override;

 protected:
  int threads() const { return threads_; }

 private:
  int threads_;
  MemoryPool pool_;
};

// Calls body(i) for i in [0, count) on `threads` threads, in pieces handed out as they get done:
// for bodies that write to places of their own. An exception (no memory, say) must not leave the
// parallel region, which would end the program at once: the first one is thrown after the loop.
template <class Body>
void parallel_for(int threads, std::int64_t count, Body body) {
  std::exception_ptr first;
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
  for (std::int64_t i = 0; i < count; ++i) {
    try {
      body(i);
    } catch (...) {
#pragma omp critical(ntk_parallel_for)
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace ntk::device::cpu
