// Every operation: vjp against jvp (<u, J v> = <J^T u, v>), jvp against finite differences,
// parameter factors against jvp, on ragged batches, in fp64, on every kind of device.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "model/ops/ops.hpp"
#include "support/backends.hpp"
#include "support/random.hpp"

namespace ntk::model {
namespace {

using Real = double;
using Buf = Buffer<Real>;

// Other numbers at every call.
std::vector<Real> random_vector(std::int64_t n) {
  static unsigned seed = 7;
  return test::random_vector<Real>(n, seed++);
}
double dot(const std::vector<Real>& a, const std::vector<Real>& b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// A function of inputs and parameters written in operations: one output value.
struct Case {
  std::vector<std::int64_t> offsets{0, 3, 4, 9};  // three samples
  std::vector<std::vector<std::int64_t>> parameter_shapes;
  std::vector<std::int64_t> input_widths;
  std::function<Value(Tape<Real>&, const std::vector<Value>&, LayoutPtr<Real> rows,
                      LayoutPtr<Real> one_each, IdsPtr<Real> picks, IdsPtr<Real> ids)>
      run;
};

class Bench {
 public:
  Bench(device::Backend<Real>& backend, const Case& c) : case_(c), backend_(backend) {
    rows_ = std::make_shared<Layout<Real>>(backend_, c.offsets);
    std::vector<std::int64_t> each(c.offsets.size());
    for (std::size_t i = 0; i < each.size(); ++i) each[i] = static_cast<std::int64_t>(i);
    one_each_ = std::make_shared<Layout<Real>>(backend_, each);
    std::vector<std::int32_t> picks;
    for (std::size_t s = 0; s + 1 < c.offsets.size(); ++s) {
      picks.push_back(static_cast<std::int32_t>(c.offsets[s + 1] - 1));
    }
    picks_ = std::make_shared<Ids<Real>>(backend_, picks);
    std::vector<std::int32_t> ids;
    for (std::int64_t r = 0; r < c.offsets.back(); ++r)
      ids.push_back(static_cast<std::int32_t>(r * r % 4));
    ids_ = std::make_shared<Ids<Real>>(backend_, ids);
    for (auto width : c.input_widths) inputs.push_back(random_vector(c.offsets.back() * width));
    for (const auto& shape : c.parameter_shapes) {
      std::int64_t n = 1;
      for (auto e : shape) n *= e;
      parameters.push_back(random_vector(n));
    }
  }

  // Runs the case on the current inputs and parameters and gives the tape to `use`.
  template <class Use>
  void with_tape(Use use) {
    std::vector<Buf> held;
    Weights<Real> weights;
    for (const auto& p : parameters) {
      held.emplace_back(backend_, std::span<const Real>(p));
      weights.data.push_back(held.back().data());
      weights.selected.push_back(1);
    }
    std::vector<Buf> in;
    Tape<Real> tape(backend_, weights);
    std::vector<Value> values;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      in.emplace_back(backend_, std::span<const Real>(inputs[i]));
      values.push_back(tape.input(rows_, case_.input_widths[i], in.back().data()));
    }
    const Value y = case_.run(tape, values, rows_, one_each_, picks_, ids_);
    use(tape, values, y);
  }

  std::vector<Real> forward() {
    std::vector<Real> out;
    with_tape([&](Tape<Real>& tape, const auto&, Value y) {
      out = read(tape.data(y), tape.rows(y) * tape.width(y));
    });
    return out;
  }

  // jvp with the given tangents.
  std::vector<Real> tangent(const std::vector<std::vector<Real>>& dx,
                            const std::vector<std::vector<Real>>& dp) {
    std::vector<Real> out;
    with_tape([&](Tape<Real>& tape, const std::vector<Value>& values, Value y) {
      Tangents<Real> tangents(tape);
      std::vector<Buf> held;
      for (const auto& p : dp) held.emplace_back(backend_, std::span<const Real>(p));
      for (const auto& h : held) tangents.parameters.push_back(h.data());
      for (std::size_t i = 0; i < dx.size(); ++i) {
        backend_.upload(tangents.add_to(values[i]), dx[i].data(), dx[i].size() * sizeof(Real));
      }
      tape.tangent(tangents);
      out = read(tangents.of(y).data(), tape.rows(y) * tape.width(y));
    });
    return out;
  }

  // vjp for `copies` stacked cotangents: input cotangents, and for every copy the parameters'
  // gradients summed over samples, made from the factors.
  struct Pullback {
    std::vector<std::vector<Real>> inputs;
    std::vector<std::vector<std::vector<Real>>> parameters;  // [copy][parameter]
  };
  Pullback pull(const std::vector<Real>& u, int copies) {
    Pullback out;
    with_tape([&](Tape<Real>& tape, const std::vector<Value>& values, Value y) {
      Cotangents<Real> cot(tape, copies);
      cot.set(y, std::make_shared<Buf>(backend_, std::span<const Real>(u)));
      tape.backward(cot);
      for (std::size_t i = 0; i < values.size(); ++i) {
        out.inputs.push_back(
            read(cot.add_to(values[i]), copies * tape.rows(values[i]) * tape.width(values[i])));
      }
      for (int c = 0; c < copies; ++c) {
        auto& gradients = out.parameters.emplace_back();
        for (const auto& p : parameters) gradients.emplace_back(p.size(), 0.0);
        for (const auto& f : cot.factors)
          add_gradient(f, c, gradients[static_cast<std::size_t>(f.parameter)]);
      }
    });
    return out;
  }

  std::vector<std::vector<Real>> inputs, parameters;

 private:
  std::vector<Real> read(const Real* data, std::int64_t n) {
    return test::to_host(backend_, data, n);
  }

  void add_gradient(const Factor<Real>& f, int copy, std::vector<Real>& to) {
    const std::int64_t rows = f.layout->rows(), out = f.outputs;
    const auto g = read(f.cotangents->data(), f.cotangents->size());
    using Kind = Factor<Real>::Kind;
    if (f.kind == Kind::vector) {
      for (std::int64_t s = 0; s < f.layout->samples(); ++s) {
        for (std::int64_t o = 0; o < out; ++o) {
          to[static_cast<std::size_t>(o)] +=
              g[static_cast<std::size_t>((copy * f.layout->samples() + s) * out + o)];
        }
      }
      return;
    }
    const auto a =
        f.kind == Kind::matrix ? read(f.activations, rows * f.inputs) : std::vector<Real>();
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t o = 0; o < out; ++o) {
        const Real cotangent = g[static_cast<std::size_t>((copy * rows + r) * out + o)];
        if (f.kind == Kind::lookup) {
          to[static_cast<std::size_t>(f.ids->host()[static_cast<std::size_t>(r)] * out + o)] +=
              cotangent;
        } else {
          for (std::int64_t i = 0; i < f.inputs; ++i) {
            to[static_cast<std::size_t>(o * f.inputs + i)] +=
                cotangent * a[static_cast<std::size_t>(r * f.inputs + i)];
          }
        }
      }
    }
  }

  Case case_;
  device::Backend<Real>& backend_;
  LayoutPtr<Real> rows_, one_each_;
  IdsPtr<Real> picks_, ids_;
};

std::vector<std::vector<Real>> like(const std::vector<std::vector<Real>>& shapes) {
  std::vector<std::vector<Real>> out;
  for (const auto& s : shapes) out.push_back(random_vector(static_cast<std::int64_t>(s.size())));
  return out;
}

void expect_maps_agree(device::Backend<Real>& backend, const Case& c, bool smooth = true) {
  Bench bench(backend, c);
  const auto dx = like(bench.inputs), dp = like(bench.parameters);
  const auto jv = bench.tangent(dx, dp);

  // <u_c, J v> = <J^T u_c, v> for two cotangents at once
  const int copies = 2;
  const auto u = random_vector(copies * static_cast<std::int64_t>(jv.size()));
  const auto back = bench.pull(u, copies);
  for (int copy = 0; copy < copies; ++copy) {
    const auto n = static_cast<std::int64_t>(jv.size());
    const std::vector<Real> mine(u.begin() + copy * n, u.begin() + (copy + 1) * n);
    double right = 0, scale = 0;
    for (std::size_t i = 0; i < dx.size(); ++i) {
      const auto m = static_cast<std::int64_t>(dx[i].size());
      const std::vector<Real> part(back.inputs[i].begin() + copy * m,
                                   back.inputs[i].begin() + (copy + 1) * m);
      right += dot(part, dx[i]);
      scale += std::sqrt(dot(part, part) * dot(dx[i], dx[i]));
    }
    for (std::size_t p = 0; p < dp.size(); ++p) {
      const auto& g = back.parameters[static_cast<std::size_t>(copy)][p];
      right += dot(g, dp[p]);
      scale += std::sqrt(dot(g, g) * dot(dp[p], dp[p]));
    }
    EXPECT_NEAR(dot(mine, jv), right, 1e-13 * scale);
  }

  if (!smooth) return;
  const double h = 1e-5;
  const auto inputs = bench.inputs, parameters = bench.parameters;
  const auto moved = [&](double by) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      for (std::size_t e = 0; e < inputs[i].size(); ++e)
        bench.inputs[i][e] = inputs[i][e] + by * dx[i][e];
    }
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      for (std::size_t e = 0; e < parameters[p].size(); ++e) {
        bench.parameters[p][e] = parameters[p][e] + by * dp[p][e];
      }
    }
    return bench.forward();
  };
  const auto plus = moved(h), minus = moved(-h);
  double error = 0;
  for (std::size_t i = 0; i < jv.size(); ++i) {
    const double d = (plus[i] - minus[i]) / (2 * h) - jv[i];
    error += d * d;
  }
  EXPECT_LE(std::sqrt(error), 2e-7 * std::sqrt(dot(jv, jv)));
}

template <class B>
class Operations : public test::BackendTest<B> {};
using InDouble = testing::Types<test::Cpu<double>, test::Cuda<device::Precision::fp64>>;
TYPED_TEST_SUITE(Operations, InDouble, test::BackendNames);

TYPED_TEST(Operations, Linear) {
  expect_maps_agree(*this->device_, {.parameter_shapes = {{5, 7}, {5}},
                                     .input_widths = {7},
                                     .run = [](auto& tape, const auto& in, auto, auto, auto, auto) {
                                       return ops::linear(tape, in[0], 0, 1, 5);
                                     }});
}
TYPED_TEST(Operations, EmbeddingOfSeveralTablesWithRepeatedIds) {
  expect_maps_agree(*this->device_,
                    {.parameter_shapes = {{4, 6}, {5, 6}},
                     .input_widths = {},
                     .run = [](auto& tape, const auto&, auto rows, auto, auto, auto ids) {
                       return ops::embedding<Real>(tape, rows, 6, {{0, ids}, {1, ids}});
                     }});
}
TYPED_TEST(Operations, LayerNorm) {
  expect_maps_agree(*this->device_, {.parameter_shapes = {{6}, {6}},
                                     .input_widths = {6},
                                     .run = [](auto& tape, const auto& in, auto, auto, auto, auto) {
                                       return ops::layer_norm(tape, in[0], 0, 1, 1e-5);
                                     }});
}
TYPED_TEST(Operations, Attention) {
  expect_maps_agree(*this->device_, {.parameter_shapes = {},
                                     .input_widths = {6, 6, 6},
                                     .run = [](auto& tape, const auto& in, auto, auto, auto, auto) {
                                       return ops::attention(tape, in[0], in[1], in[2], 2);
                                     }});
}
TYPED_TEST(Operations, AttentionOfSelectedQueries) {
  expect_maps_agree(*this->device_,
                    {.parameter_shapes = {},
                     .input_widths = {6, 6, 6},
                     .run = [](auto& tape, const auto& in, auto, auto one, auto picks, auto) {
                       const Value q = ops::select(tape, in[0], picks, one);
                       return ops::attention(tape, q, in[1], in[2], 3);
                     }});
}
TYPED_TEST(Operations, Activations) {
  using device::Activation;
  for (auto kind : {Activation::gelu_erf, Activation::gelu_tanh, Activation::relu, Activation::tanh,
                    Activation::silu}) {
    expect_maps_agree(*this->device_,
                      {.parameter_shapes = {},
                       .input_widths = {5},
                       .run = [kind](auto& tape, const auto& in, auto, auto, auto,
                                     auto) { return ops::activation(tape, in[0], kind); }},
                      kind != Activation::relu);
  }
}
TYPED_TEST(Operations, AddUsesAValueTwice) {
  expect_maps_agree(*this->device_, {.parameter_shapes = {},
                                     .input_widths = {4, 4},
                                     .run = [](auto& tape, const auto& in, auto, auto, auto, auto) {
                                       return ops::add(tape, ops::add(tape, in[0], in[1]), in[0]);
                                     }});
}
TYPED_TEST(Operations, SelectAndMeanPool) {
  expect_maps_agree(*this->device_,
                    {.parameter_shapes = {},
                     .input_widths = {4},
                     .run = [](auto& tape, const auto& in, auto, auto one, auto picks, auto) {
                       return ops::add(tape, ops::select(tape, in[0], picks, one),
                                       ops::mean_pool(tape, in[0], one));
                     }});
}
TYPED_TEST(Operations, KnownValues) {
  // gelu(1) = Phi(1), relu, and the mean of a constant
  Case c{.parameter_shapes = {},
         .input_widths = {1},
         .run = [](auto& tape, const auto& in, auto, auto, auto, auto) {
           return ops::activation(tape, in[0], device::Activation::gelu_erf);
         }};
  Bench bench(*this->device_, c);
  bench.inputs[0].assign(9, 1.0);
  for (double y : bench.forward()) EXPECT_NEAR(y, 0.8413447460685429, 1e-15);
}

}  // namespace
}  // namespace ntk::model
