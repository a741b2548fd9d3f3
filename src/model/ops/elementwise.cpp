// y = act(x): dx = dy act'(x), dy = dx act'(x).   y = a + b: both maps are the identity.
#include "model/ops/ops.hpp"

namespace ntk::model::ops {
namespace {

template <class Real>
class ActivationOperation final : public Operation<Real> {
 public:
  ActivationOperation(Value x, device::Activation kind) : x_(x), kind_(kind) {}

  void backward(const Tape<Real>& tape, Cotangents<Real>& cot) const override {
    const std::int64_t count = tape.rows(x_) * tape.width(x_);
    tape.backend().activation_backward(kind_, cot.copies() * count, count, tape.data(x_),
                                       tape.data(this->output), cot.of(this->output)->data(),
                                       cot.add_to(x_));
  }
  void tangent(const Tape<Real>& tape, Tangents<Real>& tan) const override {
    const std::int64_t count = tape.rows(x_) * tape.width(x_);
    tape.backend().activation_backward(kind_, count, count, tape.data(x_), tape.data(this->output),
                                       tan.of(x_).data(), tan.add_to(this->output));
  }

 private:
  Value x_;
  device::Activation kind_;
};

template <class Real>
class Add final : public Operation<Real> {
 public:
  Add(Value a, Value b) : a_(a), b_(b) {}

  void backward(const Tape<Real>& tape, Cotangents<Real>& cot) const override {
    const auto dy = cot.of(this->output);
    for (Value x : {a_, b_}) tape.backend().add(dy->size(), dy->data(), cot.add_to(x));
  }
  void tangent(const Tape<Real>& tape, Tangents<Real>& tan) const override {
    for (Value x : {a_, b_}) {
      const auto& dx = tan.of(x);
      tape.backend().add(dx.size(), dx.data(), tan.add_to(this->output));
    }
  }

 private:
  Value a_, b_;
};

}  // namespace

template <class Real>
Value activation(Tape<Real>& tape, Value x, device::Activation kind) {
  const Value y = tape.make(tape.layout(x), tape.width(x));
  tape.backend().activation(kind, tape.rows(x) * tape.width(x), tape.data(x), tape.fill(y));
  tape.record(y, std::make_unique<ActivationOperation<Real>>(x, kind));
  return y;
}

template <class Real>
Value add(Tape<Real>& tape, Value a, Value b) {
  const std::int64_t count = tape.rows(a) * tape.width(a);
  ensure(count == tape.rows(b) * tape.width(b), "sum of values of different shapes");
  const Value y = tape.make(tape.layout(a), tape.width(a));
  tape.backend().zero(tape.fill(y), static_cast<std::size_t>(count) * sizeof(Real));
  for (Value x : {a, b}) tape.backend().add(count, tape.data(x), tape.fill(y));
  tape.record(y, std::make_unique<Add<Real>>(a, b));
  return y;
}

template Value activation(Tape<float>&, Value, device::Activation);
template Value activation(Tape<double>&, Value, device::Activation);
template Value add(Tape<float>&, Value, Value);
template Value add(Tape<double>&, Value, Value);

}  // namespace ntk::model::ops
