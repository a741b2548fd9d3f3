// What fixes the arithmetic of a contraction. Resolved once from the job and the model's shape,
// written into the kernel file; never from ranks, threads or free memory, so that a tile's bits
// depend on the job alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "jacobian/cost.hpp"

namespace ntk::jacobian {

struct Settings {
  int copies = 1;                      // cotangents a sample (C, or 1)
  bool class_diagonal = false;         // outputs = "mean_diagonal": only c = c', summed
  std::int64_t slice_columns = 0;      // gradient columns formed at once (0 = by `slice_outputs`)
  std::int64_t chunk_columns = 256;    // columns summed in the working precision, fp64 beyond
  std::int64_t structured_rows = 512;  // token rows of a structured block
  std::int64_t usual_slice = 24576;    // columns of a slice, and the least
  std::int64_t least_outputs = 64;     // outputs of one, where the job leaves it open
  double pause_operations = 1e11;      // done between two looks at the wish to stop: seconds
  CostTable costs = cost_table(device::Kind::cpu, device::Precision::fp32);
  // By parameter. Empty: chosen for each pair of panels by the cost table.
  std::vector<Method> methods;

  // Kernel rows of a panel of `samples` inside a tile.
  std::int64_t tile_rows(std::int64_t samples) const {
    return class_diagonal ? samples : copies * samples;
  }
  // Output features of a linear map formed at once.
  std::int64_t slice_outputs(std::int64_t inputs, std::int64_t outputs) const {
    const std::int64_t wanted =
        slice_columns > 0 ? slice_columns / inputs : std::max(least_outputs, usual_slice / inputs);
    return std::clamp<std::int64_t>(wanted, 1, outputs);
  }
  Method method(int parameter, const SitePair& pair) const {
    return methods.empty() ? choose(costs, pair) : methods[static_cast<std::size_t>(parameter)];
  }

  // Of a kind of device and a precision. A GPU wants large products: what fp32 sums lose over
  // 4,096 columns, and tf32 over 16,384, is a fraction of what operands lose (docs/numerics.md).
  void set_device(device::Kind kind, device::Precision precision) {
    const Settings usual;
    const bool gpu = kind == device::Kind::cuda;
    const bool wide = precision == device::Precision::tf32 || precision == device::Precision::fp64;
    chunk_columns = !gpu ? usual.chunk_columns : wide ? 16384 : 4096;
    structured_rows = gpu ? 4096 : usual.structured_rows;
    usual_slice = gpu ? 49152 : usual.usual_slice;
    least_outputs = gpu ? 8 : usual.least_outputs;
    pause_operations = gpu ? 5e12 : usual.pause_operations;
    costs = cost_table(kind, precision);
  }
};

}  // namespace ntk::jacobian
