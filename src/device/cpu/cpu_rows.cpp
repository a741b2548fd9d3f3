// CpuBackend: memory, dense products and row-wise operations.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "device/cpu/blas.hpp"
#include "device/cpu/cpu_backend.hpp"
#include "device/kernels/activation.hpp"
#include "device/kernels/norm.hpp"
#include "device/kernels/rows.hpp"

namespace ntk::device::cpu {
namespace {

using Team = kernels::SingleThread;

constexpr std::int64_t row_piece = 64;       // rows of a row-wise piece
constexpr std::int64_t gemm_piece = 512;     // rows of a GEMM piece
constexpr std::int64_t count_piece = 16384;  // entries of an element-wise piece
constexpr std::int64_t slope_piece = 1024;   // the same where slopes are kept on the stack

std::int64_t pieces(std::int64_t count, std::int64_t piece) {
  return (count + piece - 1) / piece;
}

// body(first, last) over fixed pieces of [0, count).
template <class Body>
void in_pieces(int threads, std::int64_t count, std::int64_t piece, Body body) {
  parallel_for(threads, pieces(count, piece),
               [&](std::int64_t p) { body(p * piece, std::min(count, (p + 1) * piece)); });
}

}  // namespace

template <class Real>
void CpuBackend<Real>::upload(void* device, const void* host, std::size_t bytes) {
  std::memcpy(device, host, bytes);
}
template <class Real>
void CpuBackend<Real>::download(void* host, const void* device, std::size_t bytes) {
  std::memcpy(host, device, bytes);
}
template <class Real>
std::unique_ptr<HostCopy> CpuBackend<Real>::copy_out(const void* device, std::size_t) {
  struct Here final : HostCopy {
    explicit Here(const void* at) : at_(at) {}
    const void* data() override { return at_; }
    const void* at_;
  };
  return std::make_unique<Here>(device);
}
template <class Real>
void CpuBackend<Real>::zero(void* device, std::size_t bytes) {
  std::memset(device, 0, bytes);
}

template <class Real>
void CpuBackend<Real>::gemm(bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const Real* a,
                            std::int64_t lda, const Real* b, std::int64_t ldb, bool accumulate,
                            Real* c, std::int64_t ldc) {
  in_pieces(threads_, m, gemm_piece, [&](std::int64_t first, std::int64_t last) {
    cpu::gemm(tb, last - first, n, k, a + first * lda, lda, b, ldb, accumulate ? Real(1) : Real(0),
              c + first * ldc, ldc);
  });
}

template <class Real>
GemmTiming CpuBackend<Real>::time_gemm() {
  constexpr std::int64_t order = timed_order, rows = timed_rows;
  std::mt19937 bits(1);
  Array<Real, Real> a(*this, order * order), c(*this, threads_ * rows * order);
  for (std::int64_t i = 0; i < order * order; ++i) {
    a.data()[i] = static_cast<Real>(bits()) / static_cast<Real>(bits.max()) - Real(0.5);
  }
  c.zero();
  // Every thread is timed by itself: which of them is slow, and so the last, is the machine's
  // chance, and in real work others take over.
  const double operations = 2.0 * static_cast<double>(order * order * order);
  std::vector<double> rates(static_cast<std::size_t>(threads_));
  parallel_for(threads_, threads_, [&](std::int64_t t) {
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t first = 0; first < order; first += rows) {
      cpu::gemm(true, rows, order, order, a.data() + first * order, order, a.data(), order, Real(0),
                c.data() + t * rows * order, order);
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    rates[static_cast<std::size_t>(t)] = operations / seconds.count();
  });
  const double all = threads_ * operations;
  return {all, all / std::accumulate(rates.begin(), rates.end(), 0.0)};
}

template <class Real>
void CpuBackend<Real>::add_bias(std::int64_t rows, std::int64_t width, const Real* bias, Real* x) {
  in_pieces(threads_, rows, row_piece, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      kernels::take_row(Team{}, width, bias, true, x + r * width);
    }
  });
}

template <class Real>
void CpuBackend<Real>::add(std::int64_t count, const Real* x, Real* y) {
  in_pieces(threads_, count, count_piece, [&](std::int64_t first, std::int64_t last) {
    NTK_SIMD
    for (std::int64_t i = first; i < last; ++i) y[i] += x[i];
  });
}

template <class Real>
void CpuBackend<Real>::gather(std::int64_t rows, std::int64_t width, const std::int32_t* ids,
                              const Real* table, bool accumulate, Real* y) {
  in_pieces(threads_, rows, row_piece, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      kernels::take_row(Team{}, width, table + ids[r] * width, accumulate, y + r * width);
    }
  });
}

template <class Real>
void CpuBackend<Real>::scatter_add(int copies, std::int64_t rows, std::int64_t out_rows,
                                   std::int64_t width, const std::int32_t* ids, const Real* x,
                                   Real* y) {
  in_pieces(threads_, copies * rows, row_piece, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      Real* to = y + ((r / rows) * out_rows + ids[r % rows]) * width;
      kernels::take_row(Team{}, width, x + r * width, true, to);
    }
  });
}

template <class Real>
void CpuBackend<Real>::mean_pool(RaggedView s, std::int64_t width, const Real* x, Real* y) {
  parallel_for(threads_, s.samples, [&](std::int64_t i) {
    kernels::mean_of_rows(Team{}, s.offsets[i], s.offsets[i + 1], width, x, y + i * width);
  });
}

template <class Real>
void CpuBackend<Real>::mean_pool_backward(RaggedView s, int copies, std::int64_t width,
                                          const Real* dy, Real* dx) {
  const std::int64_t rows = s.rows();
  parallel_for(threads_, copies * s.samples, [&](std::int64_t ci) {
    const std::int64_t c = ci / s.samples, i = ci % s.samples;
    const std::int64_t first = s.offsets[i], last = s.offsets[i + 1];
    const Real inverse = Real(1) / static_cast<Real>(last - first);
    for (std::int64_t r = first; r < last; ++r) {
      kernels::add_scaled_row(Team{}, width, inverse, dy + ci * width, dx + (c * rows + r) * width);
    }
  });
}

template <class Real>
void CpuBackend<Real>::layer_norm(std::int64_t rows, std::int64_t width, Real eps, const Real* x,
                                  const Real* gamma, const Real* beta, Real* y, Real* statistics) {
  in_pieces(threads_, rows, row_piece, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      kernels::layer_norm_row(Team{}, width, eps, x + r * width, gamma, beta, y + r * width,
                              statistics + 2 * r);
    }
  });
}

template <class Real>
void CpuBackend<Real>::layer_norm_backward(std::int64_t rows, int copies, std::int64_t width,
                                           const Real* x, const Real* statistics, const Real* gamma,
                                           const Real* dy, Real* dx) {
  in_pieces(threads_, copies * rows, row_piece, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const std::int64_t at = r % rows;
      kernels::layer_norm_backward_row(Team{}, width, x + at * width, statistics + 2 * at, gamma,
                                       dy + r * width, dx + r * width);
    }
  });
}

template <class Real>
void CpuBackend<Real>::layer_norm_tangent(std::int64_t rows, std::int64_t width, const Real* x,
                                          const Real* statistics, const Real* gamma, const Real* dx,
                                          const Real* dgamma, const Real* dbeta, Real* dy) {
  in_pieces(threads_, rows, row_piece, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      kernels::layer_norm_tangent_row(Team{}, width, x + r * width, statistics + 2 * r, gamma,
                                      dx + r * width, dgamma, dbeta, dy + r * width);
    }
  });
}

template <class Real>
void CpuBackend<Real>::activation(Activation kind, std::int64_t count, const Real* x, Real* y) {
  kernels::with_activation(kind, [&]<Activation chosen>() {
    in_pieces(threads_, count, count_piece, [&](std::int64_t first, std::int64_t last) {
      NTK_SIMD
      for (std::int64_t i = first; i < last; ++i) y[i] = kernels::activate<chosen>(x[i]);
    });
  });
}

template <class Real>
void CpuBackend<Real>::activation_backward(Activation kind, std::int64_t count, std::int64_t period,
                                           const Real* x, const Real* y, const Real* dy, Real* dx) {
  kernels::with_activation(kind, [&]<Activation chosen>() {
    in_pieces(threads_, period, slope_piece, [&](std::int64_t first, std::int64_t last) {
      Real slope[slope_piece];
      const std::int64_t n = last - first;
      NTK_SIMD
      for (std::int64_t i = 0; i < n; ++i) {
        slope[i] = kernels::activate_derivative<chosen>(x[first + i], y[first + i]);
      }
      for (std::int64_t at = first; at < count; at += period) {
        NTK_SIMD
        for (std::int64_t i = 0; i < n; ++i) dx[at + i] += dy[at + i] * slope[i];
      }
    });
  });
}

template <class Real>
void CpuBackend<Real>::sum_rows(RaggedView s, std::int64_t rows, int copies, std::int64_t width,
                                const Real* dy, Real* v) {
  parallel_for(threads_, copies * s.samples, [&](std::int64_t ci) {
    const std::int64_t c = ci / s.samples, i = ci % s.samples;
    kernels::sum_of_rows(Team{}, s.offsets[i], s.offsets[i + 1], width, dy + c * rows * width,
                         v + ci * width);
  });
}

template <class Real>
void CpuBackend<Real>::sum_rows_normalised(RaggedView s, std::int64_t rows, int copies,
                                           std::int64_t width, const Real* x,
                                           const Real* statistics, const Real* dy, Real* v) {
  parallel_for(threads_, copies * s.samples, [&](std::int64_t ci) {
    const std::int64_t c = ci / s.samples, i = ci % s.samples;
    kernels::sum_of_normalised_rows(Team{}, s.offsets[i], s.offsets[i + 1], width, x, statistics,
                                    dy + c * rows * width, v + ci * width);
  });
}

template class CpuBackend<float>;
template class CpuBackend<double>;

}  // namespace ntk::device::cpu
