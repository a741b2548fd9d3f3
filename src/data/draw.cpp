#include "data/draw.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

#include "base/error.hpp"

namespace ntk::data {
namespace {

// Uniform in [0, bound). Draws in the last, incomplete run of `bound` values are thrown away.
std::uint64_t bounded(std::mt19937_64& random, std::uint64_t bound) {
  const std::uint64_t excess = (std::numeric_limits<std::uint64_t>::max() % bound + 1) % bound;
  std::uint64_t value = random();
  while (value > std::numeric_limits<std::uint64_t>::max() - excess) value = random();
  return value % bound;
}

}  // namespace

std::vector<std::int64_t> permutation(std::int64_t count, std::int64_t seed) {
  std::mt19937_64 random(static_cast<std::uint64_t>(seed));
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t i = 0; i < order.size(); ++i) {
    std::swap(order[i], order[i + bounded(random, order.size() - i)]);
  }
  return order;
}

std::vector<std::int64_t> draw_samples(std::int64_t rows, std::int64_t samples, std::int64_t seed) {
  std::vector<std::int64_t> draw = permutation(rows, seed);
  if (samples > 0 && samples < rows) draw.resize(static_cast<std::size_t>(samples));
  return draw;
}

std::vector<std::int64_t> order_in_batches(std::span<const std::int64_t> draw,
                                           std::span<const std::int64_t> lengths,
                                           std::int64_t batch_samples) {
  ensure(batch_samples > 0, "batches of {} samples", batch_samples);
  std::vector<std::int64_t> order(draw.begin(), draw.end());
  const auto length_of = [&](std::int64_t row) { return lengths[static_cast<std::size_t>(row)]; };
  for (std::size_t start = 0; start < order.size();) {
    const std::size_t end = std::min(order.size(), start + static_cast<std::size_t>(batch_samples));
    std::ranges::stable_sort(std::span(order).subspan(start, end - start), {}, length_of);
    start = end;
  }
  return order;
}

std::vector<std::int64_t> panel_starts(std::span<const std::int64_t> offsets,
                                       std::int64_t batch_samples, std::int64_t tile_samples,
                                       std::int64_t most_tokens) {
  ensure(tile_samples > 0 && batch_samples % tile_samples == 0,
         "tiles of {} samples in batches of {}", tile_samples, batch_samples);
  const auto count = static_cast<std::int64_t>(offsets.size()) - 1;
  const auto tokens = [&](std::int64_t first, std::int64_t last) {
    return offsets[static_cast<std::size_t>(last)] - offsets[static_cast<std::size_t>(first)];
  };
  std::vector<std::int64_t> starts;
  // Whole tiles fill a batch, so tiles begin at every multiple across batches too.
  for (std::int64_t start = 0; start < count; start += tile_samples) {
    const std::int64_t samples = std::min(tile_samples, count - start);
    std::int64_t parts = 1;
    const auto cut = [&](std::int64_t part) { return start + samples * part / parts; };
    const auto too_long = [&] {
      for (std::int64_t part = 0; part < parts; ++part) {
        if (tokens(cut(part), cut(part + 1)) > most_tokens) return true;
      }
      return false;
    };
    while (2 * parts <= samples && too_long()) parts *= 2;
    for (std::int64_t part = 0; part < parts; ++part) starts.push_back(cut(part));
  }
  starts.push_back(count);
  return starts;
}

}  // namespace ntk::data
