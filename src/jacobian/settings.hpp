// What fixes the arithmetic of a contraction. Resolved once from the job and the model's shape,
// written into the kernel file; never from ranks, threads or free memory, so that a tile's bits
// depend on the job alone.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ntk::jacobian {

struct Settings {
  int copies = 1;                      // cotangents a sample (C, or 1)
  bool class_diagonal = false;         // outputs = "mean_diagonal": only c = c', summed
  std::int64_t slice_columns = 0;      // gradient columns formed at once (0 = by `slice_outputs`)
  std::int64_t chunk_columns = 256;    // columns summed in the working precision, fp64 beyond
  std::int64_t structured_rows = 512;  // token rows of a structured block

  // Kernel rows of a panel of `samples` inside a tile.
  std::int64_t tile_rows(std::int64_t samples) const {
    return class_diagonal ? samples : copies * samples;
  }
  // Output features of a linear map formed at once. Forming wants at least 64.
  std::int64_t slice_outputs(std::int64_t inputs, std::int64_t outputs) const {
    const std::int64_t wanted =
        slice_columns > 0 ? slice_columns / inputs : std::max<std::int64_t>(64, 24576 / inputs);
    return std::clamp<std::int64_t>(wanted, 1, outputs);
  }
};

}  // namespace ntk::jacobian
