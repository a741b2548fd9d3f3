#include "kernel/preparation.hpp"

#include "kernel/memory_plan.hpp"
#include "kernel/self_check.hpp"
#include "store/disk.hpp"

namespace ntk::kernel {
namespace {

// Reading refuses weights that are not finite.
void check_weights(const KernelInputs& inputs) {
  for (const auto& p : inputs.model.architecture.parameters) {
    if (!p.source.empty()) static_cast<void>(inputs.model.checkpoint->read<float>(p.source));
  }
}

}  // namespace

void check_memory(const Job& job, const ComputeDevice& device, const KernelInputs& inputs,
                  int rank) {
  const Operations operations(inputs.model.architecture, inputs.model.config, inputs.settings,
                              inputs.panels);
  static_cast<void>(MemoryPlan(job, inputs, operations, device));
  if (rank != 0) return;
  static_cast<void>(check_panel_samples(inputs, check_samples(inputs, job.run.seed), device.host));
}

void check_first(const Job& job, const ComputeDevice& device, const KernelInputs& inputs,
                 int rank) {
  const std::string path = job.run.directory + "/kernel.h5";
  if (store::file_exists(path)) return;
  check_memory(job, device, inputs, rank);
  if (rank == 0 && !store::file_exists(path + ".partial")) check_weights(inputs);
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

}  // namespace ntk::kernel
