#include "model/tape.hpp"

namespace ntk::model {

template <class Real>
Cotangents<Real>::Cotangents(const Tape<Real>& tape, int copies)
    : tape_(tape), copies_(copies), values_(static_cast<std::size_t>(tape.values())) {}

template <class Real>
Real* Cotangents<Real>::add_to(Value v) {
  auto& slot = values_[static_cast<std::size_t>(v)];
  if (!slot) {
    slot =
        std::make_shared<Buffer<Real>>(tape_.backend(), copies_ * tape_.rows(v) * tape_.width(v));
    slot->zero();
  }
  return slot->data();
}

template <class Real>
Tangents<Real>::Tangents(const Tape<Real>& tape)
    : tape_(tape), values_(static_cast<std::size_t>(tape.values())) {}

template <class Real>
Real* Tangents<Real>::add_to(Value v) {
  auto& slot = values_[static_cast<std::size_t>(v)];
  if (!slot) {
    slot = std::make_shared<Buffer<Real>>(tape_.backend(), tape_.rows(v) * tape_.width(v));
    slot->zero();
  }
  return slot->data();
}

template <class Real>
const Buffer<Real>& Tangents<Real>::of(Value v) {
  add_to(v);
  return *values_[static_cast<std::size_t>(v)];
}

template <class Real>
Value Tape<Real>::input(LayoutPtr<Real> layout, std::int64_t width, const Real* data) {
  values_.push_back({std::move(layout), width, data, {}});
  return values() - 1;
}

template <class Real>
Value Tape<Real>::make(LayoutPtr<Real> layout, std::int64_t width) {
  Buffer<Real> owned(backend_, layout->rows() * width);
  const Real* data = owned.data();
  values_.push_back({std::move(layout), width, data, std::move(owned)});
  return values() - 1;
}

template <class Real>
void Tape<Real>::record(Value output, std::unique_ptr<Operation<Real>> operation) {
  operation->output = output;
  operations_.push_back(std::move(operation));
}

template <class Real>
void Tape<Real>::backward(Cotangents<Real>& cotangents) const {
  for (auto op = operations_.rbegin(); op != operations_.rend(); ++op) {
    if (!cotangents.of((*op)->output)) continue;
    (*op)->backward(*this, cotangents);
    cotangents.set((*op)->output, nullptr);  // factors that need it hold it
  }
}

template <class Real>
void Tape<Real>::tangent(Tangents<Real>& tangents) const {
  for (const auto& op : operations_) op->tangent(*this, tangents);
}

template class Cotangents<float>;
template class Cotangents<double>;
template class Tangents<float>;
template class Tangents<double>;
template class Tape<float>;
template class Tape<double>;

}  // namespace ntk::model
