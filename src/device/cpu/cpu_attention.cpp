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

// rows (n x h of a wider matrix) transposed to h x n.
template <class Real>
const Real* transposed(const Real* rows, const kernels::Head<Real>& a, std::vector<Real>& out) {
  out.resize(static_cast<std::size_t>(a.h * a.keys));
  for (std::int64_t j = 0; j < a.keys; ++j) {
    for (std::int64_t e = 0; e < a.h; ++e) {
      out[static_cast<std::size_t>(e * a.keys + j)] = rows[j * a.width + e];
    }
  }
  return out.data();
}

}  // namespace

template <class Real>
void CpuBackend<Real>::attention(RaggedView q_rows, RaggedView k_rows, int heads,
                                 std::int64_t width, const Real* q, const Real* k, const Real* v,
                                 Real* y) {
  parallel_for(threads_, q_rows.samples * heads, [&](std::int64_t sh) {
    const std::int64_t s = sh / heads;
    const auto a = head_of<Real>(q_rows, k_rows, s, heads, width);
    const std::int64_t column = (sh % heads) * a.h;
    const std::int64_t q0 = q_rows.offsets[s] * width + column;
    const std::int64_t k0 = k_rows.offsets[s] * width + column;
    thread_local std::vector<double> p;
    thread_local std::vector<Real> kt;
    p.resize(static_cast<std::size_t>(a.keys));
    const Real* kt_data = transposed(k + k0, a, kt);
    for (std::int64_t i = 0; i < a.queries; ++i) {
      Real* out = y + q0 + i * width;
      kernels::score_row(Team{}, a, q + q0 + i * width, kt_data, false, p.data());
      kernels::softmax_row(Team{}, a.keys, p.data());
      std::fill(out, out + a.h, Real(0));
      kernels::combine_rows(Team{}, a, p.data(), v + k0, out);
    }
  });
}

template <class Real>
void CpuBackend<Real>::attention_backward(RaggedView q_rows, RaggedView k_rows, int heads,
                                          std::int64_t width, int copies, const Real* q,
                                          const Real* k, const Real* v, const Real* dy, Real* dq,
                                          Real* dk, Real* dv) {
  const std::int64_t q_total = q_rows.offsets[q_rows.samples] * width;
  const std::int64_t k_total = k_rows.offsets[k_rows.samples] * width;
  parallel_for(threads_, q_rows.samples * heads, [&](std::int64_t sh) {
    const std::int64_t s = sh / heads;
    const auto a = head_of<Real>(q_rows, k_rows, s, heads, width);
    kernels::Head<Real> plain = a;  // products with values carry no scale
    plain.scale = 1;
    const std::int64_t column = (sh % heads) * a.h;
    const std::int64_t q0 = q_rows.offsets[s] * width + column;
    const std::int64_t k0 = k_rows.offsets[s] * width + column;
    thread_local std::vector<double> p, w;
    thread_local std::vector<Real> kt, vt;
    p.resize(static_cast<std::size_t>(a.keys));
    w.resize(static_cast<std::size_t>(a.keys));
    const Real* kt_data = transposed(k + k0, a, kt);
    const Real* vt_data = transposed(v + k0, a, vt);
    for (std::int64_t i = 0; i < a.queries; ++i) {
      const std::int64_t qi = q0 + i * width;
      kernels::score_row(Team{}, a, q + qi, kt_data, false, p.data());
      kernels::softmax_row(Team{}, a.keys, p.data());
      for (int c = 0; c < copies; ++c) {
        const Real* dyi = dy + c * q_total + qi;
        kernels::spread_row(Team{}, a, p.data(), dyi, dv + c * k_total + k0);
        kernels::score_row(Team{}, plain, dyi, vt_data, false, w.data());
        kernels::softmax_derivative_row(Team{}, a.keys, p.data(), w.data());
        for (double& x : w) x *= static_cast<double>(a.scale);
        kernels::combine_rows(Team{}, a, w.data(), k + k0, dq + c * q_total + qi);
        kernels::spread_row(Team{}, a, w.data(), q + qi, dk + c * k_total + k0);
      }
    }
  });
}

template <class Real>
void CpuBackend<Real>::attention_tangent(RaggedView q_rows, RaggedView k_rows, int heads,
                                         std::int64_t width, const Real* q, const Real* k,
                                         const Real* v, const Real* dq, const Real* dk,
                                         const Real* dv, Real* dy) {
  parallel_for(threads_, q_rows.samples * heads, [&](std::int64_t sh) {
    const std::int64_t s = sh / heads;
    const auto a = head_of<Real>(q_rows, k_rows, s, heads, width);
    const std::int64_t column = (sh % heads) * a.h;
    const std::int64_t q0 = q_rows.offsets[s] * width + column;
    const std::int64_t k0 = k_rows.offsets[s] * width + column;
    thread_local std::vector<double> p, w;
    thread_local std::vector<Real> kt, dkt;
    p.resize(static_cast<std::size_t>(a.keys));
    w.resize(static_cast<std::size_t>(a.keys));
    const Real* kt_data = transposed(k + k0, a, kt);
    const Real* dkt_data = transposed(dk + k0, a, dkt);
    for (std::int64_t i = 0; i < a.queries; ++i) {
      const std::int64_t qi = q0 + i * width;
      kernels::score_row(Team{}, a, q + qi, kt_data, false, p.data());
      kernels::softmax_row(Team{}, a.keys, p.data());
      kernels::score_row(Team{}, a, dq + qi, kt_data, false, w.data());
      kernels::score_row(Team{}, a, q + qi, dkt_data, true, w.data());
      kernels::softmax_derivative_row(Team{}, a.keys, p.data(), w.data());
      kernels::combine_rows(Team{}, a, w.data(), v + k0, dy + qi);
      kernels::combine_rows(Team{}, a, p.data(), dv + k0, dy + qi);
    }
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
