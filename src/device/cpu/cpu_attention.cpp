// CpuBackend: attention, one (sample, head) a task.
#include <algorithm>
#include <cmath>
#include <vector>

#include "device/cpu/cpu_backend.hpp"
#include "device/kernels/attention.hpp"

namespace ntk::device::cpu {
namespace {

using Team = kernels::SingleThread;

template <class Real>
kernels::Head<Real> head_of(RaggedView q, RaggedView k, std::int64_t s, int heads,
                            std::int64_t width) {
  const std::int64_t h = width / heads;
  return {q.offsets[s + 1] - q.offsets[s], k.offsets[s + 1] - k.offsets[s], h, width,
          Real(1) / std::sqrt(static_cast<Real>(h))};
}

// Scratch of the calling thread, large enough for `keys` keys.
template <class Real>
kernels::AttentionScratch<Real> scratch_of(const kernels::Head<Real>& a) {
  thread_local std::vector<double> rows;
  thread_local std::vector<Real> matrices;
  rows.resize(static_cast<std::size_t>(2 * a.keys));
  matrices.resize(static_cast<std::size_t>(2 * a.h * a.keys));
  return {rows.data(), rows.data() + a.keys, matrices.data(), matrices.data() + a.h * a.keys};
}

// body(head, query, key): numbers of the head's shape and where its first query and key lie.
template <class Real, class Body>
void for_each_head(int threads, RaggedView q, RaggedView k, int heads, std::int64_t width,
                   Body body) {
  parallel_for(threads, q.samples * heads, [&](std::int64_t sh) {
    const std::int64_t s = sh / heads;
    const auto a = head_of<Real>(q, k, s, heads, width);
    const std::int64_t column = (sh % heads) * a.h;
    body(a, q.offsets[s] * width + column, k.offsets[s] * width + column);
  });
}

}  // namespace

template <class Real>
void CpuBackend<Real>::attention(RaggedView q_rows, RaggedView k_rows, int heads,
                                 std::int64_t width, const Real* q, const Real* k, const Real* v,
                                 Real* y) {
  for_each_head<Real>(
      threads_, q_rows, k_rows, heads, width, [&](const auto& a, std::int64_t q0, std::int64_t k0) {
        kernels::attention_head(Team{}, a, q + q0, k + k0, v + k0, y + q0, scratch_of(a));
      });
}

template <class Real>
void CpuBackend<Real>::attention_backward(RaggedView q_rows, RaggedView k_rows, int heads,
                                          std::int64_t width, int copies, const Real* q,
                                          const Real* k, const Real* v, const Real* dy, Real* dq,
                                          Real* dk, Real* dv) {
  const std::int64_t q_total = q_rows.rows() * width, k_total = k_rows.rows() * width;
  for_each_head<Real>(
      threads_, q_rows, k_rows, heads, width, [&](const auto& a, std::int64_t q0, std::int64_t k0) {
        kernels::attention_head_backward(Team{}, a, copies, q_total, k_total, q + q0, k + k0,
                                         v + k0, dy + q0, dq + q0, dk + k0, dv + k0, scratch_of(a));
      });
}

template <class Real>
void CpuBackend<Real>::attention_tangent(RaggedView q_rows, RaggedView k_rows, int heads,
                                         std::int64_t width, const Real* q, const Real* k,
                                         const Real* v, const Real* dq, const Real* dk,
                                         const Real* dv, Real* dy) {
  for_each_head<Real>(threads_, q_rows, k_rows, heads, width,
                      [&](const auto& a, std::int64_t q0, std::int64_t k0) {
                        kernels::attention_head_tangent(Team{}, a, q + q0, k + k0, v + k0, dq + q0,
                                                        dk + k0, dv + k0, dy + q0, scratch_of(a));
                      });
}

#define NTK_INSTANTIATE(Real)                                                                    \
  template void CpuBackend<Real>::attention(RaggedView, RaggedView, int, std::int64_t,           \
                                            const Real*, const Real*, const Real*, Real*);       \
  template void CpuBackend<Real>::attention_backward(RaggedView, RaggedView, int, std::int64_t,  \
                                                     int, const Real*, const Real*, const Real*, \
                                                     const Real*, Real*, Real*, Real*);          \
  template void CpuBackend<Real>::attention_tangent(RaggedView, RaggedView, int, std::int64_t,   \
                                                    const Real*, const Real*, const Real*,       \
                                                    const Real*, const Real*, const Real*, Real*);
NTK_INSTANTIATE(float)
NTK_INSTANTIATE(double)
#undef NTK_INSTANTIATE

}  // namespace ntk::device::cpu
