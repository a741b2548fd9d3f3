// Which samples a kernel has, and in which order. Pure functions, the same with every standard
// library.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ntk::data {

// A uniformly random permutation of 0 ... count-1, fixed by the seed (Fisher and Yates from the
// front, 64-bit Mersenne twister, unbiased bounded draws by rejection).
std::vector<std::int64_t> permutation(std::int64_t count, std::int64_t seed);

// The first `samples` rows of the seeded permutation of all rows: a larger draw begins with the
// smaller one. samples = 0, or more than there are: all.
std::vector<std::int64_t> draw_samples(std::int64_t rows, std::int64_t samples, std::int64_t seed);

// The draw cut into batches of `batch_samples`, each sorted by length (short first; equal ones stay
// in draw order). `lengths` is indexed by row. The order of complete batches does not change when
// the draw grows.
std::vector<std::int64_t> order_in_batches(std::span<const std::int64_t> draw,
                                           std::span<const std::int64_t> lengths,
                                           std::int64_t batch_samples);

// First samples of the panels that samples in batches are cut into, and their number at the end
// (panels + 1 entries). Sample s has tokens [offsets[s], offsets[s + 1]). A batch is cut every
// `tile_samples`, which divide `batch_samples`; what is then longer than `most_tokens` is halved,
// again and again, until single samples are left.
std::vector<std::int64_t> panel_starts(std::span<const std::int64_t> offsets,
                                       std::int64_t batch_samples, std::int64_t tile_samples,
                                       std::int64_t most_tokens);

}  // namespace ntk::data
