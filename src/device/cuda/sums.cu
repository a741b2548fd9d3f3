#include "device/cuda/sums.hpp"

#include "device/cuda/launch.hpp"
#include "device/kernels/structured.hpp"

namespace ntk::device::cuda {

template <class Real>
void add_to_tiles(cudaStream_t stream, const TileBatch& tiles, const Real* products) {
  const TileBatch t = tiles;
  // 32-bit divisions: they take a good part of the time. A tile has less than 2^32 entries.
  const auto n = static_cast<std::uint32_t>(t.n), mn = static_cast<std::uint32_t>(t.m * t.n);
  for_each_thread(stream, t.count * t.m * t.n, [=] __device__(std::int64_t item) {
    const auto entry = static_cast<std::uint32_t>(item), at = entry % mn;
    t.data[entry / mn][at / n * t.ld + at % n] += static_cast<double>(products[item]);
  });
}

template <class Real>
void sum_tokens(cudaStream_t stream, RaggedView p, RaggedView q, const Real* aa, const Real* gg,
                double* w, double* to, double* to_mirror, std::int64_t ld) {
  const std::int64_t n = q.rows(), p0 = p.host[0], q0 = q.host[0];
  for_each_thread(stream, p.samples * n, [=] __device__(std::int64_t item) {
    const std::int64_t i = item / n, s = item % n, t = p.offsets[i] - p0;
    double sum = 0;
    kernels::multiply_sum_columns(p.offsets[i + 1] - p.offsets[i], 1, n, aa + t * n + s,
                                  gg + t * n + s, &sum);
    w[item] = sum;
  });
  for_each_thread(stream, p.samples * q.samples, [=] __device__(std::int64_t item) {
    const std::int64_t i = item / q.samples, j = item % q.samples;
    const double sum = kernels::sum_columns(w + i * n, q.offsets[j] - q0, q.offsets[j + 1] - q0);
    to[i * ld + j] += sum;
    if (to_mirror != nullptr) to_mirror[j * ld + i] += sum;
  });
}

#define NTK_INSTANTIATE(Real)                                                              \
  template void add_to_tiles(cudaStream_t, const TileBatch&, const Real*);                 \
  template void sum_tokens(cudaStream_t, RaggedView, RaggedView, const Real*, const Real*, \
                           double*, double*, double*, std::int64_t);
NTK_INSTANTIATE(float)
NTK_INSTANTIATE(double)
#undef NTK_INSTANTIATE

}  // namespace ntk::device::cuda
