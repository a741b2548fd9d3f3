#include "support/emulated_backend.hpp"

#include <algorithm>
#include <bit>
#include <vector>

#include "device/cpu/form_sample.hpp"
#include "device/cpu/structured_blocks.hpp"
#include "device/kernels/operand.hpp"

namespace ntk::test {
namespace {

using device::Operands;
using device::panel;
using device::Precision;
using device::cpu::parallel_for;
namespace kernels = device::kernels;

kernels::OperandColumns columns_of(const Operands& operands) {
  return {operands.columns, std::countr_zero(static_cast<std::uint64_t>(operands.chunk))};
}

float value_of(float x) {
  return x;
}
float value_of(std::uint16_t x) {
  return kernels::from_bf16(x);
}

std::size_t size(std::int64_t n) {
  return static_cast<std::size_t>(n);
}

// Rows of one chunk of operands: `ld` numbers from row to row.
template <class Format>
struct Rows {
  const typename Format::Number* data;
  std::int64_t ld;
};

// use(i, sums) for m rows a and, at once, `count` <= sum_lanes rows b: their products over one
// chunk of `width` columns. Each product of terms is a sum from zero, as a GEMM takes it, which
// adds to what is there at its end, rounded to nearest.
template <int group, class Format, class Use>
void multiply_chunk(const device::PrecisionFacts& facts, int extra_bits, std::int64_t width,
                    std::int64_t m, const Rows<Format>& a, std::int64_t count,
                    const Rows<Format>& b, Use use) {
  const std::int64_t first_term = (facts.terms - 1) * width;  // b's runs before it are not read
  const std::int64_t columns = facts.terms * width;           // a's runs after it neither
  thread_local std::vector<float> x, y;
  x.resize(size(columns));
  y.assign(size(columns * sum_lanes), 0.0f);
  for (std::int64_t j = 0; j < count; ++j) {
    const auto* row = b.data + j * b.ld + first_term;
    for (std::int64_t t = 0; t < columns; ++t) y[size(t * sum_lanes + j)] = value_of(row[t]);
  }
  for (std::int64_t i = 0; i < m; ++i) {
    const auto* row = a.data + i * a.ld;
    for (std::int64_t t = 0; t < columns; ++t) x[size(t)] = value_of(row[t]);
    Sums sums{};
    kernels::for_each_term_product(
        facts, width, [&](std::int64_t at_a, std::int64_t at_b, std::int64_t k) {
          sums += truncating_sums<group>(extra_bits, k, x.data() + at_a,
                                         y.data() + (at_b - first_term) * sum_lanes);
        });
    use(i, sums);
  }
}

// f with the format of a precision and the size of a group of products.
template <class F>
void with_core(Precision precision, const TensorCore& core, F f) {
  kernels::with_format<float>(precision, [&]<class Format>() {
    const int group = precision == Precision::tf32 ? core.tf32_group : core.bf16_group;
    switch (group) {
      case 4:
        return f.template operator()<Format, 4>();
      case 8:
        return f.template operator()<Format, 8>();
      default:
        return f.template operator()<Format, 16>();
    }
  });
}

// C (m x n, contiguous) = X Y^T; X (m x width) and Y (n x width) rows of one chunk.
template <int group, class Format>
void multiply_rows(const device::PrecisionFacts& facts, int extra_bits, std::int64_t m,
                   std::int64_t n, std::int64_t width, const Rows<Format>& x, const Rows<Format>& y,
                   float* c) {
  for (std::int64_t j = 0; j < n; j += sum_lanes) {
    const std::int64_t count = std::min<std::int64_t>(sum_lanes, n - j);
    const Rows<Format> b{y.data + j * y.ld, y.ld};
    multiply_chunk<group>(facts, extra_bits, width, m, x, count, b,
                          [&](std::int64_t i, const Sums& sums) {
                            for (std::int64_t l = 0; l < count; ++l) c[i * n + j + l] = sums[l];
                          });
  }
}

// x (rows x width) as operands of one chunk.
template <class Format>
std::vector<typename Format::Number> as_operands(std::int64_t rows, std::int64_t width,
                                                 const float* x) {
  std::vector<typename Format::Number> made(size(rows * width * Format::runs));
  const kernels::OperandColumns at{
      width, std::countr_zero(std::bit_ceil(static_cast<std::uint64_t>(width)))};
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < width; ++i) {
      Format::template put<1>(made.data() + r * width * Format::runs, at, i, x + r * width + i);
    }
  }
  return made;
}

}  // namespace

std::int64_t EmulatedBackend::operand_bytes(std::int64_t rows, std::int64_t columns) const {
  return rows * columns * device::facts(precision_).operand_bytes;
}

void EmulatedBackend::form(const device::FactorView<float>& f, int copies, std::int64_t inputs,
                           std::int64_t outputs, std::int64_t first, std::int64_t count,
                           const Operands& to, int slot) {
  kernels::with_format<float>(precision_, [&]<class Format>() {
    auto* rows = panel<typename Format::Number>(to, slot);
    const auto at = columns_of(to);
    parallel_for(threads(), copies * f.samples.samples, [&](std::int64_t ci) {
      const std::int64_t c = ci / f.samples.samples, i = ci % f.samples.samples;
      const std::int64_t row = f.samples.offsets[i];
      device::cpu::form_sample<Format>(f.samples.offsets[i + 1] - row, count,
                                       f.cotangents + (c * f.rows + row) * outputs + first, outputs,
                                       f.activations + row * inputs, inputs,
                                       rows + ci * to.columns * Format::runs, at);
    });
  });
}

void EmulatedBackend::put_rows(std::int64_t rows, const float* x, const Operands& to, int slot) {
  kernels::with_format<float>(precision_, [&]<class Format>() {
    auto* out = panel<typename Format::Number>(to, slot);
    const auto at = columns_of(to);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t i = 0; i < to.columns; ++i) {
        Format::template put<1>(out + r * to.columns * Format::runs, at, i, x + r * to.columns + i);
      }
    }
  });
}

void EmulatedBackend::contract(const Operands& operands, std::span<const Product> products) {
  struct Piece {  // sum_lanes columns of a product's tile
    const Product* of;
    std::int64_t j;
  };
  std::vector<Piece> pieces;
  for (const auto& p : products) {
    for (std::int64_t j = 0; j < p.n; j += sum_lanes) pieces.push_back({&p, j});
  }
  with_core(precision_, core_, [&]<class Format, int group>() {
    using Number = typename Format::Number;
    const auto at = columns_of(operands);
    const std::int64_t ld = operands.columns * Format::runs;
    parallel_for(threads(), static_cast<std::int64_t>(pieces.size()), [&](std::int64_t piece) {
      const auto& [p, j] = pieces[size(piece)];
      const std::int64_t above = p->symmetric ? j : 0;  // rows that lie above the diagonal
      const std::int64_t count = std::min<std::int64_t>(sum_lanes, p->n - j);
      const Number* a = panel<const Number>(operands, p->p) + (p->p_row + above) * ld;
      const Number* b = panel<const Number>(operands, p->q) + (p->q_row + j) * ld;
      for (std::int64_t first = 0; first < operands.columns; first += operands.chunk) {
        const Rows<Format> rows_a{a + first * Format::runs, ld},
            rows_b{b + first * Format::runs, ld};
        multiply_chunk<group>(device::facts(precision_), core_.extra_bits, at.chunk_width(first),
                              p->m - above, rows_a, count, rows_b,
                              [&](std::int64_t i, const Sums& sums) {
                                double* to = p->tile + (above + i) * p->ld + j;
                                for (std::int64_t l = 0; l < count; ++l) {
                                  to[l] += static_cast<double>(sums[l]);
                                }
                              });
      }
    });
  });
}

void EmulatedBackend::contract_structured(std::span<const StructuredBlock> blocks, int copies,
                                          std::int64_t inputs, std::int64_t outputs,
                                          std::int64_t p_stride, std::int64_t q_stride,
                                          bool class_diagonal) {
  with_core(precision_, core_, [&]<class Format, int group>() {
    // c (m x n) = the products of rows x and y, `width` long.
    const auto multiply = [&](std::int64_t m, std::int64_t n, std::int64_t width, const float* x,
                              const float* y, float* c) {
      const auto a = as_operands<Format>(m, width, x), b = as_operands<Format>(n, width, y);
      const std::int64_t ld = width * Format::runs;
      multiply_rows<group>(device::facts(precision_), core_.extra_bits, m, n, width,
                           Rows<Format>{a.data(), ld}, Rows<Format>{b.data(), ld}, c);
    };
    device::cpu::contract_blocks<float>(threads(), blocks, copies, inputs, outputs, p_stride,
                                        q_stride, class_diagonal, multiply);
  });
}

}  // namespace ntk::test
