// What a spectrum needs of a node's memory: refused before the solve, since what a system grants
// it may not have, and the process that touches it is killed without a word.
#pragma once

#include <cstdint>

#include "parallel/grid.hpp"
#include "parallel/mpi.hpp"
#include "spectrum/block_cyclic.hpp"

namespace ntk::spectrum {

// Bytes of the busiest active rank at the peak: the matrix; with all vectors, they and a workspace
// of about three times the matrix, which makes five in all (vectors from a GPU: two); for `leading`
// pairs, a Krylov basis of twice as many.
double needed_bytes(std::int64_t order, std::int64_t block, parallel::GridShape shape, Work work,
                    std::int64_t leading);

// Error(resources) when `ranks` ranks of a node, which has `free` bytes (0 = not known), need
// `needed` bytes each and that is more.
void require_room(int ranks, double needed, double free);

// Collective over all ranks of the job; the first shape.active() of them take part in the solve.
// Error(resources), agreed, when a node has less than its ranks need.
void require_memory(const parallel::Communicator& world, parallel::GridShape shape, double needed);

}  // namespace ntk::spectrum
