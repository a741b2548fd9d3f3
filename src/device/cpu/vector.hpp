// A processor vector of Real, by GCC's vector extensions, of the width that the target has.
#pragma once

namespace ntk::device::cpu {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64, vector_registers = 32;
#elif defined(__AVX__)
inline constexpr int vector_bytes = 32, vector_registers = 16;
#else
inline constexpr int vector_bytes = 16, vector_registers = 16;
#endif

template <class Real>
struct Vector {
  static constexpr int lanes = vector_bytes / static_cast<int>(sizeof(Real));
  typedef Real type __attribute__((vector_size(vector_bytes), aligned(sizeof(Real)), may_alias));
};

// Numbers of lanes, as __builtin_shuffle takes them.
template <class Real>
struct LaneIndex;
template <>
struct LaneIndex<float> {
  typedef int type __attribute__((vector_size(vector_bytes)));
};
template <>
struct LaneIndex<double> {
  typedef long long type __attribute__((vector_size(vector_bytes)));
};

}  // namespace ntk::device::cpu
