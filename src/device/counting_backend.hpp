// A device that only counts. The program runs on it as on a real one, with its sequence of calls
// and of allocations, but nothing is computed and nothing is held: what a run costs follows without
// its data (`ntk plan`).
#pragma once

#include "device/backend.hpp"
#include "device/memory_pool.hpp"
#include "device/precision.hpp"

namespace ntk::device {

// Operations by kind (a multiply-add counts 2); symmetric products once.
struct Counts {
  double linear = 0;      // products of the forward and backward passes
  double attention = 0;   // scores and mixing, forward and backward
  double form = 0;        // gradients of linear maps
  double products = 0;    // contraction of gradients, vectors included
  double structured = 0;  // contraction of factors
  double matches = 0;     // tables, as if samples shared one id
};

// Stands for a device of `kind` in whose memory `limit_bytes` may be used (0 = no limit; beyond
// it, as everywhere, Error(resources)). What it copies to the host is zero. Kernels' own scratch is
// allocated as the real devices do, as far as it grows with a panel. Pointers that it hands out
// point nowhere.
template <class Real>
class CountingBackend final : public Backend<Real> {
 public:
  CountingBackend(Kind kind, Precision precision, std::size_t limit_bytes);

  const Counts& counts() const { return counts_; }
  // Most that panels of gradients took at a time.
  std::size_t operand_peak() const { return static_cast<std::size_t>(operand_peak_); }

  void* allocate(std::size_t bytes) override { return pool_.allocate(bytes); }
  void release(void* pointer) override { pool_.release(pointer); }
  std::size_t peak_bytes() const override { return pool_.peak_bytes(); }
  void upload(void*, const void*, std::size_t) override {}
  void download(void* host, const void* device, std::size_t bytes) override;
  std::unique_ptr<HostCopy> copy_out(const void* device, std::size_t bytes) override;
  void zero(void*, std::size_t) override {}
  bool uses_host_memory() const override { return kind_ == Kind::cpu; }
  void synchronize() override {}
  GemmTiming time_gemm() override;

  void gemm(bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const Real* a,
            std::int64_t lda, const Real* b, std::int64_t ldb, bool accumulate, Real* c,
            std::int64_t ldc) override;

  void add_bias(std::int64_t, std::int64_t, const Real*, Real*) override {}
  void add(std::int64_t, const Real*, Real*) override {}
  void gather(std::int64_t, std::int64_t, const std::int32_t*, const Real*, bool, Real*) override {}
  void scatter_add(int, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, const Real*,
                   Real*) override {}
  void mean_pool(RaggedView, std::int64_t, const Real*, Real*) override {}
  void mean_pool_backward(RaggedView, int, std::int64_t, const Real*, Real*) override {}
  void layer_norm(std::int64_t, std::int64_t, Real, const Real*, const Real*, const Real*, Real*,
                  Real*) override {}
  void layer_norm_backward(std::int64_t, int, std::int64_t, const Real*, const Real*, const Real*,
                           const Real*, Real*) override {}
  void layer_norm_tangent(std::int64_t, std::int64_t, const Real*, const Real*, const Real*,
                          const Real*, const Real*, const Real*, Real*) override {}
  void activation(Activation, std::int64_t, const Real*, Real*) override {}
  void activation_backward(Activation, std::int64_t, std::int64_t, const Real*, const Real*,
                           const Real*, Real*) override {}

  void attention(RaggedView q_rows, RaggedView k_rows, int heads, std::int64_t width, const Real* q,
                 const Real* k, const Real* v, Real* y) override;
  void attention_backward(RaggedView q_rows, RaggedView k_rows, int heads, std::int64_t width,
                          int copies, const Real* q, const Real* k, const Real* v, const Real* dy,
                          Real* dq, Real* dk, Real* dv) override;
  void attention_tangent(RaggedView, RaggedView, int, std::int64_t, const Real*, const Real*,
                         const Real*, const Real*, const Real*, const Real*, Real*) override {}

  std::int64_t operand_bytes(std::int64_t rows, std::int64_t columns) const override {
    return rows * columns * facts(precision_).operand_bytes;
  }
  void form(const FactorView<Real>& f, int copies, std::int64_t inputs, std::int64_t outputs,
            std::int64_t first, std::int64_t count, const Operands& to, int slot) override;
  void put_rows(std::int64_t, const Real*, const Operands&, int) override {}
  void sum_rows(RaggedView, std::int64_t, int, std::int64_t, const Real*, Real*) override {}
  void sum_rows_normalised(RaggedView, std::int64_t, int, std::int64_t, const Real*, const Real*,
                           const Real*, Real*) override {}
  void contract(const Operands& operands,
                std::span<const typename Backend<Real>::Product> products) override;
  void contract_structured(std::span<const typename Backend<Real>::StructuredBlock> blocks,
                           int copies, std::int64_t inputs, std::int64_t outputs,
                           std::int64_t p_stride, std::int64_t q_stride,
                           bool class_diagonal) override;
  void sum_entries(std::int64_t, const std::int64_t*, const std::int64_t*, std::int64_t, int,
                   std::int64_t, const Real*, Real*) override {}
  void contract_matches(std::span<const typename Backend<Real>::MatchBlock> blocks,
                        std::int64_t width) override;

 private:
  Kind kind_;
  Precision precision_;
  MemoryPool pool_;
  Counts counts_;
  std::int64_t operand_peak_ = 0;
};

}  // namespace ntk::device
