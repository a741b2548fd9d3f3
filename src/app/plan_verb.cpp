#include "app/plan_verb.hpp"

#include <algorithm>
#include <optional>

#include "app/plan_limits.hpp"
#include "app/startup.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/memory.hpp"
#include "device/cpu/blas_core.hpp"
#include "kernel/identity.hpp"
#include "kernel/plan.hpp"
#include "kernel/preparation.hpp"
#include "spectrum/memory.hpp"
#include "spectrum/named_kernel.hpp"
#include "spectrum/plan.hpp"
#include "spectrum/projections.hpp"

namespace ntk::app {
namespace {

using nlohmann::json;

constexpr int most_ranks = 4096;  // of a sweep

void check_request(const PlanRequest& r) {
  require(r.ranks >= 1 && r.nodes >= 1 && r.nodes <= r.ranks, ExitCode::usage,
          "--ranks {} --nodes {} (each node has a rank at least) correct them", r.ranks, r.nodes);
  require(r.device.empty() || r.device == "cpu" || r.device == "cuda", ExitCode::usage,
          "--device {} (there are cpu and cuda) correct it", r.device);
  require(r.disk_gbs > 0 && r.rate_gflops >= 0 && r.device_memory >= 0 && r.node_memory >= 0,
          ExitCode::usage, "a negative rate or memory (or a disk that writes nothing) correct it");
  const bool gpu = r.device == "cuda";
  require(
      !gpu || r.device_memory > 0, ExitCode::usage,
      "--device cuda without --device-memory (the plan is for a GPU that need not be here) give "
      "its memory in GiB");
  require(!gpu || r.rate_gflops > 0, ExitCode::usage,
          "--device cuda without --rate-gflops (no GPU is measured) give the rate of its products "
          "in the job's precision, for example kernel.gemm_rate of a summary.json, in GFLOP/s");
}

std::string state_word(store::FileState state) {
  switch (state) {
    case store::FileState::fresh:
      return "fresh";
    case store::FileState::resumed:
      return "begun";
    default:
      return "complete";
  }
}

// Everything about a job that does not depend on the number of ranks.
class Planner {
 public:
  Planner(MPI_Comm self, const PlanRequest& request)
      : request_(request), job_(read_job(request.job_path, request.overrides)) {
    check_request(request);
    if (!request.device.empty()) job_.kernel.device = request.device;
    ranks_a_node_ = (request.ranks + request.nodes - 1) / request.nodes;
    resources_ = plan_resources(job_, ranks_a_node_, request.node_memory * gib);
    if (job_.has_spectrum || job_.has_theory) {
      spectrum::require_one_rank_for_gpu(job_.spectrum.device, request.ranks);
    }
    settle(self, {job_.run.directory + "/" + store::kernel_name});
    if (!complete() && device_.recorded) {  // its kernel grows: on a device of the same kind
      job_.kernel.device = device_.kind == device::Kind::cuda ? "cuda" : "cpu";
      settle(self, {});
    }
    order_ = inputs_->panels.grid(0, inputs_->outputs.rows_per_sample).rows();
    // A complete kernel needs no memory and no device.
    if (complete()) device_.memory = device_.host = 0;
    if (!complete()) kernel::check_memory(job_, device_, *inputs_, 0);
    const auto program = static_cast<double>(peak_resident_memory());
    find_rates();
    kernel_.emplace(job_, *inputs_, device_, rates_, *file_, program);
  }

  json plan() const {
    json plan = {{"format", "ntkspectra-plan"},
                 {"format_version", 1},
                 {"job", request_.job_path},
                 {"directory", job_.run.directory},
                 {"ranks", request_.ranks},
                 {"nodes", request_.nodes},
                 {"threads", resources_.threads},
                 {"device", device_.kind == device::Kind::cuda ? "cuda" : "cpu"},
                 {"precision", job_.kernel.precision},
                 {"kernel", kernel()}};
    if (job_.has_spectrum || job_.has_theory) plan["spectrum"] = spectrum();
    plan["largest"] = largest();
    if (request_.sweep) plan["sweep"] = sweep();
    return plan;
  }

 private:
  // As the kernel stage does, but for the weights' hash and for GPUs that are not here.
  void settle(MPI_Comm self, const std::vector<std::string>& recorded) {
    const bool imagined = request_.device == "cuda";
    device_ = imagined ? kernel::imagined_gpu(job_, resources_, request_.device_memory * gib)
                       : kernel::choose_device(self, job_, resources_, recorded);
    inputs_.emplace(kernel::read_kernel_inputs(job_, device_));
    std::vector<std::string> unknown{"weights.sha256"};
    if (inputs_->probe) unknown.push_back("head.sha256");
    if (imagined) {
      unknown.insert(unknown.end(), kernel::hardware_keys.begin(), kernel::hardware_keys.end());
    }
    const auto identity = kernel::kernel_identity(job_, *inputs_, device_, "");
    const auto spec = kernel::make_spec(job_, *inputs_, identity, json::object());
    file_.emplace(store::plan_file(job_.run.directory, spec, unknown));
  }
  bool complete() const { return file_->state == store::FileState::complete; }

  void find_rates() {
    device::cpu::set_blas_threads(1);  // as in the kernel stage
    rates_.disk = request_.disk_gbs * 1e9;
    if (complete()) {
      rates_.gemm = rates_.check = 1;  // nothing is computed
      return;
    }
    const int cpus = available_cpus();
    const int threads = std::min(resources_.threads, cpus);
    const int at_once = std::clamp(cpus / threads, 1, ranks_a_node_);
    rates_.gemm = request_.rate_gflops * 1e9;
    if (rates_.gemm == 0) {
      rates_.gemm =
          kernel::measure_gemm(device_, threads, at_once) *
          (device_.kind == device::Kind::cuda ? 1
                                              : static_cast<double>(resources_.threads) / threads);
    }
    rates_.check = kernel::measure_check_gemm(threads) * resources_.threads / threads;
    if (device_.kind == device::Kind::cpu) rates_.fresh_memory = kernel::measure_fresh_memory();
  }

  json kernel() const {
    const kernel::RunPlan run = kernel_->run(request_.ranks);
    const auto& first = inputs_->panels.sets()[0];
    json sets = json::object();
    for (std::size_t s = 1; s < inputs_->panels.sets().size(); ++s) {
      const auto& set = inputs_->panels.sets()[s];
      sets[set.name] = set.samples() * inputs_->outputs.rows_per_sample;
    }
    std::int64_t parameters = 0;
    for (const auto& p : inputs_->model.architecture.parameters) {
      parameters += p.selected ? p.count() : 0;
    }
    const auto& o = run.operations;
    const auto& m = run.memory;
    const auto& t = run.seconds;
    json memory = {{"program_gib", m.program / gib},
                   {"weights_gib", m.weights / gib},
                   {"panels_gib", m.panels / gib},
                   {"gradients_gib", m.gradients / gib},
                   {"tiles_gib", m.tiles / gib},
                   {"copies_gib", m.copies / gib},
                   {"self_check_gib", m.check / gib},
                   {"host_gib", m.host / gib},
                   {"device_gib", m.device / gib},
                   {"limit_gib", static_cast<double>(device_.memory) / gib}};
    if (complete()) memory = json::object();
    // An identity of some 3 kB from every rank to every rank, and what is done of every unit.
    const double messages =
        request_.ranks > 1 ? 3000.0 * request_.ranks + 4.0 * static_cast<double>(kernel_->units())
                           : 0;
    return {{"state", state_word(file_->state)},
            {"samples", first.samples()},
            {"rows", order_},
            {"evaluate_rows", sets},
            {"tokens", first.tokens.tokens.size()},
            {"parameters", parameters},
            {"groups", inputs_->groups.names},
            {"panels", inputs_->panels.all().size()},
            {"tiles", kernel_->units() / job_.kernel.ranges},
            {"units", kernel_->units()},
            {"units_left", kernel_->units_left()},
            {"tasks", run.tasks.size()},
            {"tasks_keeping_records", run.kept_records},
            {"operations",
             {{"forward", o.forward},
              {"recompute", o.recompute},
              {"backward", o.backward},
              {"forming", o.forming},
              {"contraction",
               {{"explicit", o.explicit_},
                {"structured", o.structured},
                {"vectors", o.vectors},
                {"lookups", o.lookups}}},
              {"total", o.total()},
              {"useful", run.useful}}},
            {"memory", memory},
            {"network_bytes_a_rank", messages},
            {"files",
             {{"kernel_bytes", file_->complete_bytes},
              {"partial_bytes", file_->partial_bytes},
              {"mirror_bytes", file_->mirror_bytes},
              {"needed_bytes", file_->needed_bytes},
              {"free_bytes", file_->free_bytes}}},
            {"rates",
             {{"gemm", rates_.gemm},
              {"gemm_measured", request_.rate_gflops == 0},
              {"check", rates_.check},
              {"fresh_memory", rates_.fresh_memory},
              {"disk", rates_.disk}}},
            {"seconds",
             {{"start", t.start},
              {"fresh_memory", t.memory},
              {"kernel", t.kernel},
              {"self_check", complete() ? 0 : t.check},
              {"finish", complete() ? 0 : t.finish},
              {"total", complete() ? t.start : t.total()},
              {"floor", run.floor}}},
            {"efficiency", run.efficiency},
            {"rebuild_share", o.contraction() > 0 ? o.building() / o.contraction() : 0}};
  }

  ntk::spectrum::KernelSizes sizes(std::int64_t order) const {
    ntk::spectrum::KernelSizes sizes;
    sizes.order = order;
    const auto& table = inputs_->tables[0];
    const std::vector<double> outputs(table.source_row.size() *
                                      static_cast<std::size_t>(inputs_->outputs.output_columns));
    for (const auto& field : ntk::spectrum::fields_of(
             table, outputs, inputs_->outputs.output_columns, inputs_->outputs.rows_per_sample)) {
      sizes.field_columns += field.columns;
      if (field.variance) sizes.variance_columns += field.columns;
    }
    for (std::size_t s = 1; s < inputs_->panels.sets().size(); ++s) {
      sizes.evaluate_rows.push_back(inputs_->panels.sets()[s].samples() *
                                    inputs_->outputs.rows_per_sample);
    }
    return sizes;
  }

  double node_memory() const {
    return request_.node_memory > 0 ? request_.node_memory * gib
                                    : static_cast<double>(available_memory());
  }

  ntk::spectrum::SpectrumPlan spectrum_plan(std::int64_t order) const {
    const auto plan =
        ntk::spectrum::plan_spectrum(job_.spectrum, job_.has_theory, request_.ranks, sizes(order));
    ntk::spectrum::require_room(std::min(ranks_a_node_, plan.shape.active()), plan.bytes,
                                node_memory());
    return plan;
  }

  json spectrum() const {
    static_cast<void>(ntk::spectrum::named_kernels(job_.spectrum.kernels, inputs_->groups.names));
    const auto plan = spectrum_plan(order_);
    return {{"order", order_},
            {"method", plan.request.full ? "full" : "leading"},
            {"vectors", plan.request.vectors},
            {"spectra", plan.spectra},
            {"grid",
             {{"rows", plan.shape.rows},
              {"columns", plan.shape.columns},
              {"block", plan.block},
              {"idle", request_.ranks - plan.shape.active()}}},
            {"memory_gib", plan.bytes / gib},
            {"local_numbers", plan.local_numbers},
            {"workspace_numbers", plan.workspace_numbers},
            {"largest_32bit", 2147483647},
            {"network_bytes_a_rank", plan.network_bytes},
            {"file_bytes", plan.file_bytes}};
  }

  json largest() const {
    const std::int64_t rows = inputs_->outputs.rows_per_sample;
    KernelSize size;
    size.matrices = 1 + static_cast<int>(inputs_->groups.names.size());
    size.bytes = job_.kernel.storage == "fp32" ? 4 : 8;
    size.ranges = job_.kernel.ranges;
    for (std::size_t s = 1; s < inputs_->panels.sets().size(); ++s) {
      size.evaluate_rows += inputs_->panels.sets()[s].samples() * rows;
    }
    size.mirror = job_.kernel.mirror;
    // What is there already makes way, or is gone on with.
    const bool fresh = file_->state == store::FileState::fresh;
    const auto room = static_cast<double>(file_->free_bytes + (fresh ? 0 : file_->complete_bytes));
    json found = {{"disk", largest_samples([&](std::int64_t samples) {
                     return size.of(samples * rows) <= room;
                   })}};
    if (job_.has_spectrum || job_.has_theory) {
      found["spectrum"] = largest_samples([&](std::int64_t samples) {
        try {
          static_cast<void>(spectrum_plan(samples * rows));
          return true;
        } catch (const Error&) {
          return false;
        }
      });
    }
    std::int64_t all = largest_possible;
    for (const auto& [name, samples] : found.items()) {
      all = std::min(all, samples.get<std::int64_t>());
    }
    found["samples"] = all;
    return found;
  }

  // Ranks as many a node, and with as much memory and as many threads, as the request says.
  json sweep() const {
    json rows = json::array();
    const auto most = std::min<std::int64_t>(most_ranks, kernel_->units_left());
    double one = 0;
    for (int ranks = 1; ranks <= most; ranks *= 2) {
      const kernel::RunPlan run = kernel_->run(ranks);
      if (ranks == 1) one = run.seconds.kernel;
      rows.push_back({{"ranks", ranks},
                      {"tasks", run.tasks.size()},
                      {"seconds", run.seconds.kernel},
                      {"speedup", one / run.seconds.kernel},
                      {"efficiency", run.efficiency},
                      {"idle", run.idle},
                      {"rebuild_share", run.operations.building() / run.operations.contraction()},
                      {"host_gib", run.memory.host / gib},
                      {"device_gib", run.memory.device / gib}});
    }
    return rows;
  }

  const PlanRequest& request_;
  Job job_;
  int ranks_a_node_ = 1;
  kernel::Resources resources_;
  kernel::ComputeDevice device_;
  std::optional<kernel::KernelInputs> inputs_;
  std::optional<store::FilePlan> file_;
  std::optional<kernel::KernelPlan> kernel_;
  kernel::Rates rates_;
  std::int64_t order_ = 0;  // of train x train
};

}  // namespace

void run_plan(MPI_Comm self, const PlanRequest& request) {
  if (request.json) log::leave_output_to_results();
  const json plan = Planner(self, request).plan();
  if (request.json) {
    log::write_plain(plan.dump(1));
    return;
  }
  for (const auto& line : plan_table(plan)) log::write_plain(line);
}

}  // namespace ntk::app
