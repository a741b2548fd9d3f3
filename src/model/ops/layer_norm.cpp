// y = gamma n + beta, n = (x - mean) r; formulas in device/kernels/norm.hpp.
//   gradients a row: beta's = sum of dy over the tokens, gamma's = sum of dy * n
#include "model/ops/ops.hpp"

namespace ntk::model::ops {
namespace {

template <class Real>
class LayerNorm final : public Operation<Real> {
 public:
  LayerNorm(Value x, ParameterId gamma, ParameterId beta, Buffer<Real> statistics)
      : x_(x), gamma_(gamma), beta_(beta), statistics_(std::move(statistics)) {}

  void backward(const Tape<Real>& tape, Cotangents<Real>& cot) const override {
    auto& device = tape.backend();
    const auto dy = cot.of(this->output);
    const std::int64_t rows = tape.rows(x_), width = tape.width(x_);
    const auto& layout = tape.layout(x_);
    const int copies = cot.copies();
    device.layer_norm_backward(rows, copies, width, tape.data(x_), statistics_.data(),
                               tape.parameter(gamma_), dy->data(), cot.add_to(x_));
    const auto sums = [&] {
      return std::make_shared<Buffer<Real>>(device, copies * layout->samples() * width);
    };
    if (tape.selected(gamma_)) {
      auto v = sums();
      device.sum_rows_normalised(layout->view(), rows, copies, width, tape.data(x_),
                                 statistics_.data(), dy->data(), v->data());
      cot.factors.push_back(
          {Factor<Real>::Kind::vector, gamma_, layout, nullptr, nullptr, v, 1, width});
    }
    if (tape.selected(beta_)) {
      auto v = sums();
      device.sum_rows(layout->view(), rows, copies, width, dy->data(), v->data());
      cot.factors.push_back(
          {Factor<Real>::Kind::vector, beta_, layout, nullptr, nullptr, v, 1, width});
    }
  }

  void tangent(const Tape<Real>& tape, Tangents<Real>& tan) const override {
    tape.backend().layer_norm_tangent(
        tape.rows(x_), tape.width(x_), tape.data(x_), statistics_.data(), tape.parameter(gamma_),
        tan.of(x_).data(), tan.parameters[static_cast<std::size_t>(gamma_)],
        tan.parameters[static_cast<std::size_t>(beta_)], tan.add_to(this->output));
  }

 private:
  Value x_;
  ParameterId gamma_, beta_;
  Buffer<Real> statistics_;
};

}  // namespace

template <class Real>
Value layer_norm(Tape<Real>& tape, Value x, ParameterId gamma, ParameterId beta, double eps) {
  const std::int64_t rows = tape.rows(x), width = tape.width(x);
  Buffer<Real> statistics(tape.backend(), 2 * rows);
  const Value y = tape.make(tape.layout(x), width);
  tape.backend().layer_norm(rows, width, static_cast<Real>(eps), tape.data(x),
                            tape.parameter(gamma), tape.parameter(beta), tape.fill(y),
                            statistics.data());
  tape.record(y, std::make_unique<LayerNorm<Real>>(x, gamma, beta, std::move(statistics)));
  return y;
}

template Value layer_norm(Tape<float>&, Value, ParameterId, ParameterId, double);
template Value layer_norm(Tape<double>&, Value, ParameterId, ParameterId, double);

}  // namespace ntk::model::ops
