// Structured contraction block by block on the CPU, for any way to multiply rows.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "device/cpu/cpu_backend.hpp"
#include "device/kernels/structured.hpp"

namespace ntk::device::cpu {

// Backend::contract_structured, with multiply(m, n, width, x, y, c): c (m x n) = x (m x width)
// times the transpose of y (n x width).
template <class Real, class Multiply>
void contract_blocks(int threads, std::span<const typename Backend<Real>::StructuredBlock> blocks,
                     int copies, std::int64_t inputs, std::int64_t outputs, std::int64_t p_stride,
                     std::int64_t q_stride, bool class_diagonal, Multiply multiply) {
  parallel_for(threads, static_cast<std::int64_t>(blocks.size()), [&](std::int64_t at) {
    const auto& b = blocks[static_cast<std::size_t>(at)];
    const std::int64_t* po = b.p.samples.offsets;
    const std::int64_t* qo = b.q.samples.offsets;
    const std::int64_t p0 = po[0], q0 = qo[0];
    const std::int64_t m = b.p.samples.rows(), n = b.q.samples.rows();
    thread_local std::vector<Real> aa, gg;
    thread_local std::vector<double> w;
    aa.resize(static_cast<std::size_t>(m * n));
    gg.resize(static_cast<std::size_t>(m * n));
    w.resize(static_cast<std::size_t>(n));
    multiply(m, n, inputs, b.p.activations + p0 * inputs, b.q.activations + q0 * inputs, aa.data());
    for (int c = 0; c < copies; ++c) {
      for (int d = class_diagonal ? c : 0; d < (class_diagonal ? c + 1 : copies); ++d) {
        multiply(m, n, outputs, b.p.cotangents + (c * b.p.rows + p0) * outputs,
                 b.q.cotangents + (d * b.q.rows + q0) * outputs, gg.data());
        const std::int64_t row0 = (class_diagonal ? 0 : c * p_stride) + b.i0;
        const std::int64_t column0 = (class_diagonal ? 0 : d * q_stride) + b.j0;
        for (std::int64_t i = 0; i < b.p.samples.samples; ++i) {
          std::fill(w.begin(), w.end(), 0.0);
          kernels::multiply_sum_columns(po[i + 1] - po[i], n, n, aa.data() + (po[i] - p0) * n,
                                        gg.data() + (po[i] - p0) * n, w.data());
          for (std::int64_t j = 0; j < b.q.samples.samples; ++j) {
            const double sum = kernels::sum_columns(w.data(), qo[j] - q0, qo[j + 1] - q0);
            b.tile[(row0 + i) * b.ld + column0 + j] += sum;
            if (b.mirror) b.tile[(column0 + j) * b.ld + row0 + i] += sum;
          }
        }
      }
    }
  });
}

}  // namespace ntk::device::cpu
