#include "kernel/memory_plan.hpp"

#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "base/memory.hpp"
#include "device/cuda.hpp"

namespace ntk::kernel {

namespace {
constexpr int most_panels = 1 << 12;
}  // namespace

double weight_bytes(const model::ModelDescription& model, std::size_t real, bool in_place) {
  double bytes = 0;
  for (const auto& p : model.architecture.parameters) {
    const bool mapped = in_place && real == sizeof(float) && p.from_checkpoint() &&
                        model.checkpoint->viewable_f32(p.source);
    if (!mapped) bytes += static_cast<double>(p.count()) * static_cast<double>(real);
  }
  return bytes;
}

// What a GPU needs for a while beside panels and tiles: products before they are added to tiles,
// token scores of a structured block and its factors as operands, rows of attention scores.
double MemoryPlan::workspace(const KernelInputs& inputs) const {
  std::int64_t width = 0, tokens = 0, samples = 0, longest = inputs.settings.structured_rows;
  for (const auto& p : inputs.model.architecture.parameters) {
    if (p.is_linear()) width = std::max({width, p.shape[0], p.shape[1]});
  }
  for (const auto& panel : inputs.panels.all()) {
    tokens = std::max(tokens, panel.tokens);
    samples = std::max(samples, panel.samples);
  }
  for (const auto& table : inputs.tables) {
    for (auto length : table.tokens) longest = std::max<std::int64_t>(longest, length);
  }
  const auto real = static_cast<double>(real_);
  const auto tile_rows = static_cast<double>(inputs.settings.tile_rows(samples));
  const double tile = tile_rows * tile_rows * real;
  const double all_tiles = tile * static_cast<double>(inputs.panels.all().size());
  const double lane = std::min(static_cast<double>(device::cuda_lane_bytes), all_tiles);
  const double products = device::cuda_lanes * std::max(tile, lane);
  const auto rows = static_cast<double>(std::min(longest, tokens));
  const double scores = rows * rows * (2 * real + 8);
  const double factors = 2.0 * rows * static_cast<double>(width) * static_cast<double>(operand_);
  const double attention = static_cast<double>(tokens) *
                           (2 * static_cast<double>(inputs.model.config.hidden_size) * real +
                            16 * static_cast<double>(inputs.model.config.num_attention_heads));
  return products + scores + factors + attention;
}

MemoryPlan::MemoryPlan(const Job& job, const KernelInputs& inputs, const Operations& operations,
                       const ComputeDevice& device)
    : operations_(operations),
      real_(device.precision == device::Precision::fp64 ? sizeof(double) : sizeof(float)),
      operand_(static_cast<std::size_t>(device::facts(device.precision).operand_bytes)) {
  if (device.memory == 0) {
    memory_ = std::numeric_limits<double>::infinity();
    largest_panels_ = most_panels;
    return;
  }
  const bool gpu = device.kind == device::Kind::cuda;
  const double weights = weight_bytes(inputs.model, real_, !gpu) + (gpu ? workspace(inputs) : 0.0);
  memory_ = static_cast<double>(device.memory) - weights;
  const auto groups = static_cast<double>(inputs.groups.names.size());
  double largest = 0;
  for (int p = 0; p < static_cast<int>(inputs.panels.all().size()); ++p) {
    largest = std::max(largest, panel(p));
    const auto rows = static_cast<double>(inputs.settings.tile_rows(inputs.panels.at(p).samples));
    tile_ = std::max(tile_, rows * rows * 8 * std::max(1.0, groups));
    finished_tile_ = gpu ? 0 : std::max(finished_tile_, rows * rows * 8 * (groups + 4));
  }
  const auto needed = [&](double panels) {
    return panels * largest + tiles(panels * (panels + 1) / 2);
  };
  while (largest_panels_ < most_panels && needed(largest_panels_ + 1) <= memory_) ++largest_panels_;
  const int pair = inputs.panels.all().size() == 1 ? 1 : 2;
  require(largest_panels_ >= pair, ExitCode::resources,
          "a pair of panels needs {:.2g} GiB beside {:.2g} GiB of weights{} and this rank may use "
          "{:.2g} GiB{} (panels of up to {} samples, {} outputs) lower kernel.tile_samples or "
          "kernel.slice_columns, raise kernel.memory_gib or run fewer ranks a node",
          needed(pair) / gib, weights / gib, gpu ? " and workspaces" : "",
          static_cast<double>(device.memory) / gib, gpu ? " of its GPU" : "",
          job.kernel.tile_samples, inputs.settings.copies);
}

bool MemoryPlan::keeps_records(const Task& task) const {
  double needed = tiles(static_cast<double>(task.units.size()));
  for (int p : task.panels) {
    needed += panel(p) + operations_.kept_bytes(p, real_);
  }
  return needed <= memory_;
}

}  // namespace ntk::kernel
