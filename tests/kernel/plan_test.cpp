// What is planned of tasks against what they do: operations against the calls of a device that
// counts them, memory against the CPU's.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernel/dry_run.hpp"
#include "kernel/operation_table.hpp"
#include "kernel/rates.hpp"
#include "kernel/task_runner.hpp"
#include "support/fixture.hpp"

namespace ntk::kernel {
namespace {

// The training samples of a fixture, and its second set, in panels of three.
KernelInputs inputs_of(const std::string& name, const std::string& outputs) {
  const test::Fixture fixture(name);
  model::ModelDescription model = fixture.model();
  std::vector<SampleSet> sets{fixture.samples(), fixture.samples(true)};
  std::vector<std::vector<std::int64_t>> starts;
  for (const auto& set : sets) {
    starts.push_back({0});
    while (starts.back().back() < set.samples()) {
      starts.back().push_back(std::min<std::int64_t>(set.samples(), starts.back().back() + 3));
    }
  }
  const OutputMode mode = make_output_mode(outputs, model.architecture.outputs);
  jacobian::Settings settings;
  settings.copies = mode.copies();
  settings.class_diagonal = mode.class_diagonal;
  settings.slice_columns = 64;  // several slices even in matrices this small
  Groups groups = make_groups("split", model.architecture);
  return {
      std::move(model), Panels(std::move(sets), starts), {}, mode, std::move(groups), settings, {}};
}

// Every tile of every set, a task a set and range.
std::vector<Task> tasks_of(const KernelInputs& inputs, int ranges) {
  std::vector<Task> tasks;
  for (int set = 0; set < static_cast<int>(inputs.panels.sets().size()); ++set) {
    for (int range = 0; range < ranges; ++range) {
      Task task;
      task.range = range;
      for (std::int64_t tile = 0; tile < inputs.panels.grid(set, 1).tile_count(); ++tile) {
        task.units.push_back({set, tile, range});
      }
      for (int p = 0; p < inputs.panels.first_of(1); ++p) task.panels.push_back(p);
      for (int p = inputs.panels.first_of(set); set > 0 && p < inputs.panels.first_of(set + 1); ++p)
        task.panels.push_back(p);
      tasks.push_back(task);
    }
  }
  return tasks;
}

std::vector<const Task*> addresses(const std::vector<Task>& tasks) {
  std::vector<const Task*> out;
  for (const auto& task : tasks) out.push_back(&task);
  return out;
}

ComputeDevice device_of(device::Precision precision, std::size_t memory = 0) {
  ComputeDevice device;
  device.precision = precision;
  device.memory = memory;
  return device;
}

TEST(Plan, OperationsAreThoseOfTheCalls) {
  for (const char* outputs : {"logits", "mean_diagonal", "sum"}) {
    for (const int ranges : {1, 3}) {
      for (const bool keep : {true, false}) {
        const KernelInputs inputs = inputs_of("bert-cls-2-pairs", outputs);
        const auto tasks = tasks_of(inputs, ranges);
        const auto keeps = [&](const Task&) { return keep; };
        const OperationTable table = count_operations(inputs, ranges, tasks, keeps);
        const auto tried =
            dry_run(inputs, device_of(device::Precision::fp32), ranges, addresses(tasks), keeps);
        const auto& c = tried.counts;
        const std::string what = std::string(outputs) + (keep ? ", kept" : "");
        EXPECT_GT(table.forward, 0) << what;
        EXPECT_EQ(table.recompute > 0, !keep) << what;
        EXPECT_NEAR(table.forward + table.recompute + table.backward, c.linear + c.attention,
                    1e-9 * (c.linear + c.attention))
            << what;
        EXPECT_NEAR(table.forming, c.form, 1e-9 * c.form) << what;
        EXPECT_NEAR(table.explicit_ + table.vectors, c.products, 1e-9 * c.products) << what;
        // Blocks on the diagonal are computed in full.
        EXPECT_LE(table.structured, 1.0000001 * c.structured) << what;
        EXPECT_GE(table.structured, 0.5 * c.structured) << what;
      }
    }
  }
}

TEST(Plan, TablesAreCountedByTheirWidth) {
  const KernelInputs inputs = inputs_of("bert-cls-2-pairs", "sum");
  const auto tasks = tasks_of(inputs, 1);
  const auto keeps = [](const Task&) { return true; };
  const OperationTable table = count_operations(inputs, 1, tasks, keeps);
  double expected = 0;
  for (const auto& p : inputs.model.architecture.parameters) {
    if (!p.is_table) continue;
    for (const auto& task : tasks) {
      for (const auto& unit : task.units) {
        const auto [row, column] = inputs.panels.of_tile(unit.set, unit.tile);
        expected +=
            (row == column ? 1.0 : 2.0) * static_cast<double>(p.shape.back()) *
            static_cast<double>(inputs.panels.at(row).samples * inputs.panels.at(column).samples);
      }
    }
  }
  EXPECT_GT(expected, 0);
  EXPECT_DOUBLE_EQ(table.lookups, expected);
}

template <class Real>
std::size_t real_peak(const KernelInputs& inputs, const std::vector<Task>& tasks, bool keep) {
  auto backend = device::make_cpu_backend<Real>(1, 0);
  backend->time_gemm();
  const model::Model<Real> model(*backend, inputs.model);
  TaskRunner<Real> runner(*backend, model, inputs.settings, inputs.outputs, inputs.groups, 2);
  WorkTimes times;
  for (const auto& task : tasks) {
    runner.run(
        inputs.panels, task, keep, times, [](double) {},
        [](const store::Unit&, const store::TileData&) {});
  }
  return backend->peak_bytes();
}

TEST(Plan, MemoryIsWhatTheCpuHolds) {
  const KernelInputs inputs = inputs_of("bert-cls-2-pairs", "logits");
  const auto tasks = tasks_of(inputs, 2);
  for (const bool keep : {true, false}) {
    const auto keeps = [&](const Task&) { return keep; };
    const auto in_fp32 =
        dry_run(inputs, device_of(device::Precision::fp32), 2, addresses(tasks), keeps);
    EXPECT_EQ(in_fp32.device_bytes, real_peak<float>(inputs, tasks, keep));
    EXPECT_GT(in_fp32.operand_bytes, 0U);
    const auto in_fp64 =
        dry_run(inputs, device_of(device::Precision::fp64), 2, addresses(tasks), keeps);
    EXPECT_EQ(in_fp64.device_bytes, real_peak<double>(inputs, tasks, keep));
  }
}

TEST(Plan, DevicesThatAreNotHereHaveTheirLimits) {
  const KernelInputs inputs = inputs_of("bert-cls-2-pairs", "logits");
  const auto tasks = tasks_of(inputs, 1);
  const auto keeps = [](const Task&) { return true; };
  ComputeDevice gpu = device_of(device::Precision::bf16x3);
  gpu.kind = device::Kind::cuda;
  const auto tried = dry_run(inputs, gpu, 1, addresses(tasks), keeps);
  EXPECT_GT(tried.device_bytes, 0U);
  gpu.memory = tried.device_bytes / 2;
  EXPECT_THROW(dry_run(inputs, gpu, 1, addresses(tasks), keeps), Error);
}

TEST(Rates, AreMeasured) {
  const ComputeDevice cpu = device_of(device::Precision::fp32);
  EXPECT_GT(measure_gemm(cpu, 1, 2), 1e6);
  EXPECT_GT(measure_check_gemm(1), 1e6);
  EXPECT_GT(measure_fresh_memory(), 1e6);
}

}  // namespace
}  // namespace ntk::kernel
