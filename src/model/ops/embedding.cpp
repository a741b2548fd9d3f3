// y = sum over tables of table[ids[row]].
//   vjp: the gradient of table row v is the sum of dy over the tokens with id v (factor: lookup)
//   jvp: dy = sum over tables of dtable[ids[row]]
#include "model/ops/ops.hpp"

namespace ntk::model::ops {
namespace {

template <class Real>
class Embedding final : public Operation<Real> {
 public:
  explicit Embedding(std::vector<Table<Real>> tables) : tables_(std::move(tables)) {}

  void backward(const Tape<Real>& tape, Cotangents<Real>& cot) const override {
    for (const auto& table : tables_) {
      if (!tape.selected(table.parameter)) continue;
      cot.factors.push_back({Factor<Real>::Kind::lookup, table.parameter, tape.layout(this->output),
                             nullptr, table.ids, cot.of(this->output), 1,
                             tape.width(this->output)});
    }
  }

  void tangent(const Tape<Real>& tape, Tangents<Real>& tan) const override {
    for (const auto& table : tables_) {
      const Real* d = tan.parameters[static_cast<std::size_t>(table.parameter)];
      if (d == nullptr) continue;
      tape.backend().gather(tape.rows(this->output), tape.width(this->output), table.ids->device(),
                            d, true, tan.add_to(this->output));
    }
  }

 private:
  std::vector<Table<Real>> tables_;
};

}  // namespace

template <class Real>
Value embedding(Tape<Real>& tape, LayoutPtr<Real> layout, std::int64_t width,
                std::vector<Table<Real>> tables) {
  const Value y = tape.make(std::move(layout), width);
  bool accumulate = false;
  for (const auto& table : tables) {
    tape.backend().gather(tape.rows(y), width, table.ids->device(), tape.parameter(table.parameter),
                          accumulate, tape.fill(y));
    accumulate = true;
  }
  tape.record(y, std::make_unique<Embedding<Real>>(std::move(tables)));
  return y;
}

template Value embedding(Tape<float>&, LayoutPtr<float>, std::int64_t, std::vector<Table<float>>);
template Value embedding(Tape<double>&, LayoutPtr<double>, std::int64_t,
                         std::vector<Table<double>>);

}  // namespace ntk::model::ops
