#include "kernel/identity.hpp"

#include <algorithm>

#include "base/sha256.hpp"
#include "jacobian/cost.hpp"
#include "kernel/operations.hpp"
#include "parallel/collectives.hpp"
#include "store/kernel_layout.hpp"

namespace ntk::kernel {

using nlohmann::json;

namespace {

// Of all in config.json that decides the arithmetic, defaults included: the weights leave it open.
std::string config_sha256(const model::ModelConfig& c, const model::Architecture& a) {
  const json resolved = {{"model_type", c.model_type},
                         {"hidden_size", c.hidden_size},
                         {"num_hidden_layers", c.num_hidden_layers},
                         {"num_attention_heads", c.num_attention_heads},
                         {"intermediate_size", c.intermediate_size},
                         {"max_position_embeddings", c.max_position_embeddings},
                         {"first_position", a.first_position},
                         {"type_vocab_size", c.type_vocab_size},
                         {"vocab_size", c.vocab_size},
                         {"layer_norm_eps", c.layer_norm_eps},
                         {"hidden_act", static_cast<int>(c.hidden_act)}};
  return sha256_text(resolved.dump());
}

// Only where it is another body than the checkpoint's.
void add_initialisation(const Job& job, const KernelInputs& inputs, json& identity) {
  if (job.model.initialisation == "pretrained") return;
  identity["model.initialisation"] = job.model.initialisation;
  identity["model.initialisation_seed"] = job.model.initialisation_seed;
  identity["model.initializer_range"] = inputs.model.config.initializer_range;
  if (job.model.initialisation == "mixed")
    identity["model.reinitialised_layers"] = job.model.reinitialised_layers;
}

}  // namespace

json probe_recipe(const Job& job, const KernelInputs& inputs, const std::string& weights_sha256) {
  std::string rows;
  for (const auto row : inputs.probe->table.source_row) rows += fmt::format("{} ", row);
  json recipe = {{"version", 1},
                 {"weights.sha256", weights_sha256},
                 {"config.sha256", config_sha256(inputs.model.config, inputs.model.architecture)},
                 {"model.pooling", static_cast<int>(inputs.model.choices.pooling)},
                 {"model.probe_on", job.model.probe_on},
                 {"data.sha256", inputs.data_sha256[""]},
                 {"run.seed", job.run.seed},
                 {"rows", inputs.probe->samples.samples()},
                 {"rows.sha256", sha256_text(rows)}};
  add_initialisation(job, inputs, recipe);
  return recipe;
}

json kernel_identity(const Job& job, const KernelInputs& inputs, const ComputeDevice& device,
                     const std::string& weights_sha256) {
  std::string head_bytes;
  for (const auto* values : {&inputs.model.head.weight, &inputs.model.head.bias}) {
    head_bytes.append(reinterpret_cast<const char*>(values->data()),
                      values->size() * sizeof(float));
  }
  std::string selected;
  for (const auto& p : inputs.model.architecture.parameters) {
    if (p.selected) selected += p.name + "\n";
  }
  const auto& s = inputs.settings;
  json identity = {
      {"weights.sha256", weights_sha256},
      {"config.sha256", config_sha256(inputs.model.config, inputs.model.architecture)},
      {"head.sha256", sha256_text(head_bytes)},
      {"data.sha256", inputs.data_sha256.dump()},
      {"parameters.sha256", sha256_text(selected)},
      {"model.head",
       job.model.head == "random" || job.model.head == "checkpoint" ? job.model.head : "file"},
      {"model.pooling", static_cast<int>(inputs.model.choices.pooling)},
      {"data.samples", inputs.panels.sets()[0].samples()},
      {"data.evaluate_samples", job.data.evaluate_samples},
      {"run.seed", job.run.seed},
      {"kernel.outputs", job.kernel.outputs},
      {"kernel.precision", job.kernel.precision},
      {"kernel.groups", job.kernel.groups},
      {"kernel.storage", job.kernel.storage},
      {"kernel.batch_samples", job.kernel.batch_samples},
      {"kernel.tile_samples", job.kernel.tile_samples},
      {"kernel.slice_columns", job.kernel.slice_columns},
      {"kernel.ranges", job.kernel.ranges},
      {"arithmetic.chunk_columns", s.chunk_columns},
      {"arithmetic.structured_rows", s.structured_rows},
      {"arithmetic.panel_record_bytes", panel_record_bytes(device.kind)},
      {"arithmetic.cost_table", jacobian::cost_table_version}};
  add_initialisation(job, inputs, identity);
  identity.update(device.hardware);
  return identity;
}

// Collective. A tile's bits must not depend on who computed it: all ranks must see the same files
// and have the same arithmetic. (Of the weights the first rank's hash stands for all.)
void agree_on_identity(MPI_Comm comm, const json& identity, bool other_hardware) {
  char host[MPI_MAX_PROCESSOR_NAME] = {};
  int length = 0;
  MPI_Get_processor_name(host, &length);
  const auto all = parallel::all_gather(comm, json{{"host", host}, {"identity", identity}}.dump());
  const json first = json::parse(all.front());
  for (const auto& text : all) {
    if (text == all.front()) continue;
    const json other = json::parse(text);
    const json& ours = first["identity"];
    const json& theirs = other["identity"];
    for (const auto& key : store::differing_keys(ours, theirs)) {
      const bool hardware =
          std::find(hardware_keys.begin(), hardware_keys.end(), key) != hardware_keys.end();
      if (hardware && other_hardware) continue;
      throw parallel::AgreedError(
          ExitCode::usage,
          fmt::format("{} differs between ranks: {} on {}, {} on {} (a tile's bits must not depend "
                      "on who computes it) {}",
                      key, ours.value(key, json()).dump(), first["host"].get<std::string>(),
                      theirs.value(key, json()).dump(), other["host"].get<std::string>(),
                      hardware ? "use nodes of one kind, or kernel.allow_other_hardware = true"
                               : "give all nodes the same files"));
    }
  }
}

}  // namespace ntk::kernel
