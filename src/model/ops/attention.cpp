// Softmax attention within each sample; formulas in device/kernels/attention.hpp.
#include "model/ops/ops.hpp"

namespace ntk::model::ops {
namespace {

template <class Real>
class Attention final : public Operation<Real> {
 public:
  Attention(Value q, Value k, Value v, int heads) : q_(q), k_(k), v_(v), heads_(heads) {}

  void backward(const Tape<Real>& tape, Cotangents<Real>& cot) const override {
    tape.backend().attention_backward(tape.layout(q_)->view(), tape.layout(k_)->view(), heads_,
                                      tape.width(q_), cot.copies(), tape.data(q_), tape.data(k_),
                                      tape.data(v_), cot.of(this->output)->data(), cot.add_to(q_),
                                      cot.add_to(k_), cot.add_to(v_));
  }

  void tangent(const Tape<Real>& tape, Tangents<Real>& tan) const override {
    tape.backend().attention_tangent(tape.layout(q_)->view(), tape.layout(k_)->view(), heads_,
                                     tape.width(q_), tape.data(q_), tape.data(k_), tape.data(v_),
                                     tan.of(q_).data(), tan.of(k_).data(), tan.of(v_).data(),
                                     tan.add_to(this->output));
  }

 private:
  Value q_, k_, v_;
  int heads_;
};

}  // namespace

template <class Real>
Value attention(Tape<Real>& tape, Value q, Value k, Value v, int heads) {
  const Value y = tape.make(tape.layout(q), tape.width(q));
  tape.backend().attention(tape.layout(q)->view(), tape.layout(k)->view(), heads, tape.width(q),
                           tape.data(q), tape.data(k), tape.data(v), tape.fill(y));
  tape.record(y, std::make_unique<Attention<Real>>(q, k, v, heads));
  return y;
}

template Value attention(Tape<float>&, Value, Value, Value, int);
template Value attention(Tape<double>&, Value, Value, Value, int);

}  // namespace ntk::model::ops
