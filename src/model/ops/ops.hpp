// The operations a model is written in. Each computes its value on the tape and records its
// backward (vjp) and tangent (jvp) maps; those that use parameters are the sites. One file each,
// mathematics on top.
#pragma once

#include "model/tape.hpp"

namespace ntk::model::ops {

// y = x W^T + b; W (outputs, inputs), b (outputs).
template <class Real>
Value linear(Tape<Real>& tape, Value x, ParameterId weight, ParameterId bias, std::int64_t outputs);

// y = sum over the given tables of table[ids[row]], each of the given width.
template <class Real>
struct Table {
  ParameterId parameter;
  IdsPtr<Real> ids;
};
template <class Real>
Value embedding(Tape<Real>& tape, LayoutPtr<Real> layout, std::int64_t width,
                std::vector<Table<Real>> tables);

// y = gamma (x - mean) / sqrt(var + eps) + beta over each row.
template <class Real>
Value layer_norm(Tape<Real>& tape, Value x, ParameterId gamma, ParameterId beta, double eps);

// Softmax attention within each sample; q may have fewer rows a sample than k and v.
template <class Real>
Value attention(Tape<Real>& tape, Value q, Value k, Value v, int heads);

template <class Real>
Value activation(Tape<Real>& tape, Value x, device::Activation kind);

template <class Real>
Value add(Tape<Real>& tape, Value a, Value b);

// y[row] = x[rows->host()[row]]; distinct rows; `layout` is that of y.
template <class Real>
Value select(Tape<Real>& tape, Value x, IdsPtr<Real> rows, LayoutPtr<Real> layout);

// y[sample] = mean over the sample's rows; `layout` has one row a sample.
template <class Real>
Value mean_pool(Tape<Real>& tape, Value x, LayoutPtr<Real> layout);

}  // namespace ntk::model::ops
