// Activation functions and their derivatives, one element.
//   gelu_erf(x)  = x Phi(x) = x (1 + erf(x / sqrt 2)) / 2;   derivative Phi(x) + x phi(x)
//   gelu_tanh(x) = x (1 + tanh u) / 2,  u = sqrt(2/pi) (x + 0.044715 x^3)
//   silu(x)      = x s,  s = 1 / (1 + exp(-x));              derivative s (1 + x (1 - s))
#pragma once

#include <cmath>

#include "device/activation.hpp"
#include "device/kernels/team.hpp"
#include "device/kernels/vector_math.hpp"

namespace ntk::device::kernels {

template <Activation kind, class Real>
NTK_HD inline Real activate(Real x) {
  if constexpr (kind == Activation::gelu_erf) {
    return Real(0.5) * x * (Real(1) + std::erf(x * Real(0.70710678118654752440)));
  } else if constexpr (kind == Activation::gelu_tanh) {
    const Real u = Real(0.79788456080286535588) * (x + Real(0.044715) * x * x * x);
    return Real(0.5) * x * (Real(1) + std::tanh(u));
  } else if constexpr (kind == Activation::relu) {
    return x > Real(0) ? x : Real(0);
  } else if constexpr (kind == Activation::tanh) {
    return std::tanh(x);
  } else {
    return x / (Real(1) + std::exp(-x));
  }
}

// The derivative at x, given y = act(x): for the gated ones y / x is the gate, already computed.
template <Activation kind, class Real>
NTK_HD inline Real activate_derivative(Real x, Real y) {
  const Real gate = x == Real(0) ? Real(0.5) : y / x;
  if constexpr (kind == Activation::gelu_erf) {
    return gate + x * Real(0.39894228040143267794) * std::exp(Real(-0.5) * x * x);
  } else if constexpr (kind == Activation::gelu_tanh) {
    const Real du = Real(0.79788456080286535588) * (Real(1) + Real(3 * 0.044715) * x * x);
    return gate + Real(2) * x * gate * (Real(1) - gate) * du;
  } else if constexpr (kind == Activation::relu) {
    return x > Real(0) ? Real(1) : Real(0);
  } else if constexpr (kind == Activation::tanh) {
    return Real(1) - y * y;
  } else {
    return gate * (Real(1) + x * (Real(1) - gate));
  }
}

// Calls f with the activation as a compile-time constant.
template <class F>
void with_activation(Activation kind, F f) {
  switch (kind) {
    case Activation::gelu_erf:
      return f.template operator()<Activation::gelu_erf>();
    case Activation::gelu_tanh:
      return f.template operator()<Activation::gelu_tanh>();
    case Activation::relu:
      return f.template operator()<Activation::relu>();
    case Activation::tanh:
      return f.template operator()<Activation::tanh>();
    case Activation::silu:
      return f.template operator()<Activation::silu>();
  }
}

}  // namespace ntk::device::kernels
