// CpuBackend: forming gradients and contracting them.
#include <algorithm>
#include <vector>

#include "device/cpu/blas.hpp"
#include "device/cpu/cpu_backend.hpp"
#include "device/cpu/row_product.hpp"
#include "device/kernels/form.hpp"

namespace ntk::device::cpu {
namespace {

// w[s] += sum over rows t of a (rows x n) of a[t, s] g[t, s], in fp64.
template <class Real>
void multiply_sum_columns(std::int64_t rows, std::int64_t n, std::int64_t ld, const Real* a,
                          const Real* g, double* w) {
  for (std::int64_t t = 0; t < rows; ++t) {
    const Real* at = a + t * ld;
    const Real* gt = g + t * ld;
#pragma omp simd
    for (std::int64_t s = 0; s < n; ++s) {
      w[s] += static_cast<double>(at[s]) * static_cast<double>(gt[s]);
    }
  }
}

}  // namespace

template <class Real>
void CpuBackend<Real>::form(const FactorView<Real>& f, int copies, std::int64_t inputs,
                            std::int64_t outputs, std::int64_t first, std::int64_t count, Real* j,
                            std::int64_t ldj) {
  parallel_for(threads_, copies * f.samples.samples, [&](std::int64_t ci) {
    const std::int64_t c = ci / f.samples.samples, i = ci % f.samples.samples;
    const std::int64_t row = f.samples.offsets[i];
    kernels::form_sample(f.samples.offsets[i + 1] - row, count,
                         f.cotangents + (c * f.rows + row) * outputs + first, outputs,
                         f.activations + row * inputs, inputs, j + ci * ldj);
  });
}

template <class Real>
void CpuBackend<Real>::contract(std::span<const typename Backend<Real>::Product> products,
                                std::int64_t chunk) {
  // Pieces of at most this many rows a side: their packed chunks stay in a core's cache.
  constexpr std::int64_t side = 288, least = 128, unit = 32;
  struct Piece {
    const typename Backend<Real>::Product* of;
    std::int64_t i, m, j, n;
  };
  const auto cut = [](std::int64_t rows) {  // near-equal sides, and work for more than one thread
    const std::int64_t parts =
        std::max((rows + side - 1) / side, std::min<std::int64_t>(2, (rows + least - 1) / least));
    return ((rows + parts - 1) / parts + unit - 1) / unit * unit;
  };
  std::vector<Piece> pieces;
  for (const auto& p : products) {
    const std::int64_t rows = cut(p.m), columns = cut(p.n);
    for (std::int64_t i = 0; i < p.m; i += rows) {
      for (std::int64_t j = 0; j < (p.symmetric ? i + 1 : p.n); j += columns) {
        pieces.push_back({&p, i, std::min(rows, p.m - i), j, std::min(columns, p.n - j)});
      }
    }
  }
  const auto work = [](const Piece& p) {
    return p.of->k * p.m * p.n / (p.of->symmetric && p.i == p.j ? 2 : 1);
  };
  // The largest first, so that threads end together.
  std::stable_sort(pieces.begin(), pieces.end(),
                   [&](const Piece& a, const Piece& b) { return work(a) > work(b); });
  parallel_for(threads_, static_cast<std::int64_t>(pieces.size()), [&](std::int64_t at) {
    const Piece& piece = pieces[static_cast<std::size_t>(at)];
    const auto& p = *piece.of;
    row_product(piece.m, piece.n, p.k, chunk, p.a + piece.i * p.lda, p.lda, p.b + piece.j * p.ldb,
                p.ldb, p.symmetric && piece.i == piece.j, p.tile + piece.i * p.ld + piece.j, p.ld);
  });
}

template <class Real>
void CpuBackend<Real>::contract_structured(
    std::span<const typename Backend<Real>::StructuredBlock> blocks, int copies,
    std::int64_t inputs, std::int64_t outputs, std::int64_t p_stride, std::int64_t q_stride,
    bool class_diagonal) {
  parallel_for(threads_, static_cast<std::int64_t>(blocks.size()), [&](std::int64_t at) {
    const auto& b = blocks[static_cast<std::size_t>(at)];
    const std::int64_t* po = b.p.samples.offsets;
    const std::int64_t* qo = b.q.samples.offsets;
    const std::int64_t p0 = po[0], q0 = qo[0];
    const std::int64_t m = po[b.p.samples.samples] - p0, n = qo[b.q.samples.samples] - q0;
    thread_local std::vector<Real> aa, gg;
    thread_local std::vector<double> w;
    aa.resize(static_cast<std::size_t>(m * n));
    gg.resize(static_cast<std::size_t>(m * n));
    w.resize(static_cast<std::size_t>(n));
    cpu::gemm(true, m, n, inputs, b.p.activations + p0 * inputs, inputs,
              b.q.activations + q0 * inputs, inputs, Real(0), aa.data(), n);
    for (int c = 0; c < copies; ++c) {
      for (int d = class_diagonal ? c : 0; d < (class_diagonal ? c + 1 : copies); ++d) {
        cpu::gemm(true, m, n, outputs, b.p.cotangents + (c * b.p.rows + p0) * outputs, outputs,
                  b.q.cotangents + (d * b.q.rows + q0) * outputs, outputs, Real(0), gg.data(), n);
        const std::int64_t row0 = (class_diagonal ? 0 : c * p_stride) + b.i0;
        const std::int64_t column0 = (class_diagonal ? 0 : d * q_stride) + b.j0;
        for (std::int64_t i = 0; i < b.p.samples.samples; ++i) {
          std::fill(w.begin(), w.end(), 0.0);
          multiply_sum_columns(po[i + 1] - po[i], n, n, aa.data() + (po[i] - p0) * n,
                               gg.data() + (po[i] - p0) * n, w.data());
          for (std::int64_t j = 0; j < b.q.samples.samples; ++j) {
            double sum = 0;
            for (std::int64_t s = qo[j] - q0; s < qo[j + 1] - q0; ++s) {
              sum += w[static_cast<std::size_t>(s)];
            }
            b.tile[(row0 + i) * b.ld + column0 + j] += sum;
            if (b.mirror) b.tile[(column0 + j) * b.ld + row0 + i] += sum;
          }
        }
      }
    }
  });
}

template <class Real>
void CpuBackend<Real>::sum_entries(std::int64_t entries, const std::int64_t* first,
                                   const std::int64_t* rows, std::int64_t total_rows, int copies,
                                   std::int64_t width, const Real* dy, Real* d) {
  parallel_for(threads_, copies * entries, [&](std::int64_t ce) {
    const std::int64_t c = ce / entries, e = ce % entries;
    Real* to = d + ce * width;
    std::fill(to, to + width, Real(0));
    for (std::int64_t at = first[e]; at < first[e + 1]; ++at) {
      const Real* from = dy + (c * total_rows + rows[at]) * width;
#pragma omp simd
      for (std::int64_t i = 0; i < width; ++i) to[i] += from[i];
    }
  });
}

template <class Real>
void CpuBackend<Real>::contract_matches(std::span<const typename Backend<Real>::MatchBlock> blocks,
                                        std::int64_t width) {
  parallel_for(threads_, static_cast<std::int64_t>(blocks.size()), [&](std::int64_t at) {
    const auto& b = blocks[static_cast<std::size_t>(at)];
    thread_local std::vector<Real> products;
    for (const auto& run : b.runs) {
      const std::int64_t m = run.p_last - run.p_first, n = run.q_last - run.q_first;
      products.resize(static_cast<std::size_t>(m * n));
      cpu::gemm(true, m, n, width, b.p + run.p_first * width, width, b.q + run.q_first * width,
                width, Real(0), products.data(), n);
      for (std::int64_t e = 0; e < m; ++e) {
        double* to = b.tile + b.p_sample[run.p_first + e] * b.ld;
        for (std::int64_t f = 0; f < n; ++f) {
          to[b.q_sample[run.q_first + f]] +=
              static_cast<double>(products[static_cast<std::size_t>(e * n + f)]);
        }
      }
    }
  });
}

#define NTK_INSTANTIATE(Real)                                                                      \
  template void CpuBackend<Real>::form(const FactorView<Real>&, int, std::int64_t, std::int64_t,   \
                                       std::int64_t, std::int64_t, Real*, std::int64_t);           \
  template void CpuBackend<Real>::contract(std::span<const Backend<Real>::Product>, std::int64_t); \
  template void CpuBackend<Real>::contract_structured(                                             \
      std::span<const Backend<Real>::StructuredBlock>, int, std::int64_t, std::int64_t,            \
      std::int64_t, std::int64_t, bool);                                                           \
  template void CpuBackend<Real>::sum_entries(std::int64_t, const std::int64_t*,                   \
                                              const std::int64_t*, std::int64_t, int,              \
                                              std::int64_t, const Real*, Real*);                   \
  template void CpuBackend<Real>::contract_matches(std::span<const Backend<Real>::MatchBlock>,     \
                                                   std::int64_t);
NTK_INSTANTIATE(float)
NTK_INSTANTIATE(double)
#undef NTK_INSTANTIATE

}  // namespace ntk::device::cpu
