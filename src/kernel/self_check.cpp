#include "kernel/self_check.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "base/heartbeat.hpp"
#include "data/draw.hpp"
#include "device/counting_backend.hpp"
#include "kernel/memory_plan.hpp"
#include "kernel/task_runner.hpp"
#include "store/kernel_layout.hpp"

namespace ntk::kernel {

std::vector<std::int64_t> check_samples(const KernelInputs& inputs, std::int64_t seed) {
  const std::int64_t wanted = std::max<std::int64_t>(1, 64 / inputs.outputs.copies());
  auto drawn = data::draw_samples(inputs.panels.sets()[0].samples(), wanted, seed + 1);
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

namespace {

// The job's, but for the arithmetic: fp64 on the CPU.
jacobian::Settings check_settings(const KernelInputs& inputs) {
  jacobian::Settings settings = inputs.settings;
  settings.set_device(device::Kind::cpu, device::Precision::fp64);
  settings.methods.clear();
  return settings;
}

// The drawn samples as one set in panels of `each`.
Panels check_panels(const KernelInputs& inputs, const std::vector<std::int64_t>& samples,
                    std::int64_t each) {
  const auto& from = inputs.panels.sets()[0].tokens;
  SampleSet set;
  for (auto i : samples) {
    const auto first = from.offsets[static_cast<std::size_t>(i)];
    const auto last = from.offsets[static_cast<std::size_t>(i) + 1];
    auto& t = set.tokens;
    t.tokens.insert(t.tokens.end(), from.tokens.begin() + first, from.tokens.begin() + last);
    t.types.insert(t.types.end(), from.types.begin() + first, from.types.begin() + last);
    t.offsets.push_back(static_cast<std::int64_t>(t.tokens.size()));
  }
  const auto count = static_cast<std::int64_t>(samples.size());
  std::vector<std::int64_t> starts;
  for (std::int64_t s = 0; s < count; s += each) starts.push_back(s);
  starts.push_back(count);
  std::vector<SampleSet> sets;
  sets.push_back(std::move(set));
  return Panels(std::move(sets), {starts});
}

}  // namespace

std::int64_t check_panel_samples(const KernelInputs& inputs,
                                 const std::vector<std::int64_t>& samples, std::size_t memory) {
  const auto count = static_cast<std::int64_t>(samples.size());
  if (memory == 0) return count;
  const double weights = weight_bytes(inputs.model, sizeof(double), true);
  const double free = static_cast<double>(memory) - weights;
  const jacobian::Settings settings = check_settings(inputs);
  for (std::int64_t each = count; each > 0; each /= 2) {
    const Panels panels = check_panels(inputs, samples, each);
    const Operations operations(inputs.model.architecture, inputs.model.config, settings, panels);
    double largest = 0;
    for (int p = 0; p < static_cast<int>(panels.all().size()); ++p) {
      largest = std::max(largest, operations.panel_bytes(p, sizeof(double), sizeof(double)));
    }
    const auto rows = static_cast<double>(settings.tile_rows(each));
    // Two panels and their tile.
    if ((each == count ? 1 : 2) * largest + 4 * 8 * rows * rows <= free) return each;
  }
  fail(ExitCode::resources,
       "the check of the kernel's error in fp64 does not fit into the {:.2g} GiB of the first "
       "rank (its weights take {:.2g} GiB) raise kernel.memory_gib or run fewer ranks a node",
       static_cast<double>(memory) / (1 << 30), weights / (1 << 30));
}

namespace {

// Panels and settings of the check, and its tiles one by one.
struct CheckWork {
  CheckWork(const KernelInputs& all, const std::vector<std::int64_t>& samples, std::size_t memory)
      : inputs(all),
        panels(check_panels(all, samples, check_panel_samples(all, samples, memory))),
        settings(check_settings(all)),
        whole{{}, std::vector<int>(all.model.architecture.parameters.size(), -1)} {}

  Task task(std::int64_t tile) const {
    const auto [p, q] = panels.of_tile(0, tile);
    Task one{{{0, tile, 0}}, {q, p}, 0, 0};
    one.panels.erase(std::unique(one.panels.begin(), one.panels.end()), one.panels.end());
    return one;
  }
  std::int64_t tiles() const { return panels.grid(0, 1).tile_count(); }
  void run(device::Backend<double>& backend, const model::Model<double>& model,
           const TaskRunner<double>::Sink& sink) const {
    TaskRunner<double> runner(backend, model, settings, inputs.outputs, whole, 1);
    WorkTimes times;
    for (std::int64_t tile = 0; tile < tiles(); ++tile) {
      runner.run(
          panels, task(tile), false, times, [](double) { heartbeat::beat(); }, sink);
    }
  }

  const KernelInputs& inputs;
  Panels panels;
  jacobian::Settings settings;
  Groups whole;
};

}  // namespace

CheckPlan plan_check(const KernelInputs& inputs, const std::vector<std::int64_t>& samples,
                     std::size_t memory) {
  const CheckWork work(inputs, samples, memory);
  const Operations operations(inputs.model.architecture, inputs.model.config, work.settings,
                              work.panels);
  CheckPlan plan;
  for (std::int64_t tile = 0; tile < work.tiles(); ++tile) {
    const auto [p, q] = work.panels.of_tile(0, tile);
    plan.cost += operations.weighted_contraction(p, q);
    for (int panel : work.task(tile).panels) plan.cost += operations.build(panel);
  }
  device::CountingBackend<double> backend(device::Kind::cpu, device::Precision::fp64, memory);
  work.run(backend, model::Model<double>(backend, inputs.model, model::Contents::none),
           [](const store::Unit&, const store::TileData&) {});
  plan.bytes = backend.peak_bytes();
  return plan;
}

std::vector<double> recompute(const KernelInputs& inputs, const std::vector<std::int64_t>& samples,
                              int threads, std::size_t memory) {
  const CheckWork work(inputs, samples, memory);
  auto backend = device::make_cpu_backend<double>(threads, memory);
  const auto grid = work.panels.grid(0, inputs.outputs.rows_per_sample);
  const std::int64_t n = grid.rows();
  std::vector<double> kernel(static_cast<std::size_t>(n * n));
  const auto place = [&](const store::Unit& unit, const store::TileData& made) {
    const auto box = store::rectangle(grid, unit.tile);
    for (std::int64_t r = 0; r < box.rows; ++r) {
      for (std::int64_t c = 0; c < box.columns; ++c) {
        const std::int64_t i = box.row + r, j = box.column + c;
        kernel[static_cast<std::size_t>(i * n + j)] = kernel[static_cast<std::size_t>(j * n + i)] =
            made.total[static_cast<std::size_t>(r * box.columns + c)];
      }
    }
  };
  work.run(*backend, model::Model<double>(*backend, inputs.model), place);
  return kernel;
}

std::vector<double> stored_entries(const KernelInputs& inputs, const store::KernelWriter& writer,
                                   const std::vector<std::int64_t>& samples) {
  const std::int64_t c = inputs.outputs.rows_per_sample;
  const auto grid = inputs.panels.grid(0, c);
  std::vector<std::int64_t> rows;
  for (auto i : samples) {
    for (std::int64_t k = 0; k < c; ++k) rows.push_back(i * c + k);
  }
  const auto panel_of = [&](std::int64_t row) {
    return std::upper_bound(grid.row_starts.begin(), grid.row_starts.end(), row) -
           grid.row_starts.begin() - 1;
  };
  const auto n = rows.size();
  std::vector<double> out(n * n);
  std::int64_t held = -1;
  std::vector<double> tile;
  // Rows ascend, so entries of one tile come in runs when walked panel by panel.
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b <= a; ++b) {
      const auto p = panel_of(rows[a]), q = panel_of(rows[b]);
      if (grid.tile_index(p, q) != held) {
        held = grid.tile_index(p, q);
        tile = writer.read_total(held);
      }
      const auto first_column = grid.column_starts[static_cast<std::size_t>(q)];
      const auto width = grid.column_starts[static_cast<std::size_t>(q) + 1] - first_column;
      const auto at =
          (rows[a] - grid.row_starts[static_cast<std::size_t>(p)]) * width + rows[b] - first_column;
      out[a * n + b] = out[b * n + a] = tile[static_cast<std::size_t>(at)];
    }
  }
  return out;
}

store::MeasuredError measure_error(const std::vector<std::int64_t>& samples,
                                   const std::vector<double>& stored,
                                   const std::vector<double>& exact, double roundoff) {
  ensure(stored.size() == exact.size() && !exact.empty(), "self-check of {} against {} entries",
         stored.size(), exact.size());
  store::MeasuredError e;
  e.samples = samples;
  double deviations = 0, squares = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double d = std::abs(stored[i] - exact[i]);
    deviations += d * d;
    squares += exact[i] * exact[i];
    e.largest = std::max(e.largest, d);
  }
  const auto count = static_cast<double>(exact.size());
  e.rms = std::sqrt(squares / count);
  e.delta = std::max(std::sqrt(deviations / count), roundoff * e.rms);
  return e;
}

}  // namespace ntk::kernel
