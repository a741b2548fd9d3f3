// CudaBackend: memory, dense products, and contraction as far as cuBLAS does it.
#include "device/cuda/cuda_backend.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "device/cuda.hpp"
#include "device/cuda/sums.hpp"
#include "device/kernels/operand.hpp"

namespace ntk::device::cuda {
namespace {

class DeviceMemory final : public MemorySource {
 public:
  explicit DeviceMemory(int device) : device_(device) {}
  void* take(std::size_t bytes) override {
    void* pointer = nullptr;
    const cudaError_t status = cudaMalloc(&pointer, bytes);
    if (status == cudaSuccess) return pointer;
    cudaGetLastError();
    if (status != cudaErrorMemoryAllocation) check(status, "cudaMalloc");
    return nullptr;
  }
  void give_back(void* pointer) noexcept override {
    cudaDeviceSynchronize();  // any stream may still use it
    cudaFree(pointer);
  }
  std::size_t granularity(std::size_t bytes) const override { return cuda_granularity(bytes); }
  std::string owner() const override { return "on " + describe_device(device_); }

 private:
  int device_;
};

Stream stream_on(int device) {
  check(cudaSetDevice(device), "cudaSetDevice");
  return make_stream();
}

Blas make_blas(cudaStream_t stream, void* workspace) {
  cublasHandle_t handle = nullptr;
  check(cublasCreate(&handle), "cublasCreate");
  Blas blas(handle);
  check(cublasSetStream(blas, stream), "cublasSetStream");
  // Its size decides which algorithms there are.
  check(cublasSetWorkspace(blas, workspace, Products::workspace_bytes), "cublasSetWorkspace");
  return blas;
}

Workspace make_workspace() {
  void* workspace = nullptr;
  check(cudaMalloc(&workspace, Products::workspace_bytes), "cudaMalloc of a workspace");
  return Workspace(workspace);
}

cublasStatus_t gemm_of(cublasHandle_t blas, cublasOperation_t a_op, int m, int n, int k,
                       const float* a, int lda, const float* b, int ldb, float beta, float* c,
                       int ldc) {
  const float one = 1;
  return cublasSgemm(blas, a_op, CUBLAS_OP_N, m, n, k, &one, a, lda, b, ldb, &beta, c, ldc);
}
cublasStatus_t gemm_of(cublasHandle_t blas, cublasOperation_t a_op, int m, int n, int k,
                       const double* a, int lda, const double* b, int ldb, double beta, double* c,
                       int ldc) {
  const double one = 1;
  return cublasDgemm(blas, a_op, CUBLAS_OP_N, m, n, k, &one, a, lda, b, ldb, &beta, c, ldc);
}

}  // namespace

template <class Real>
CudaBackend<Real>::CudaBackend(int device, Precision precision, std::size_t limit_bytes)
    : device_(device),
      precision_(precision),
      limit_(limit_bytes),
      stream_(stream_on(device)),
      pool_(std::make_unique<DeviceMemory>(device), limit_bytes),
      staging_(stream_),
      workspace_(make_workspace()),
      blas_(make_blas(stream_, workspace_)),
      products_(precision) {
  for (int i = 0; i < cuda_lanes; ++i) lanes_.push_back({make_stream(), make_workspace()});
}

template <class Real>
CudaBackend<Real>::~CudaBackend() {
  cudaDeviceSynchronize();  // an error here has been, or will be, reported elsewhere
}

template <class Real>
void CudaBackend<Real>::upload(void* device, const void* host, std::size_t bytes) {
  staging_.upload(device, host, bytes);
}

template <class Real>
std::unique_ptr<HostCopy> CudaBackend<Real>::copy_out(const void* device, std::size_t bytes) {
  return staging_.copy_out(device, bytes);
}

template <class Real>
void CudaBackend<Real>::download(void* host, const void* device, std::size_t bytes) {
  std::memcpy(host, staging_.copy_out(device, bytes)->data(), bytes);
}

template <class Real>
void CudaBackend<Real>::zero(void* device, std::size_t bytes) {
  check(cudaMemsetAsync(device, 0, bytes, stream_), "cudaMemsetAsync");
}

template <class Real>
void CudaBackend<Real>::synchronize() {
  check(cudaStreamSynchronize(stream_), "waiting for the device");
}

template <class Real>
void CudaBackend<Real>::gemm(bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const Real* a,
                             std::int64_t lda, const Real* b, std::int64_t ldb, bool accumulate,
                             Real* c, std::int64_t ldc) {
  // cuBLAS is column-major: C' = B'' A' with the rows of each matrix as its columns.
  check(gemm_of(blas_, tb ? CUBLAS_OP_T : CUBLAS_OP_N, static_cast<int>(n), static_cast<int>(m),
                static_cast<int>(k), b, static_cast<int>(ldb), a, static_cast<int>(lda),
                accumulate ? Real(1) : Real(0), c, static_cast<int>(ldc)),
        "cuBLAS GEMM");
}

template <class Real>
GemmTiming CudaBackend<Real>::time_gemm() {
  // Half as many columns as rows, in as large a size as is fast; less where memory is short.
  const auto bytes = [&](std::int64_t order) {
    return operand_bytes(order, order / 2) +
           3 * order * order / 2 * static_cast<std::int64_t>(sizeof(Real));
  };
  std::int64_t order = 8192;
  const std::int64_t left =
      static_cast<std::int64_t>(limit_) - static_cast<std::int64_t>(pool_.used_bytes());
  while (limit_ > 0 && order > 64 && 2 * bytes(order) > left) order /= 2;
  const std::int64_t columns = order / 2, block = std::min<std::int64_t>(1 << 20, order * columns);
  // Random numbers: a product of zeros draws less power, and devices then run faster.
  std::mt19937 bits(1);
  std::vector<Real> numbers(static_cast<std::size_t>(block));
  for (auto& x : numbers) x = static_cast<Real>(bits()) / static_cast<Real>(bits.max()) - Real(0.5);
  Array<char, Real> a(*this, operand_bytes(order, columns));
  const Operands operands{a.data(), 0, columns, columns};
  {
    Array<Real, Real> x(*this, order * columns);
    for (std::int64_t at = 0; at < order * columns; at += block) {
      upload(x.data() + at, numbers.data(), numbers.size() * sizeof(Real));
    }
    put_rows(order, x.data(), operands, 0);
  }
  Array<Real, Real> c(*this, order * order);
  // As many plain products as the precision makes of terms.
  const auto& f = facts(precision_);
  const int runs = 2 * f.terms - 1;
  const ProductShape shape{order, order, columns, columns * runs, columns * runs, false};
  const auto* leading = a.data() + (f.terms - 1) * columns * (f.operand_bytes / runs);
  synchronize();
  const auto multiply = [&](int times) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < times * f.products; ++i) {
      products_.batched(lanes_[0].stream, lanes_[0].workspace, shape, 1, leading, leading, 0,
                        c.data(), 0);
    }
    check(cudaStreamSynchronize(lanes_[0].stream), "waiting for the device");
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    return seconds.count();
  };
  // Long enough for the clock rate that the device can hold.
  constexpr double wanted = 0.05;
  const int times = static_cast<int>(std::clamp(wanted / multiply(1), 1.0, 50.0));
  return {2.0 * times * static_cast<double>(order * order * columns), multiply(times)};
}

// Rows of products, the longest first: lanes that take them in turn end together.
template <class Real>
auto CudaBackend<Real>::batches_of(std::span<const Product> products) const -> std::vector<Batch> {
  static_assert(TileBatch::most <= Products::most_batch);
  std::vector<Batch> batches;
  for (const Product& p : products) {
    const auto follows = [&](const Batch& batch) {
      const Product& first = *batch.first;
      const std::int64_t bytes = p.m * p.n * static_cast<std::int64_t>(sizeof(Real));
      return p.p == first.p && p.p_row == first.p_row && p.m == first.m && p.n == first.n &&
             p.q == first.q + batch.count && p.q_row == first.q_row && p.ld == first.ld &&
             batch.count < TileBatch::most && (batch.count + 1) * bytes <= cuda_lane_bytes;
    };
    if (!batches.empty() && follows(batches.back())) {
      ++batches.back().count;
    } else {
      batches.push_back({&p, 1});
    }
  }
  const auto work = [](const Batch& b) { return b.first->m * b.first->n * b.count; };
  std::stable_sort(batches.begin(), batches.end(),
                   [&](const Batch& a, const Batch& b) { return work(a) > work(b); });
  return batches;
}

template <class Real>
void CudaBackend<Real>::multiply_chunks(const Lane& lane, const Operands& operands,
                                        const Batch& batch, Real* scratch) {
  const auto& f = facts(precision_);
  const int runs = 2 * f.terms - 1;
  const std::int64_t number = f.operand_bytes / runs;  // bytes
  const std::int64_t ld = operands.columns * runs;
  const Product& p = *batch.first;
  const std::int64_t mn = p.m * p.n;
  for (std::int64_t first = 0; first < operands.columns; first += operands.chunk) {
    const std::int64_t width = std::min(operands.chunk, operands.columns - first);
    const char* a = panel<const char>(operands, p.p) + (p.p_row * ld + first * runs) * number;
    const char* b = panel<const char>(operands, p.q) + (p.q_row * ld + first * runs) * number;
    bool accumulate = false;
    kernels::for_each_term_product(
        f, width, [&](std::int64_t at_a, std::int64_t at_b, std::int64_t k) {
          const ProductShape shape{p.m, p.n, k, ld, ld, std::exchange(accumulate, true)};
          products_.batched(lane.stream, lane.workspace, shape, batch.count, a + at_a * number,
                            b + at_b * number, operands.stride / number, scratch, mn);
        });
    TileBatch tiles{{}, batch.count, p.m, p.n, p.ld};
    for (int i = 0; i < batch.count; ++i) tiles.data[i] = batch.first[i].tile;
    add_to_tiles<Real>(lane.stream, tiles, scratch);
  }
}

template <class Real>
void CudaBackend<Real>::contract(const Operands& operands, std::span<const Product> products) {
  ensure(std::has_single_bit(static_cast<std::uint64_t>(operands.chunk)), "chunk of {} columns",
         operands.chunk);
  std::vector<Product> sorted(products.begin(), products.end());
  std::sort(sorted.begin(), sorted.end(), [](const Product& a, const Product& b) {
    return std::pair(a.p, a.q) < std::pair(b.p, b.q);
  });
  const auto batches = batches_of(sorted);
  if (batches.empty()) return;
  std::int64_t most = 0;  // numbers of a batch
  for (const Batch& b : batches) most = std::max(most, b.count * b.first->m * b.first->n);

  const std::size_t used = std::min(lanes_.size(), batches.size());
  const Event ready = make_event();
  check(cudaEventRecord(ready, stream_), "cudaEventRecord");
  std::vector<Array<Real, Real>> scratch;
  for (std::size_t l = 0; l < used; ++l) {
    check(cudaStreamWaitEvent(lanes_[l].stream, ready, 0), "cudaStreamWaitEvent");
    scratch.emplace_back(*this, most);
  }
  for (std::size_t b = 0; b < batches.size(); ++b) {
    multiply_chunks(lanes_[b % used], operands, batches[b], scratch[b % used].data());
  }
  // What comes after on the main stream, memory that is used again included, comes after them.
  for (std::size_t l = 0; l < used; ++l) {
    const Event done = make_event();
    check(cudaEventRecord(done, lanes_[l].stream), "cudaEventRecord");
    check(cudaStreamWaitEvent(stream_, done, 0), "cudaStreamWaitEvent");
  }
}

template <class Real>
void CudaBackend<Real>::multiply_rows(std::int64_t m, std::int64_t n, std::int64_t width,
                                      const void* x, const void* y, Real* c) {
  const auto& f = facts(precision_);
  const int runs = 2 * f.terms - 1;
  const std::int64_t number = f.operand_bytes / runs, ld = width * runs;
  bool accumulate = false;
  kernels::for_each_term_product(
      f, width, [&](std::int64_t at_x, std::int64_t at_y, std::int64_t k) {
        const ProductShape shape{m, n, k, ld, ld, std::exchange(accumulate, true)};
        products_.single(blas_, shape, static_cast<const char*>(x) + at_x * number,
                         static_cast<const char*>(y) + at_y * number, c);
      });
}

template <class Real>
void CudaBackend<Real>::contract_structured(std::span<const StructuredBlock> blocks, int copies,
                                            std::int64_t inputs, std::int64_t outputs,
                                            std::int64_t p_stride, std::int64_t q_stride,
                                            bool class_diagonal) {
  // Rows [first, first + count) of x as operands of one chunk.
  const auto as_operands = [&](const Real* x, std::int64_t count, std::int64_t width) {
    Array<char, Real> made(*this, operand_bytes(count, width));
    const auto chunk = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(width)));
    put_rows(count, x, {made.data(), 0, width, chunk}, 0);
    return made;
  };
  for (const auto& b : blocks) {
    const std::int64_t m = b.p.samples.rows(), n = b.q.samples.rows();
    const std::int64_t p0 = b.p.samples.host[0], q0 = b.q.samples.host[0];
    Array<Real, Real> aa(*this, m * n), gg(*this, m * n);
    Array<double, Real> w(*this, b.p.samples.samples * n);
    {
      const auto x = as_operands(b.p.activations + p0 * inputs, m, inputs);
      const auto y = as_operands(b.q.activations + q0 * inputs, n, inputs);
      multiply_rows(m, n, inputs, x.data(), y.data(), aa.data());
    }
    for (int c = 0; c < copies; ++c) {
      const auto x = as_operands(b.p.cotangents + (c * b.p.rows + p0) * outputs, m, outputs);
      for (int d = class_diagonal ? c : 0; d < (class_diagonal ? c + 1 : copies); ++d) {
        const auto y = as_operands(b.q.cotangents + (d * b.q.rows + q0) * outputs, n, outputs);
        multiply_rows(m, n, outputs, x.data(), y.data(), gg.data());
        const std::int64_t row0 = (class_diagonal ? 0 : c * p_stride) + b.i0;
        const std::int64_t column0 = (class_diagonal ? 0 : d * q_stride) + b.j0;
        sum_tokens(stream_, b.p.samples, b.q.samples, aa.data(), gg.data(), w.data(),
                   b.tile + row0 * b.ld + column0,
                   b.mirror ? b.tile + column0 * b.ld + row0 : nullptr, b.ld);
      }
    }
  }
}

template class CudaBackend<float>;
template class CudaBackend<double>;

}  // namespace ntk::device::cuda

namespace ntk::device {

template <class Real>
std::unique_ptr<Backend<Real>> make_cuda_backend(int device, Precision precision,
                                                 std::size_t limit_bytes) {
  ensure((precision == Precision::fp64) == (sizeof(Real) == sizeof(double)),
         "precision {} of numbers of {} bytes", facts(precision).name, sizeof(Real));
  return std::make_unique<cuda::CudaBackend<Real>>(device, precision, limit_bytes);
}
template std::unique_ptr<Backend<float>> make_cuda_backend<float>(int, Precision, std::size_t);
template std::unique_ptr<Backend<double>> make_cuda_backend<double>(int, Precision, std::size_t);

}  // namespace ntk::device
