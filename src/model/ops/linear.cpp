// y = x W^T + b.
//   vjp: dx = dy W
//        gradients a row: W's = G^T A with A = x, G = dy;  b's = sum of dy over the tokens
//   jvp: dy = dx W^T + x dW^T + db
#include "model/ops/ops.hpp"

namespace ntk::model::ops {
namespace {

template <class Real>
class Linear final : public Operation<Real> {
 public:
  Linear(Value x, ParameterId weight, ParameterId bias) : x_(x), weight_(weight), bias_(bias) {}

  void backward(const Tape<Real>& tape, Cotangents<Real>& cot) const override {
    const auto dy = cot.of(this->output);
    const std::int64_t rows = tape.rows(x_), in = tape.width(x_), out = tape.width(this->output);
    const int copies = cot.copies();
    tape.backend().gemm(false, copies * rows, in, out, dy->data(), out, tape.parameter(weight_), in,
                        true, cot.add_to(x_), in);
    if (tape.selected(weight_)) {
      cot.factors.push_back({Factor<Real>::Kind::matrix, weight_, tape.layout(x_), tape.data(x_),
                             nullptr, dy, in, out});
    }
    if (tape.selected(bias_)) {
      const auto& layout = tape.layout(x_);
      auto sums = std::make_shared<Buffer<Real>>(tape.backend(), copies * layout->samples() * out);
      tape.backend().sum_rows(layout->view(), rows, copies, out, dy->data(), sums->data());
      cot.factors.push_back(
          {Factor<Real>::Kind::vector, bias_, layout, nullptr, nullptr, sums, 1, out});
    }
  }

  void tangent(const Tape<Real>& tape, Tangents<Real>& tan) const override {
    auto& device = tape.backend();
    const std::int64_t rows = tape.rows(x_), in = tape.width(x_), out = tape.width(this->output);
    Real* dy = tan.add_to(this->output);
    device.gemm(true, rows, out, in, tan.of(x_).data(), in, tape.parameter(weight_), in, true, dy,
                out);
    if (const Real* dw = tan.parameters[static_cast<std::size_t>(weight_)]) {
      device.gemm(true, rows, out, in, tape.data(x_), in, dw, in, true, dy, out);
    }
    if (const Real* db = tan.parameters[static_cast<std::size_t>(bias_)]) {
      device.add_bias(rows, out, db, dy);
    }
  }

 private:
  Value x_;
  ParameterId weight_, bias_;
};

}  // namespace

template <class Real>
Value linear(Tape<Real>& tape, Value x, ParameterId weight, ParameterId bias,
             std::int64_t outputs) {
  const std::int64_t rows = tape.rows(x), in = tape.width(x);
  const Value y = tape.make(tape.layout(x), outputs);
  tape.backend().gemm(true, rows, outputs, in, tape.data(x), in, tape.parameter(weight), in, false,
                      tape.fill(y), outputs);
  tape.backend().add_bias(rows, outputs, tape.parameter(bias), tape.fill(y));
  tape.record(y, std::make_unique<Linear<Real>>(x, weight, bias));
  return y;
}

template Value linear(Tape<float>&, Value, ParameterId, ParameterId, std::int64_t);
template Value linear(Tape<double>&, Value, ParameterId, ParameterId, std::int64_t);

}  // namespace ntk::model::ops
