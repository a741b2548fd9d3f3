// Gradients of one sample on the CPU: all of a linear site's outputs and inputs in register blocks.
#pragma once

#include <cstdint>
#include <type_traits>

#include "device/cpu/vector.hpp"
#include "device/kernels/form.hpp"
#include "device/kernels/operand.hpp"

namespace ntk::device::cpu {

template <class Format, class Real, int R>
inline void form_rows(std::int64_t tokens, const Real* g, std::int64_t ldg, const Real* a,
                      std::int64_t inputs, typename Format::Number* row,
                      const kernels::OperandColumns& at, std::int64_t first) {
  using Lane = typename Vector<Real>::type;
  constexpr int lanes = Vector<Real>::lanes, wide = vector_registers / 8;
  std::int64_t i = 0;
  const auto load = [](const Real* from) { return *reinterpret_cast<const Lane*>(from); };
  const auto scalars = [](const Real* from, Real* y) {
    for (int r = 0; r < R; ++r) y[r] = from[r];
  };
  const auto store = [&](int r, int v, const Lane& x) {
    const std::int64_t column = first + r * inputs + i + v * lanes;
    if constexpr (std::is_same_v<Format, kernels::WholeNumbers<Real>>) {
      *reinterpret_cast<Lane*>(row + column) = x;
    } else {  // a vector may lie in two chunks
      for (int l = 0; l < lanes; ++l) {
        const Real number = x[l];
        Format::template put<1>(row, at, column + l, &number);
      }
    }
  };
  for (; i + wide * lanes <= inputs; i += wide * lanes) {
    kernels::form_block<Lane, R, wide>(tokens, g, ldg, a + i, inputs, load, scalars, store);
  }
  for (; i + lanes <= inputs; i += lanes) {
    kernels::form_block<Lane, R, 1>(tokens, g, ldg, a + i, inputs, load, scalars, store);
  }
  for (; i < inputs; ++i) {
    for (int r = 0; r < R; ++r) {
      Real sum = 0;
      for (std::int64_t t = 0; t < tokens; ++t) sum += g[t * ldg + r] * a[t * inputs + i];
      Format::template put<1>(row, at, first + r * inputs + i, &sum);
    }
  }
}

// Columns o * inputs + i of `row` = (G^T A)[o, i] for `count` outputs o; G (tokens x ldg), A
// (tokens x inputs).
template <class Format, class Real>
inline void form_sample(std::int64_t tokens, std::int64_t count, const Real* g, std::int64_t ldg,
                        const Real* a, std::int64_t inputs, typename Format::Number* row,
                        const kernels::OperandColumns& at) {
  std::int64_t o = 0;
  for (; o + 4 <= count; o += 4)
    form_rows<Format, Real, 4>(tokens, g + o, ldg, a, inputs, row, at, o * inputs);
  for (; o < count; ++o)
    form_rows<Format, Real, 1>(tokens, g + o, ldg, a, inputs, row, at, o * inputs);
}

}  // namespace ntk::device::cpu
