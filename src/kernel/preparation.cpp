#include "kernel/preparation.hpp"

#include <algorithm>
#include <cmath>

#include "kernel/identity.hpp"
#include "kernel/memory_plan.hpp"
#include "kernel/self_check.hpp"
#include "parallel/collectives.hpp"

namespace ntk::kernel {
namespace {

constexpr double usual_task_seconds = 120;

// Reading refuses weights that are not finite.
void check_weights(const KernelInputs& inputs) {
  for (const auto& p : inputs.model.architecture.parameters) {
    if (p.from_checkpoint()) static_cast<void>(inputs.model.checkpoint->read<float>(p.source));
  }
}

}  // namespace

void check_memory_of_check(const Job& job, const ComputeDevice& device,
                           const KernelInputs& inputs) {
  static_cast<void>(check_panel_samples(inputs, check_samples(inputs, job.run.seed), device.host));
}

void check_memory(const Job& job, const ComputeDevice& device, const KernelInputs& inputs,
                  int rank) {
  const Operations operations(inputs.model.architecture, inputs.model.config, inputs.settings,
                              inputs.panels);
  static_cast<void>(MemoryPlan(job, inputs, operations, device));
  if (rank == 0) check_memory_of_check(job, device, inputs);
}

void check_first(const Job& job, const ComputeDevice& device, const KernelInputs& inputs, int rank,
                 store::FileState found) {
  if (found == store::FileState::complete) return;
  check_memory(job, device, inputs, rank);
  if (rank == 0 && found == store::FileState::fresh) check_weights(inputs);
}

ScheduleLimits schedule_limits(const Job& job, int ranks, int panels, double rate, double seconds) {
  const double asked = job.kernel.task_seconds;
  const double largest = asked > 0 ? asked : seconds / 8;
  const double usual = asked > 0 ? asked : std::min(usual_task_seconds, largest);
  return {ranks, job.kernel.ranges, panels, usual * rate, largest * rate};
}

bool wants_mirror(const Job& job, const KernelInputs& inputs) {
  if (job.kernel.mirror != Job::Kernel::Mirror::automatic) {
    return job.kernel.mirror == Job::Kernel::Mirror::on;
  }
  const double n =
      static_cast<double>(inputs.panels.grid(0, inputs.outputs.rows_per_sample).rows());
  const double bytes = job.kernel.storage == "fp32" ? 4 : 8;
  return n * n * bytes * static_cast<double>(1 + inputs.groups.names.size()) <= 32.0 * (1 << 30);
}

store::KernelSpec make_spec(const Job& job, const KernelInputs& inputs,
                            const nlohmann::json& identity, const nlohmann::json& provenance) {
  store::KernelSpec spec;
  spec.identity = identity;
  spec.provenance = provenance;
  spec.provenance.update(head_provenance(inputs));
  spec.rows_per_sample = inputs.outputs.rows_per_sample;
  spec.output_columns = inputs.outputs.output_columns;
  spec.groups = inputs.groups.names;
  spec.single_precision = job.kernel.storage == "fp32";
  spec.ranges = job.kernel.ranges;
  spec.error_samples = static_cast<std::int64_t>(check_samples(inputs, job.run.seed).size());
  spec.mirror_planned = wants_mirror(job, inputs);
  if (job.kernel.allow_other_hardware) spec.free_keys = hardware_keys;
  for (std::size_t s = 0; s < inputs.tables.size(); ++s) {
    spec.sets.push_back({inputs.panels.sets()[s].name,
                         inputs.panels.grid(static_cast<int>(s), spec.rows_per_sample),
                         inputs.tables[s]});
  }
  return spec;
}

SettledJob settle(MPI_Comm comm, const Job& job, const Resources& resources,
                  const nlohmann::json& provenance, const std::vector<std::string>& recorded,
                  const HeadFit& fit) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  SettledJob settled{job, choose_device(comm, job, resources, recorded), nullptr, {}};
  std::string weights;
  std::unique_ptr<KernelInputs> inputs;
  parallel::collectively(comm, [&] {
    inputs = std::make_unique<KernelInputs>(read_kernel_inputs(job, settled.device));
    if (rank == 0) weights = inputs->model.checkpoint->sha256();
  });
  parallel::broadcast(comm, weights);
  if (inputs->probe) {
    inputs->model.head = probe_head(comm, job, *inputs, probe_recipe(job, *inputs, weights), fit);
  }
  settled.inputs = std::move(inputs);
  const auto identity = kernel_identity(job, *settled.inputs, settled.device, weights);
  agree_on_identity(comm, identity, job.kernel.allow_other_hardware);
  settled.spec = make_spec(job, *settled.inputs, identity, provenance);
  return settled;
}

void settle_on_device(MPI_Comm comm, SettledJob& settled, const Resources& resources,
                      const nlohmann::json& provenance, const HeadFit& fit) {
  if (!settled.device.recorded) return;
  Job job = settled.job;
  job.kernel.device = settled.device.kind == device::Kind::cuda ? "cuda" : "cpu";
  settled = settle(comm, job, resources, provenance, {}, fit);
}

}  // namespace ntk::kernel
