// Activation functions and their derivatives, one element.
//   gelu_erf(x)  = x Phi(x) = x (1 + erf(x / sqrt 2)) / 2;   derivative Phi(x) + x phi(x)
//   gelu_tanh(x) = x (1 + tanh u) / 2,  u = sqrt(2/pi) (x + 0.044715 x^3)
//   silu(x)      = x s,  s = 1 / (1 + exp(-x));              derivative s (1 + x (1 - s))
#pragma once

#include <cmath>

#include "device/activation.hpp"
#include "device/kernels/team.hpp"

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

template <Activation kind, class Real>
NTK_HD inline Real activate_derivative(Real x) {
  if constexpr (kind == Activation::gelu_erf) {
    const Real phi = Real(0.39894228040143267794) * std::exp(Real(-0.5) * x * x);
    return Real(0.5) * (Real(1) + std::erf(x * Real(0.70710678118654752440))) + x * phi;
  } else if constexpr (kind == Activation::gelu_tanh) {
    const Real u = Real(0.79788456080286535588) * (x + Real(0.044715) * x * x * x);
    const Real t = std::tanh(u);
    const Real du = Real(0.79788456080286535588) * (Real(1) + Real(3 * 0.044715) * x * x);
    return Real(0.5) * (Real(1) + t) + Real(0.5) * x * (Real(1) - t * t) * du;
  } else if constexpr (kind == Activation::relu) {
    return x > Real(0) ? Real(1) : Real(0);
  } else if constexpr (kind == Activation::tanh) {
    const Real t = std::tanh(x);
    return Real(1) - t * t;
  } else {
    const Real s = Real(1) / (Real(1) + std::exp(-x));
    return s * (Real(1) + x * (Real(1) - s));
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
