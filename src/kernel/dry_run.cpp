#include "kernel/dry_run.hpp"

#include "kernel/task_runner.hpp"

namespace ntk::kernel {
namespace {

template <class Real>
DryRun run(const KernelInputs& inputs, const ComputeDevice& device, int ranges,
           const std::vector<const Task*>& tasks, const std::function<bool(const Task&)>& keeps) {
  device::CountingBackend<Real> backend(device.kind, device.precision, device.memory);
  backend.time_gemm();
  const model::Model<Real> model(backend, inputs.model, model::Contents::none);
  TaskRunner<Real> runner(backend, model, inputs.settings, inputs.outputs, inputs.groups, ranges);
  WorkTimes times;
  for (const Task* task : tasks) {
    runner.run(
        inputs.panels, *task, keeps(*task), times, [](double) {},
        [](const store::Unit&, const store::TileData&) {});
  }
  return {backend.peak_bytes(), backend.operand_peak(), backend.counts()};
}

}  // namespace

DryRun dry_run(const KernelInputs& inputs, const ComputeDevice& device, int ranges,
               const std::vector<const Task*>& tasks,
               const std::function<bool(const Task&)>& keeps) {
  return device.precision == device::Precision::fp64
             ? run<double>(inputs, device, ranges, tasks, keeps)
             : run<float>(inputs, device, ranges, tasks, keeps);
}

}  // namespace ntk::kernel
