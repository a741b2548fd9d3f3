// CpuBackend: forming gradients and contracting them.
#include <algorithm>
#include <vector>

#include "device/cpu/blas.hpp"
#include "device/cpu/cpu_backend.hpp"
#include "device/cpu/form_sample.hpp"
#include "device/cpu/row_product.hpp"
#include "device/cpu/structured_blocks.hpp"
#include "device/kernels/matches.hpp"
#include "device/kernels/rows.hpp"

namespace ntk::device::cpu {
namespace {
using Team = kernels::SingleThread;
}

template <class Real>
std::int64_t CpuBackend<Real>::operand_bytes(std::int64_t rows, std::int64_t columns) const {
  return rows * columns * static_cast<std::int64_t>(sizeof(Real));
}

template <class Real>
void CpuBackend<Real>::form(const FactorView<Real>& f, int copies, std::int64_t inputs,
                            std::int64_t outputs, std::int64_t first, std::int64_t count,
                            const Operands& to, int slot) {
  Real* rows = panel<Real>(to, slot);
  parallel_for(threads_, copies * f.samples.samples, [&](std::int64_t ci) {
    const std::int64_t c = ci / f.samples.samples, i = ci % f.samples.samples;
    const std::int64_t row = f.samples.offsets[i];
    form_sample<kernels::WholeNumbers<Real>>(
        f.samples.offsets[i + 1] - row, count, f.cotangents + (c * f.rows + row) * outputs + first,
        outputs, f.activations + row * inputs, inputs, rows + ci * to.columns, {to.columns, 0});
  });
}

template <class Real>
void CpuBackend<Real>::put_rows(std::int64_t rows, const Real* x, const Operands& to, int slot) {
  std::copy(x, x + rows * to.columns, panel<Real>(to, slot));
}

template <class Real>
void CpuBackend<Real>::contract(const Operands& operands,
                                std::span<const typename Backend<Real>::Product> products) {
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
    return p.m * p.n / (p.of->symmetric && p.i == p.j ? 2 : 1);
  };
  // The largest first, so that threads end together.
  std::stable_sort(pieces.begin(), pieces.end(),
                   [&](const Piece& a, const Piece& b) { return work(a) > work(b); });
  parallel_for(threads_, static_cast<std::int64_t>(pieces.size()), [&](std::int64_t at) {
    const Piece& piece = pieces[static_cast<std::size_t>(at)];
    const auto& p = *piece.of;
    const std::int64_t k = operands.columns;
    row_product(piece.m, piece.n, k, operands.chunk,
                panel<const Real>(operands, p.p) + (p.p_row + piece.i) * k, k,
                panel<const Real>(operands, p.q) + (p.q_row + piece.j) * k, k,
                p.symmetric && piece.i == piece.j, p.tile + piece.i * p.ld + piece.j, p.ld);
  });
}

template <class Real>
void CpuBackend<Real>::contract_structured(
    std::span<const typename Backend<Real>::StructuredBlock> blocks, int copies,
    std::int64_t inputs, std::int64_t outputs, std::int64_t p_stride, std::int64_t q_stride,
    bool class_diagonal) {
  contract_blocks<Real>(
      threads_, blocks, copies, inputs, outputs, p_stride, q_stride, class_diagonal,
      [](std::int64_t m, std::int64_t n, std::int64_t width, const Real* x, const Real* y,
         Real* c) { cpu::gemm(true, m, n, width, x, width, y, width, Real(0), c, n); });
}

template <class Real>
void CpuBackend<Real>::sum_entries(std::int64_t entries, const std::int64_t* first,
                                   const std::int64_t* rows, std::int64_t total_rows, int copies,
                                   std::int64_t width, const Real* dy, Real* d) {
  parallel_for(threads_, copies * entries, [&](std::int64_t ce) {
    const std::int64_t c = ce / entries, e = ce % entries;
    kernels::sum_of_listed_rows(Team{}, rows + first[e], first[e + 1] - first[e], width,
                                dy + c * total_rows * width, d + ce * width);
  });
}

template <class Real>
void CpuBackend<Real>::contract_matches(std::span<const typename Backend<Real>::MatchBlock> blocks,
                                        std::int64_t width) {
  for (const auto& b : blocks) {
    const auto entries = [&](const typename Backend<Real>::MatchSide& side, std::int64_t sample) {
      const std::int64_t first = side.first[sample];
      return kernels::SampleEntries<Real>{side.ids + first, side.sums + first * width,
                                          side.first[sample + 1] - first};
    };
    parallel_for(threads_, b.p.samples, [&](std::int64_t i) {
      for (std::int64_t j = 0; j < b.q.samples; ++j) {
        b.tile[i * b.ld + j] +=
            kernels::match_samples(Team{}, entries(b.p, i), entries(b.q, j), width);
      }
    });
  }
}

#define NTK_INSTANTIATE(Real)                                                                    \
  template std::int64_t CpuBackend<Real>::operand_bytes(std::int64_t, std::int64_t) const;       \
  template void CpuBackend<Real>::form(const FactorView<Real>&, int, std::int64_t, std::int64_t, \
                                       std::int64_t, std::int64_t, const Operands&, int);        \
  template void CpuBackend<Real>::put_rows(std::int64_t, const Real*, const Operands&, int);     \
  template void CpuBackend<Real>::contract(const Operands&,                                      \
                                           std::span<const Backend<Real>::Product>);             \
  template void CpuBackend<Real>::contract_structured(                                           \
      std::span<const Backend<Real>::StructuredBlock>, int, std::int64_t, std::int64_t,          \
      std::int64_t, std::int64_t, bool);                                                         \
  template void CpuBackend<Real>::sum_entries(std::int64_t, const std::int64_t*,                 \
                                              const std::int64_t*, std::int64_t, int,            \
                                              std::int64_t, const Real*, Real*);                 \
  template void CpuBackend<Real>::contract_matches(std::span<const Backend<Real>::MatchBlock>,   \
                                                   std::int64_t);
NTK_INSTANTIATE(float)
NTK_INSTANTIATE(double)
#undef NTK_INSTANTIATE

}  // namespace ntk::device::cpu
