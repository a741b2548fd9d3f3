// Contraction of given panels: from the factors of one parameter in several panels to the tiles of
// pairs of panels. No MPI, no files.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "device/backend.hpp"
#include "jacobian/settings.hpp"
#include "model/tape.hpp"

namespace ntk::jacobian {

// A tile being summed: rows of panel slot p against rows of panel slot q, in internal row order
// (copy * samples + sample; for class_diagonal: sample). A symmetric tile (p == q) holds its lower
// triangle until `symmetrise`; what is above is undefined.
struct PairTile {
  int p = 0, q = 0;
  bool symmetric = false;
  double* data = nullptr;  // tile_rows(p) x tile_rows(q)
};

// Seconds spent, for the report.
struct Times {
  double form = 0, contract = 0;
};

// Called between pieces of work; may throw to drop all of it.
using Pause = std::function<void()>;

// Adds one parameter's part of the kernel to every tile. `factors[s]` is the parameter's factor in
// panel slot s (all of one kind and shape). Working precision within a chunk, fp64 beyond.
template <class Real>
void contract_parameter(device::Backend<Real>& backend, const Settings& settings,
                        std::span<const model::Factor<Real>* const> factors,
                        std::span<const PairTile> tiles, Times& times, const Pause& pause);

// Fills the upper triangle of a square tile from its lower one.
void symmetrise(std::int64_t rows, double* tile);

}  // namespace ntk::jacobian
