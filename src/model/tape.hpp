// The record of one segment's forward pass. A forward function calls the operations of model/ops on
// a tape; each computes its value at once and leaves a record from which the vector-Jacobian
// product (backward), the Jacobian-vector product (tangent) and the factors of every parameter it
// used (the sites) follow. Families therefore contain no derivative code.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "device/backend.hpp"
#include "model/layout.hpp"
#include "model/parameters.hpp"

namespace ntk::model {

using Value = int;  // index of a value on its tape

template <class Real>
using Buffer = device::Array<Real, Real>;

// Device pointers of all parameters, in the order of the model's list.
template <class Real>
struct Weights {
  std::vector<const Real*> data;
  std::vector<char> selected;
};

// What a parameter's per-row gradient is made of (design: factors).
template <class Real>
struct Factor {
  enum class Kind {
    matrix,  // gradient G^T A: activations (rows, inputs), cotangents (copies * rows, outputs)
    vector,  // gradient given: cotangents (copies * samples, outputs)
    lookup   // gradient of table row v: sum of G over the rows with id v; width = outputs
  } kind = Kind::matrix;
  ParameterId parameter = 0;
  LayoutPtr<Real> layout;
  const Real* activations = nullptr;  // lives as long as the tape
  IdsPtr<Real> ids;
  std::shared_ptr<const Buffer<Real>> cotangents;
  std::int64_t inputs = 0, outputs = 0;
};

template <class Real>
class Tape;

// Cotangents of a tape's values on the way back; `copies` outputs at a time.
template <class Real>
class Cotangents {
 public:
  Cotangents(const Tape<Real>& tape, int copies);
  int copies() const { return copies_; }
  // Where an operation adds to the cotangent of v; zeroed at first use.
  Real* add_to(Value v);
  // The finished cotangent of v, null when nothing flowed into it.
  std::shared_ptr<Buffer<Real>> of(Value v) const { return values_[static_cast<std::size_t>(v)]; }
  void set(Value v, std::shared_ptr<Buffer<Real>> cotangent) {
    values_[static_cast<std::size_t>(v)] = std::move(cotangent);
  }
  std::vector<Factor<Real>> factors;

 private:
  const Tape<Real>& tape_;
  int copies_;
  std::vector<std::shared_ptr<Buffer<Real>>> values_;
};

// Tangents of a tape's values on the way forward, and of parameters (null = zero).
template <class Real>
class Tangents {
 public:
  explicit Tangents(const Tape<Real>& tape);
  Real* add_to(Value v);
  const Buffer<Real>& of(Value v);  // zero when nothing was set
  std::vector<const Real*> parameters;

 private:
  const Tape<Real>& tape_;
  std::vector<std::shared_ptr<Buffer<Real>>> values_;
};

template <class Real>
class Operation {
 public:
  virtual ~Operation() = default;
  // Reads the finished cotangent of its output (not null), adds to those of its inputs, appends
  // the factors of its selected parameters.
  virtual void backward(const Tape<Real>& tape, Cotangents<Real>& cotangents) const = 0;
  // Adds to the tangent of its output.
  virtual void tangent(const Tape<Real>& tape, Tangents<Real>& tangents) const = 0;
  Value output = -1;
};

template <class Real>
class Tape {
 public:
  Tape(device::Backend<Real>& backend, const Weights<Real>& weights)
      : backend_(backend), weights_(weights) {}

  device::Backend<Real>& backend() const { return backend_; }
  const Real* parameter(ParameterId p) const { return weights_.data[static_cast<std::size_t>(p)]; }
  bool selected(ParameterId p) const { return weights_.selected[static_cast<std::size_t>(p)] != 0; }

  // A value that no operation made: the segment's input. The tape borrows the data.
  Value input(LayoutPtr<Real> layout, std::int64_t width, const Real* data);
  // A new value for an operation to fill.
  Value make(LayoutPtr<Real> layout, std::int64_t width);
  void record(Value output, std::unique_ptr<Operation<Real>> operation);

  int values() const { return static_cast<int>(values_.size()); }
  const LayoutPtr<Real>& layout(Value v) const { return at(v).layout; }
  std::int64_t rows(Value v) const { return at(v).layout->rows(); }
  std::int64_t width(Value v) const { return at(v).width; }
  const Real* data(Value v) const { return at(v).data; }
  Real* fill(Value v) { return values_[static_cast<std::size_t>(v)].owned.data(); }
  // Takes a value off the tape (the segment's output), which then must not be differentiated.
  Buffer<Real> take(Value v) { return std::move(values_[static_cast<std::size_t>(v)].owned); }

  // vjp: `cotangents` holds the output's; runs the record backwards.
  void backward(Cotangents<Real>& cotangents) const;
  // jvp: `tangents` holds the inputs' and parameters'.
  void tangent(Tangents<Real>& tangents) const;

 private:
  struct Slot {
    LayoutPtr<Real> layout;
    std::int64_t width = 0;
    const Real* data = nullptr;
    Buffer<Real> owned;
  };
  const Slot& at(Value v) const { return values_[static_cast<std::size_t>(v)]; }

  device::Backend<Real>& backend_;
  const Weights<Real>& weights_;
  std::vector<Slot> values_;
  std::vector<std::unique_ptr<Operation<Real>>> operations_;
};

}  // namespace ntk::model
