// Rows taken out of samples, and means over them.
//   select: y[r] = x[ids[r]];  dx[ids[r]] += dy[r]
//   mean:   y[s] = mean of x over sample s;  dx[row] += dy[s] / length(s)
#include "model/ops/ops.hpp"

namespace ntk::model::ops {
namespace {

template <class Real>
class Select final : public Operation<Real> {
 public:
  Select(Value x, IdsPtr<Real> rows) : x_(x), rows_(std::move(rows)) {}

  void backward(const Tape<Real>& tape, Cotangents<Real>& cot) const override {
    tape.backend().scatter_add(cot.copies(), tape.rows(this->output), tape.rows(x_), tape.width(x_),
                               rows_->device(), cot.of(this->output)->data(), cot.add_to(x_));
  }
  void tangent(const Tape<Real>& tape, Tangents<Real>& tan) const override {
    tape.backend().gather(tape.rows(this->output), tape.width(x_), rows_->device(),
                          tan.of(x_).data(), true, tan.add_to(this->output));
  }

 private:
  Value x_;
  IdsPtr<Real> rows_;
};

template <class Real>
class MeanPool final : public Operation<Real> {
 public:
  explicit MeanPool(Value x) : x_(x) {}

  void backward(const Tape<Real>& tape, Cotangents<Real>& cot) const override {
    tape.backend().mean_pool_backward(tape.layout(x_)->view(), cot.copies(), tape.width(x_),
                                      cot.of(this->output)->data(), cot.add_to(x_));
  }
  void tangent(const Tape<Real>& tape, Tangents<Real>& tan) const override {
    const std::int64_t count = tape.rows(this->output) * tape.width(x_);
    Buffer<Real> mean(tape.backend(), count);
    tape.backend().mean_pool(tape.layout(x_)->view(), tape.width(x_), tan.of(x_).data(),
                             mean.data());
    tape.backend().add(count, mean.data(), tan.add_to(this->output));
  }

 private:
  Value x_;
};

}  // namespace

template <class Real>
Value select(Tape<Real>& tape, Value x, IdsPtr<Real> rows, LayoutPtr<Real> layout) {
  const Value y = tape.make(std::move(layout), tape.width(x));
  tape.backend().gather(tape.rows(y), tape.width(x), rows->device(), tape.data(x), false,
                        tape.fill(y));
  tape.record(y, std::make_unique<Select<Real>>(x, std::move(rows)));
  return y;
}

template <class Real>
Value mean_pool(Tape<Real>& tape, Value x, LayoutPtr<Real> layout) {
  const Value y = tape.make(std::move(layout), tape.width(x));
  tape.backend().mean_pool(tape.layout(x)->view(), tape.width(x), tape.data(x), tape.fill(y));
  tape.record(y, std::make_unique<MeanPool<Real>>(x));
  return y;
}

template Value select(Tape<float>&, Value, IdsPtr<float>, LayoutPtr<float>);
template Value select(Tape<double>&, Value, IdsPtr<double>, LayoutPtr<double>);
template Value mean_pool(Tape<float>&, Value, LayoutPtr<float>);
template Value mean_pool(Tape<double>&, Value, LayoutPtr<double>);

}  // namespace ntk::model::ops
