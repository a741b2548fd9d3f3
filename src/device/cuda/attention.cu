// CudaBackend: attention, one warp a head of a sample. The arithmetic is in device/kernels.
#include <cmath>

#include "device/cuda/cuda_backend.hpp"
#include "device/cuda/launch.hpp"
#include "device/kernels/attention.hpp"

namespace ntk::device::cuda {
namespace {

// All heads of a batch: their shapes, and scratch for every one at a time.
template <class Real>
struct Heads {
  RaggedView q_rows, k_rows;
  std::int64_t width, key_total, key_first;
  int heads;
  double* rows;
  Real* matrices;

  __device__ kernels::Head<Real> shape(std::int64_t sh) const {
    const std::int64_t s = sh / heads, h = width / heads;
    return {q_rows.offsets[s + 1] - q_rows.offsets[s], k_rows.offsets[s + 1] - k_rows.offsets[s], h,
            width, Real(1) / std::sqrt(static_cast<Real>(h))};
  }
  __device__ std::int64_t query(std::int64_t sh) const {
    return q_rows.offsets[sh / heads] * width + (sh % heads) * (width / heads);
  }
  __device__ std::int64_t key(std::int64_t sh) const {
    return k_rows.offsets[sh / heads] * width + (sh % heads) * (width / heads);
  }
  __device__ kernels::AttentionScratch<Real> scratch(std::int64_t sh) const {
    const std::int64_t s = sh / heads, head = sh % heads, h = width / heads;
    const std::int64_t keys = k_rows.offsets[s + 1] - k_rows.offsets[s];
    const std::int64_t first = k_rows.offsets[s] - key_first;  // keys of samples before
    double* p = rows + 2 * (first * heads + head * keys);
    Real* m = matrices + 2 * (first * width + head * keys * h);
    return {p, p + keys, m, m + keys * h};
  }
};

// The memory behind Heads.
template <class Real>
struct HeadsMemory {
  Array<double, Real> rows;
  Array<Real, Real> matrices;
  Heads<Real> heads;

  HeadsMemory(Backend<Real>& backend, RaggedView q, RaggedView k, int count, std::int64_t width)
      : rows(backend, 2 * k.rows() * count),
        matrices(backend, 2 * k.rows() * width),
        heads{q, k, width, k.rows(), k.host[0], count, rows.data(), matrices.data()} {}
};

}  // namespace

template <class Real>
void CudaBackend<Real>::attention(RaggedView q_rows, RaggedView k_rows, int heads,
                                  std::int64_t width, const Real* q, const Real* k, const Real* v,
                                  Real* y) {
  const HeadsMemory<Real> memory(*this, q_rows, k_rows, heads, width);
  const Heads<Real> all = memory.heads;
  for_each_warp(stream_, q_rows.samples * heads, [=] __device__(auto team, std::int64_t sh) {
    const std::int64_t q0 = all.query(sh), k0 = all.key(sh);
    kernels::attention_head(team, all.shape(sh), q + q0, k + k0, v + k0, y + q0, all.scratch(sh));
  });
}

template <class Real>
void CudaBackend<Real>::attention_backward(RaggedView q_rows, RaggedView k_rows, int heads,
                                           std::int64_t width, int copies, const Real* q,
                                           const Real* k, const Real* v, const Real* dy, Real* dq,
                                           Real* dk, Real* dv) {
  const HeadsMemory<Real> memory(*this, q_rows, k_rows, heads, width);
  const Heads<Real> all = memory.heads;
  const std::int64_t q_total = q_rows.rows() * width, k_total = k_rows.rows() * width;
  for_each_warp(stream_, q_rows.samples * heads, [=] __device__(auto team, std::int64_t sh) {
    const std::int64_t q0 = all.query(sh), k0 = all.key(sh);
    kernels::attention_head_backward(team, all.shape(sh), copies, q_total, k_total, q + q0, k + k0,
                                     v + k0, dy + q0, dq + q0, dk + k0, dv + k0, all.scratch(sh));
  });
}

template <class Real>
void CudaBackend<Real>::attention_tangent(RaggedView q_rows, RaggedView k_rows, int heads,
                                          std::int64_t width, const Real* q, const Real* k,
                                          const Real* v, const Real* dq, const Real* dk,
                                          const Real* dv, Real* dy) {
  const HeadsMemory<Real> memory(*this, q_rows, k_rows, heads, width);
  const Heads<Real> all = memory.heads;
  for_each_warp(stream_, q_rows.samples * heads, [=] __device__(auto team, std::int64_t sh) {
    const std::int64_t q0 = all.query(sh), k0 = all.key(sh);
    kernels::attention_head_tangent(team, all.shape(sh), q + q0, k + k0, v + k0, dq + q0, dk + k0,
                                    dv + k0, dy + q0, all.scratch(sh));
  });
}

#define NTK_INSTANTIATE(Real)                                                                     \
  template void CudaBackend<Real>::attention(RaggedView, RaggedView, int, std::int64_t,           \
                                             const Real*, const Real*, const Real*, Real*);       \
  template void CudaBackend<Real>::attention_backward(RaggedView, RaggedView, int, std::int64_t,  \
                                                      int, const Real*, const Real*, const Real*, \
                                                      const Real*, Real*, Real*, Real*);          \
  template void CudaBackend<Real>::attention_tangent(                                             \
      RaggedView, RaggedView, int, std::int64_t, const Real*, const Real*, const Real*,           \
      const Real*, const Real*, const Real*, Real*);
NTK_INSTANTIATE(float)
NTK_INSTANTIATE(double)
#undef NTK_INSTANTIATE

}  // namespace ntk::device::cuda
