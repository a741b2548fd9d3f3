// The narrow interface between the mathematics (model, jacobian) and a device.
//
// All matrices are row-major and contiguous unless a leading dimension is given; all pointers are
// device pointers made by `allocate` of the same backend. A cotangent matrix holds `copies` stacked
// blocks of the rows of its activation (row = copy * rows + row): one copy an output.
// Every call has one fixed sequence of arithmetic, whatever the number of threads: results repeat
// bit for bit. Calls may return before the work is done (`synchronize`); those that bring something
// to the host wait for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "device/activation.hpp"

namespace ntk::device {

// Rows of a ragged batch: sample s owns rows [offsets[s], offsets[s + 1]).
struct RaggedView {
  std::int64_t samples = 0;
  const std::int64_t* offsets = nullptr;  // samples + 1 entries
  const std::int64_t* host = nullptr;     // the same on the host

  std::int64_t rows() const { return host[samples] - host[0]; }
};

// What structured contraction needs of one panel's site: factors of a run of samples.
template <class Real>
struct FactorView {
  const Real* activations = nullptr;  // (rows, inputs)
  const Real* cotangents = nullptr;   // (copies * rows, outputs)
  std::int64_t rows = 0;              // rows of the whole panel (distance between copies)
  RaggedView samples;
};

// Gradient rows of several panels as the backend multiplies them: panel p begins `stride` bytes
// after panel p - 1. Sums over `chunk` columns (a power of two) are taken in the contraction's own
// precision, those of chunks in fp64.
struct Operands {
  void* data = nullptr;
  std::int64_t stride = 0, columns = 0, chunk = 0;
};
template <class Number>
Number* panel(const Operands& operands, int slot) {
  return reinterpret_cast<Number*>(static_cast<char*>(operands.data) + slot * operands.stride);
}

// Memory on its way from a device to the host. What is copied stays until `data` has returned.
class HostCopy {
 public:
  virtual ~HostCopy() = default;
  virtual const void* data() = 0;  // waits
};

// Operations of the contraction's own arithmetic and how long they took: what shares and floors are
// measured against.
struct GemmTiming {
  double operations = 0, seconds = 0;
};

template <class Real>
class Backend {
 public:
  virtual ~Backend() = default;

  // --- memory -----------------------------------------------------------------------------------
  // `bytes` on the device; Error(resources) beyond the limit, naming how much was asked.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* pointer) = 0;
  virtual std::size_t peak_bytes() const = 0;
  virtual void upload(void* device, const void* host, std::size_t bytes) = 0;
  virtual void download(void* host, const void* device, std::size_t bytes) = 0;
  virtual std::unique_ptr<HostCopy> copy_out(const void* device, std::size_t bytes) = 0;
  virtual void zero(void* device, std::size_t bytes) = 0;
  // Whether device pointers may point at any memory of the host.
  virtual bool uses_host_memory() const = 0;
  // Waits for everything asked for so far; call before reading a clock.
  virtual void synchronize() = 0;
  // Times a large product in the contraction's precision.
  virtual GemmTiming time_gemm() = 0;

  // --- dense algebra ----------------------------------------------------------------------------
  // C (m x n) = A B' + (accumulate ? C : 0), B' = B or its transpose; m may be large (token rows).
  virtual void gemm(bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, const Real* a,
                    std::int64_t lda, const Real* b, std::int64_t ldb, bool accumulate, Real* c,
                    std::int64_t ldc) = 0;

  // --- rows -------------------------------------------------------------------------------------
  // x (rows x width) += bias (width).
  virtual void add_bias(std::int64_t rows, std::int64_t width, const Real* bias, Real* x) = 0;
  // y += x, entry by entry.
  virtual void add(std::int64_t count, const Real* x, Real* y) = 0;
  // y (rows x width) = table[ids[row]] or += .
  virtual void gather(std::int64_t rows, std::int64_t width, const std::int32_t* ids,
                      const Real* table, bool accumulate, Real* y) = 0;
  // y[copy * out_rows + ids[row]] += x[copy * rows + row]; ids distinct.
  virtual void scatter_add(int copies, std::int64_t rows, std::int64_t out_rows, std::int64_t width,
                           const std::int32_t* ids, const Real* x, Real* y) = 0;
  // Means over each sample's rows: y (samples x width). `backward` adds cotangents to dx.
  virtual void mean_pool(RaggedView s, std::int64_t width, const Real* x, Real* y) = 0;
  virtual void mean_pool_backward(RaggedView s, int copies, std::int64_t width, const Real* dy,
                                  Real* dx) = 0;

  // --- layer norm -------------------------------------------------------------------------------
  // y = gamma * (x - mean) / sqrt(var + eps) + beta; `statistics` (rows x 2): mean and
  // 1 / sqrt(var + eps).
  virtual void layer_norm(std::int64_t rows, std::int64_t width, Real eps, const Real* x,
                          const Real* gamma, const Real* beta, Real* y, Real* statistics) = 0;
  virtual void layer_norm_backward(std::int64_t rows, int copies, std::int64_t width, const Real* x,
                                   const Real* statistics, const Real* gamma, const Real* dy,
                                   Real* dx) = 0;
  // dy += the tangent for input tangent dx and parameter tangents dgamma, dbeta (null = 0).
  virtual void layer_norm_tangent(std::int64_t rows, std::int64_t width, const Real* x,
                                  const Real* statistics, const Real* gamma, const Real* dx,
                                  const Real* dgamma, const Real* dbeta, Real* dy) = 0;

  // --- activations ------------------------------------------------------------------------------
  virtual void activation(Activation kind, std::int64_t count, const Real* x, Real* y) = 0;
  // dx[i] += dy[i] * act'(x[i % period]), given y = act(x).
  virtual void activation_backward(Activation kind, std::int64_t count, std::int64_t period,
                                   const Real* x, const Real* y, const Real* dy, Real* dx) = 0;

  // --- attention --------------------------------------------------------------------------------
  // Softmax attention over each sample, `heads` heads side by side in a row.
  virtual void attention(RaggedView q_rows, RaggedView k_rows, int heads, std::int64_t width,
                         const Real* q, const Real* k, const Real* v, Real* y) = 0;
  virtual void attention_backward(RaggedView q_rows, RaggedView k_rows, int heads,
                                  std::int64_t width, int copies, const Real* q, const Real* k,
                                  const Real* v, const Real* dy, Real* dq, Real* dk, Real* dv) = 0;
  virtual void attention_tangent(RaggedView q_rows, RaggedView k_rows, int heads,
                                 std::int64_t width, const Real* q, const Real* k, const Real* v,
                                 const Real* dq, const Real* dk, const Real* dv, Real* dy) = 0;

  // --- gradients of parameters ------------------------------------------------------------------
  // Bytes of a panel of gradient rows.
  virtual std::int64_t operand_bytes(std::int64_t rows, std::int64_t columns) const = 0;
  // Panel `slot` of `to`: columns [first, first + count) x inputs of the gradients of a linear
  // site, one row a kernel row (copy * samples + sample): j[row, (o - first) * inputs + i] = sum_t
  // G[t, o] A[t, i].
  virtual void form(const FactorView<Real>& f, int copies, std::int64_t inputs,
                    std::int64_t outputs, std::int64_t first, std::int64_t count,
                    const Operands& to, int slot) = 0;
  // The same for gradients that are there already: x (rows x to.columns).
  virtual void put_rows(std::int64_t rows, const Real* x, const Operands& to, int slot) = 0;
  // tile (m x n fp64, ld) += A B^T, with m rows of panel p from p_row on, and n rows of panel q. A
  // symmetric product (A and B are the same rows) is added on and below the diagonal; what is
  // above it is then undefined.
  struct Product {
    int p, q;
    std::int64_t p_row, q_row, m, n;
    double* tile;
    std::int64_t ld;
    bool symmetric;
  };
  // Independent products (no two write the same entries).
  virtual void contract(const Operands& operands, std::span<const Product> products) = 0;
  // v (copies * samples x width) = sum over each sample's rows of dy.
  virtual void sum_rows(RaggedView s, std::int64_t rows, int copies, std::int64_t width,
                        const Real* dy, Real* v) = 0;
  // The same of dy * normalised x (gradient of a layer norm's gamma).
  virtual void sum_rows_normalised(RaggedView s, std::int64_t rows, int copies, std::int64_t width,
                                   const Real* x, const Real* statistics, const Real* dy,
                                   Real* v) = 0;
  // Structured contraction of two runs of samples, the first ones numbered i0 and j0 in their
  // panels: tile[c * p_stride + i0 + i, d * q_stride + j0 + j] += sum_ts (A_t . A_s)(G_ct . G_ds).
  // With `class_diagonal` only c = d, all added into tile[i0 + i, j0 + j]. `mirror`: the same
  // sum goes to the transposed place too (an off-diagonal block of a symmetric tile).
  struct StructuredBlock {
    FactorView<Real> p, q;
    std::int64_t i0, j0;
    double* tile;
    std::int64_t ld;
    bool mirror;
  };
  virtual void contract_structured(std::span<const StructuredBlock> blocks, int copies,
                                   std::int64_t inputs, std::int64_t outputs, std::int64_t p_stride,
                                   std::int64_t q_stride, bool class_diagonal) = 0;
  // d (copies * entries x width) = sums of cotangent rows: entry e of copy c adds up the rows
  // rows[first[e]] ... rows[first[e + 1] - 1] of copy c.
  virtual void sum_entries(std::int64_t entries, const std::int64_t* first,
                           const std::int64_t* rows, std::int64_t total_rows, int copies,
                           std::int64_t width, const Real* dy, Real* d) = 0;
  // Token-match rule: tile[i, j] += the product of samples i and j over the ids they share. Sample
  // i has entries [first[i], first[i + 1]) with ids ascending and sums (entries x width).
  struct MatchSide {
    std::int64_t samples;
    const std::int64_t* first;
    const std::int32_t* ids;
    const Real* sums;
  };
  struct MatchBlock {
    MatchSide p, q;
    double* tile;
    std::int64_t ld;
  };
  virtual void contract_matches(std::span<const MatchBlock> blocks, std::int64_t width) = 0;
};

// The CPU: BLAS on one thread a call, OpenMP over independent blocks. Contracts in precision Real.
// `limit_bytes` 0 = none.
template <class Real>
std::unique_ptr<Backend<Real>> make_cpu_backend(int threads, std::size_t limit_bytes);

// Owning array on a backend.
template <class T, class Real>
class Array {
 public:
  Array() = default;
  Array(Backend<Real>& backend, std::int64_t count)
      : backend_(&backend),
        data_(count > 0
                  ? static_cast<T*>(backend.allocate(static_cast<std::size_t>(count) * sizeof(T)))
                  : nullptr),
        count_(count) {}
  Array(Backend<Real>& backend, std::span<const T> host)
      : Array(backend, static_cast<std::int64_t>(host.size())) {
    if (count_ > 0) backend.upload(data_, host.data(), host.size_bytes());
  }
  ~Array() { reset(); }
  Array(Array&& other) noexcept { *this = std::move(other); }
  Array& operator=(Array&& other) noexcept {
    if (this != &other) {
      reset();
      backend_ = other.backend_;
      data_ = std::exchange(other.data_, nullptr);
      count_ = std::exchange(other.count_, 0);
    }
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::int64_t size() const { return count_; }
  bool empty() const { return data_ == nullptr; }
  void zero() {
    if (data_) backend_->zero(data_, static_cast<std::size_t>(count_) * sizeof(T));
  }
  void reset() {
    if (data_) backend_->release(data_);
    data_ = nullptr;
    count_ = 0;
  }

 private:
  Backend<Real>* backend_ = nullptr;
  T* data_ = nullptr;
  std::int64_t count_ = 0;
};

}  // namespace ntk::device
