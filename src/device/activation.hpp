// Element-wise activation functions a model may name.
#pragma once

namespace ntk::device {

enum class Activation { gelu_erf, gelu_tanh, relu, tanh, silu };

}  // namespace ntk::device
