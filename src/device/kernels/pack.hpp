// A few neighbouring numbers of one thread of a GPU, moved as one where they are aligned.
#pragma once

#include "device/kernels/team.hpp"

namespace ntk::device::kernels {

template <class T, int n>
struct __attribute__((may_alias, aligned(sizeof(T) * n))) Pack {
  T x[n];

  NTK_HD Pack& operator+=(const Pack& other) {
    for (int i = 0; i < n; ++i) x[i] += other.x[i];
    return *this;
  }
  NTK_HD friend Pack operator*(const Pack& a, T factor) {
    Pack product;
    for (int i = 0; i < n; ++i) product.x[i] = a.x[i] * factor;
    return product;
  }
};

// From and to memory that is aligned for the pack.
template <class T, int n>
NTK_HD inline Pack<T, n> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, n>*>(from);
}
template <class T, int n>
NTK_HD inline void store_pack(T* to, const T* x) {
  Pack<T, n> pack;
  for (int i = 0; i < n; ++i) pack.x[i] = x[i];
  *reinterpret_cast<Pack<T, n>*>(to) = pack;
}

}  // namespace ntk::device::kernels
