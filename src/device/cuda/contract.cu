// CudaBackend: forming gradients and contracting those of tables. The arithmetic is in
// device/kernels.
#include <bit>

#include "device/cuda/cuda_backend.hpp"
#include "device/cuda/launch.hpp"
#include "device/kernels/form.hpp"
#include "device/kernels/matches.hpp"
#include "device/kernels/operand.hpp"
#include "device/kernels/pack.hpp"
#include "device/kernels/rows.hpp"

namespace ntk::device::cuda {
namespace {

kernels::OperandColumns columns_of(const Operands& operands) {
  return {operands.columns, std::countr_zero(static_cast<std::uint64_t>(operands.chunk))};
}

// A thread makes `outputs_each` outputs x `lanes` neighbouring inputs of one row's gradient. The
// threads of a warp lie side by side along the inputs, so that they share the outputs' cotangents;
// the warps of a block along the outputs, so that they share activations.
constexpr int outputs_each = 8;

template <class Format, int lanes, class Real>
void run_form(cudaStream_t stream, const FactorView<Real>& f, int copies, std::int64_t inputs,
              std::int64_t outputs, std::int64_t first, std::int64_t count,
              typename Format::Number* rows, const kernels::OperandColumns& at) {
  using Lane = kernels::Pack<Real, lanes>;
  const auto input_blocks =
      static_cast<std::uint32_t>((inputs + warp_size * lanes - 1) / (warp_size * lanes));
  const auto output_blocks = static_cast<std::uint32_t>((count + outputs_each - 1) / outputs_each);
  const std::int64_t samples = f.samples.samples;
  for_each_thread(stream, copies * samples * input_blocks * output_blocks * warp_size,
                  [=] __device__(std::int64_t item) {
                    const auto lane = static_cast<std::uint32_t>(item % warp_size);
                    auto rest = static_cast<std::uint32_t>(item / warp_size);
                    const std::uint32_t o = rest % output_blocks * outputs_each;
                    rest /= output_blocks;
                    const std::int64_t i = (rest % input_blocks * warp_size + lane) * lanes;
                    const std::int64_t row = rest / input_blocks;
                    if (i >= inputs) return;
                    const std::int64_t c = row / samples, sample = row % samples;
                    const std::int64_t token = f.samples.offsets[sample];
                    const std::int64_t tokens = f.samples.offsets[sample + 1] - token;
                    const int left = static_cast<int>(count - o);  // outputs
                    const Real* g = f.cotangents + (c * f.rows + token) * outputs + first + o;
                    typename Format::Number* to = rows + row * at.columns * Format::runs;
                    kernels::form_block<Lane, outputs_each, 1>(
                        tokens, g, outputs, f.activations + token * inputs + i, inputs,
                        [](const Real* from) { return kernels::load_pack<Real, lanes>(from); },
                        [=](const Real* from, Real* y) {
                          for (int r = 0; r < outputs_each;
                               r += lanes) {  // aligned like the activations
                            Lane pack{};
                            if (r < left) pack = kernels::load_pack<Real, lanes>(from + r);
                            for (int l = 0; l < lanes; ++l) y[r + l] = pack.x[l];
                          }
                        },
                        [=](int r, int, const Lane& x) {
                          if (r < left)
                            Format::template put<lanes>(to, at, (o + r) * inputs + i, x.x);
                        });
                  });
}

}  // namespace

template <class Real>
void CudaBackend<Real>::form(const FactorView<Real>& f, int copies, std::int64_t inputs,
                             std::int64_t outputs, std::int64_t first, std::int64_t count,
                             const Operands& to, int slot) {
  constexpr int wide = 16 / static_cast<int>(sizeof(Real));
  const bool aligned = inputs % wide == 0 && outputs % wide == 0 && first % wide == 0 &&
                       count % wide == 0 && to.chunk % wide == 0;
  kernels::with_format<Real>(precision_, [&]<class Format>() {
    auto* rows = panel<typename Format::Number>(to, slot);
    const auto at = columns_of(to);
    if (aligned) {
      run_form<Format, wide>(stream_, f, copies, inputs, outputs, first, count, rows, at);
    } else {
      run_form<Format, 1>(stream_, f, copies, inputs, outputs, first, count, rows, at);
    }
  });
}

namespace {

template <class Format, class Real>
void run_put_rows(cudaStream_t stream, std::int64_t rows, const Real* x,
                  typename Format::Number* to, const kernels::OperandColumns& at) {
  for_each_thread(stream, rows * at.columns, [=] __device__(std::int64_t item) {
    const std::int64_t row = item / at.columns, column = item % at.columns;
    Format::template put<1>(to + row * at.columns * Format::runs, at, column, x + item);
  });
}

}  // namespace

template <class Real>
void CudaBackend<Real>::put_rows(std::int64_t rows, const Real* x, const Operands& to, int slot) {
  kernels::with_format<Real>(precision_, [&]<class Format>() {
    run_put_rows<Format>(stream_, rows, x, panel<typename Format::Number>(to, slot),
                         columns_of(to));
  });
}

template <class Real>
void CudaBackend<Real>::sum_entries(std::int64_t entries, const std::int64_t* first,
                                    const std::int64_t* rows, std::int64_t total_rows, int copies,
                                    std::int64_t width, const Real* dy, Real* d) {
  for_each_warp(stream_, copies * entries, [=] __device__(auto team, std::int64_t ce) {
    const std::int64_t c = ce / entries, e = ce % entries;
    kernels::sum_of_listed_rows(team, rows + first[e], first[e + 1] - first[e], width,
                                dy + c * total_rows * width, d + ce * width);
  });
}

template <class Real>
void CudaBackend<Real>::contract_matches(std::span<const MatchBlock> blocks, std::int64_t width) {
  for (const MatchBlock& block : blocks) {
    const auto p = block.p, q = block.q;
    double* tile = block.tile;
    const std::int64_t ld = block.ld;
    for_each_warp(stream_, p.samples * q.samples, [=] __device__(auto team, std::int64_t item) {
      const std::int64_t i = item / q.samples, j = item % q.samples;
      const kernels::SampleEntries<Real> a{p.ids + p.first[i], p.sums + p.first[i] * width,
                                           p.first[i + 1] - p.first[i]};
      const kernels::SampleEntries<Real> b{q.ids + q.first[j], q.sums + q.first[j] * width,
                                           q.first[j + 1] - q.first[j]};
      const double sum = kernels::match_samples(team, a, b, width);
      if (team.rank() == 0) tile[i * ld + j] += sum;
    });
  }
}

#define NTK_INSTANTIATE(Real)                                                                     \
  template void CudaBackend<Real>::form(const FactorView<Real>&, int, std::int64_t, std::int64_t, \
                                        std::int64_t, std::int64_t, const Operands&, int);        \
  template void CudaBackend<Real>::put_rows(std::int64_t, const Real*, const Operands&, int);     \
  template void CudaBackend<Real>::sum_entries(std::int64_t, const std::int64_t*,                 \
                                               const std::int64_t*, std::int64_t, int,            \
                                               std::int64_t, const Real*, Real*);                 \
  template void CudaBackend<Real>::contract_matches(std::span<const MatchBlock>, std::int64_t);
NTK_INSTANTIATE(float)
NTK_INSTANTIATE(double)
#undef NTK_INSTANTIATE

}  // namespace ntk::device::cuda
