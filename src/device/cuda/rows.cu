// CudaBackend: element-wise and row-wise operations. The arithmetic is in device/kernels.
#include "device/cuda/cuda_backend.hpp"
#include "device/cuda/launch.hpp"
#include "device/kernels/activation.hpp"
#include "device/kernels/norm.hpp"
#include "device/kernels/rows.hpp"

namespace ntk::device::cuda {

template <class Real>
void CudaBackend<Real>::add_bias(std::int64_t rows, std::int64_t width, const Real* bias, Real* x) {
  for_each_warp(stream_, rows, [=] __device__(auto team, std::int64_t r) {
    kernels::take_row(team, width, bias, true, x + r * width);
  });
}

template <class Real>
void CudaBackend<Real>::add(std::int64_t count, const Real* x, Real* y) {
  for_each_thread(stream_, count, [=] __device__(std::int64_t i) { y[i] += x[i]; });
}

template <class Real>
void CudaBackend<Real>::gather(std::int64_t rows, std::int64_t width, const std::int32_t* ids,
                               const Real* table, bool accumulate, Real* y) {
  for_each_warp(stream_, rows, [=] __device__(auto team, std::int64_t r) {
    kernels::take_row(team, width, table + ids[r] * width, accumulate, y + r * width);
  });
}

template <class Real>
void CudaBackend<Real>::scatter_add(int copies, std::int64_t rows, std::int64_t out_rows,
                                    std::int64_t width, const std::int32_t* ids, const Real* x,
                                    Real* y) {
  for_each_warp(stream_, copies * rows, [=] __device__(auto team, std::int64_t r) {
    Real* to = y + ((r / rows) * out_rows + ids[r % rows]) * width;
    kernels::take_row(team, width, x + r * width, true, to);
  });
}

template <class Real>
void CudaBackend<Real>::mean_pool(RaggedView s, std::int64_t width, const Real* x, Real* y) {
  for_each_warp(stream_, s.samples, [=] __device__(auto team, std::int64_t i) {
    kernels::mean_of_rows(team, s.offsets[i], s.offsets[i + 1], width, x, y + i * width);
  });
}

template <class Real>
void CudaBackend<Real>::mean_pool_backward(RaggedView s, int copies, std::int64_t width,
                                           const Real* dy, Real* dx) {
  const std::int64_t rows = s.rows();
  for_each_warp(stream_, copies * s.samples, [=] __device__(auto team, std::int64_t ci) {
    const std::int64_t c = ci / s.samples, i = ci % s.samples;
    const std::int64_t first = s.offsets[i], last = s.offsets[i + 1];
    const Real inverse = Real(1) / static_cast<Real>(last - first);
    for (std::int64_t r = first; r < last; ++r) {
      kernels::add_scaled_row(team, width, inverse, dy + ci * width, dx + (c * rows + r) * width);
    }
  });
}

template <class Real>
void CudaBackend<Real>::layer_norm(std::int64_t rows, std::int64_t width, Real eps, const Real* x,
                                   const Real* gamma, const Real* beta, Real* y, Real* statistics) {
  for_each_warp(stream_, rows, [=] __device__(auto team, std::int64_t r) {
    kernels::layer_norm_row(team, width, eps, x + r * width, gamma, beta, y + r * width,
                            statistics + 2 * r);
  });
}

template <class Real>
void CudaBackend<Real>::layer_norm_backward(std::int64_t rows, int copies, std::int64_t width,
                                            const Real* x, const Real* statistics,
                                            const Real* gamma, const Real* dy, Real* dx) {
  for_each_warp(stream_, copies * rows, [=] __device__(auto team, std::int64_t r) {
    const std::int64_t at = r % rows;
    kernels::layer_norm_backward_row(team, width, x + at * width, statistics + 2 * at, gamma,
                                     dy + r * width, dx + r * width);
  });
}

template <class Real>
void CudaBackend<Real>::layer_norm_tangent(std::int64_t rows, std::int64_t width, const Real* x,
                                           const Real* statistics, const Real* gamma,
                                           const Real* dx, const Real* dgamma, const Real* dbeta,
                                           Real* dy) {
  for_each_warp(stream_, rows, [=] __device__(auto team, std::int64_t r) {
    kernels::layer_norm_tangent_row(team, width, x + r * width, statistics + 2 * r, gamma,
                                    dx + r * width, dgamma, dbeta, dy + r * width);
  });
}

namespace {

template <Activation kind, class Real>
void run_activation(cudaStream_t stream, std::int64_t count, const Real* x, Real* y) {
  for_each_thread(stream, count,
                  [=] __device__(std::int64_t i) { y[i] = kernels::activate<kind>(x[i]); });
}

template <Activation kind, class Real>
void run_activation_backward(cudaStream_t stream, std::int64_t count, std::int64_t period,
                             const Real* x, const Real* y, const Real* dy, Real* dx) {
  for_each_thread(stream, period, [=] __device__(std::int64_t i) {
    const Real slope = kernels::activate_derivative<kind>(x[i], y[i]);
    for (std::int64_t at = i; at < count; at += period) dx[at] += dy[at] * slope;
  });
}

}  // namespace

template <class Real>
void CudaBackend<Real>::activation(Activation kind, std::int64_t count, const Real* x, Real* y) {
  kernels::with_activation(
      kind, [&]<Activation chosen>() { run_activation<chosen>(stream_, count, x, y); });
}

template <class Real>
void CudaBackend<Real>::activation_backward(Activation kind, std::int64_t count,
                                            std::int64_t period, const Real* x, const Real* y,
                                            const Real* dy, Real* dx) {
  kernels::with_activation(kind, [&]<Activation chosen>() {
    run_activation_backward<chosen>(stream_, count, period, x, y, dy, dx);
  });
}

template <class Real>
void CudaBackend<Real>::sum_rows(RaggedView s, std::int64_t rows, int copies, std::int64_t width,
                                 const Real* dy, Real* v) {
  for_each_warp(stream_, copies * s.samples, [=] __device__(auto team, std::int64_t ci) {
    const std::int64_t c = ci / s.samples, i = ci % s.samples;
    kernels::sum_of_rows(team, s.offsets[i], s.offsets[i + 1], width, dy + c * rows * width,
                         v + ci * width);
  });
}

template <class Real>
void CudaBackend<Real>::sum_rows_normalised(RaggedView s, std::int64_t rows, int copies,
                                            std::int64_t width, const Real* x,
                                            const Real* statistics, const Real* dy, Real* v) {
  for_each_warp(stream_, copies * s.samples, [=] __device__(auto team, std::int64_t ci) {
    const std::int64_t c = ci / s.samples, i = ci % s.samples;
    kernels::sum_of_normalised_rows(team, s.offsets[i], s.offsets[i + 1], width, x, statistics,
                                    dy + c * rows * width, v + ci * width);
  });
}

#define NTK_INSTANTIATE(Real)                                                                      \
  template void CudaBackend<Real>::add_bias(std::int64_t, std::int64_t, const Real*, Real*);       \
  template void CudaBackend<Real>::add(std::int64_t, const Real*, Real*);                          \
  template void CudaBackend<Real>::gather(std::int64_t, std::int64_t, const std::int32_t*,         \
                                          const Real*, bool, Real*);                               \
  template void CudaBackend<Real>::scatter_add(int, std::int64_t, std::int64_t, std::int64_t,      \
                                               const std::int32_t*, const Real*, Real*);           \
  template void CudaBackend<Real>::mean_pool(RaggedView, std::int64_t, const Real*, Real*);        \
  template void CudaBackend<Real>::mean_pool_backward(RaggedView, int, std::int64_t, const Real*,  \
                                                      Real*);                                      \
  template void CudaBackend<Real>::layer_norm(std::int64_t, std::int64_t, Real, const Real*,       \
                                              const Real*, const Real*, Real*, Real*);             \
  template void CudaBackend<Real>::layer_norm_backward(                                            \
      std::int64_t, int, std::int64_t, const Real*, const Real*, const Real*, const Real*, Real*); \
  template void CudaBackend<Real>::layer_norm_tangent(std::int64_t, std::int64_t, const Real*,     \
                                                      const Real*, const Real*, const Real*,       \
                                                      const Real*, const Real*, Real*);            \
  template void CudaBackend<Real>::activation(Activation, std::int64_t, const Real*, Real*);       \
  template void CudaBackend<Real>::activation_backward(                                            \
      Activation, std::int64_t, std::int64_t, const Real*, const Real*, const Real*, Real*);       \
  template void CudaBackend<Real>::sum_rows(RaggedView, std::int64_t, int, std::int64_t,           \
                                            const Real*, Real*);                                   \
  template void CudaBackend<Real>::sum_rows_normalised(                                            \
      RaggedView, std::int64_t, int, std::int64_t, const Real*, const Real*, const Real*, Real*);
NTK_INSTANTIATE(float)
NTK_INSTANTIATE(double)
#undef NTK_INSTANTIATE

}  // namespace ntk::device::cuda
