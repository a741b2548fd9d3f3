#include "kernel/memory_plan.hpp"

#include <algorithm>
#include <limits>

#include "base/error.hpp"

namespace ntk::kernel {

namespace {
constexpr double gib = 1 << 30;
constexpr int most_panels = 1 << 12;
}  // namespace

double weight_bytes(const model::ModelDescription& model, std::size_t real) {
  double bytes = 0;
  for (const auto& p : model.architecture.parameters) {
    const bool in_place =
        real == sizeof(float) && !p.source.empty() && model.checkpoint->viewable_f32(p.source);
    if (!in_place) bytes += static_cast<double>(p.count()) * static_cast<double>(real);
  }
  return bytes;
}

MemoryPlan::MemoryPlan(const Job& job, const KernelInputs& inputs, const Operations& operations,
                       std::size_t memory)
    : operations_(operations),
      real_(job.kernel.precision == "fp64" ? sizeof(double) : sizeof(float)) {
  if (memory == 0) {
    memory_ = std::numeric_limits<double>::infinity();
    largest_panels_ = most_panels;
    return;
  }
  const double weights = weight_bytes(inputs.model, real_);
  memory_ = static_cast<double>(memory) - weights;
  const auto groups = static_cast<double>(inputs.groups.names.size());
  double panel = 0;
  for (int p = 0; p < static_cast<int>(inputs.panels.all().size()); ++p) {
    panel = std::max(panel, operations.panel_bytes(p, real_));
    const auto rows = static_cast<double>(inputs.settings.tile_rows(inputs.panels.at(p).samples));
    tile_ = std::max(tile_, rows * rows * 8 * std::max(1.0, groups));
    finished_tile_ = std::max(finished_tile_, rows * rows * 8 * (groups + 4));
  }
  const auto needed = [&](double panels) {
    return panels * panel + tiles(panels * (panels + 1) / 2);
  };
  while (largest_panels_ < most_panels && needed(largest_panels_ + 1) <= memory_) ++largest_panels_;
  const int pair = inputs.panels.all().size() == 1 ? 1 : 2;
  require(largest_panels_ >= pair, ExitCode::resources,
          "a pair of panels needs {:.2g} GiB beside {:.2g} GiB of weights and this rank may use "
          "{:.2g} GiB (panels of up to {} samples, {} outputs) lower kernel.tile_samples or "
          "kernel.slice_columns, raise kernel.memory_gib or run fewer ranks a node",
          needed(pair) / gib, weights / gib, static_cast<double>(memory) / gib,
          job.kernel.tile_samples, inputs.settings.copies);
}

bool MemoryPlan::keeps_records(const Task& task) const {
  double needed = tiles(static_cast<double>(task.units.size()));
  for (int p : task.panels) {
    needed += operations_.panel_bytes(p, real_) + operations_.kept_bytes(p, real_);
  }
  return needed <= memory_;
}

}  // namespace ntk::kernel
