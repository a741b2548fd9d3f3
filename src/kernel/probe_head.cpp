#include "kernel/probe_head.hpp"

#include <unordered_set>

#include "base/log.hpp"
#include "base/text.hpp"
#include "kernel/shares.hpp"
#include "parallel/collectives.hpp"
#include "store/disk.hpp"
#include "store/kernel_layout.hpp"

namespace ntk::kernel {

using nlohmann::json;

namespace {

json parse_record(const model::Head& head) {
  if (head.record.empty()) return nullptr;
  json record = json::parse(head.record, nullptr, false);
  const auto has = [&](const char* key, auto is) {
    return record.is_object() && record.contains(key) && (record[key].*is)();
  };
  bool fits = has("recipe", &json::is_object) && has("source_rows", &json::is_array) &&
              record["recipe"].value("data.sha256", json()).is_string();
  for (const auto& row : fits ? record["source_rows"] : json()) {
    fits = fits && row.is_number_integer();
  }
  require(
      fits, ExitCode::input,
      "the head's record of its fit cannot be read (metadata \"probe\" of its .safetensors file "
      "has no recipe or rows) use the file as ntk wrote it, or one without that metadata");
  return record;
}

bool holds_kernel(const std::string& directory) {
  const std::string kernel = directory + "/" + store::kernel_name;
  return store::file_exists(kernel) || store::file_exists(kernel + ".partial") ||
         !share_files(directory).empty();
}

// Of one process. A head without a record when there is none to take.
model::Head stored_head(const std::string& directory, const KernelInputs& inputs,
                        const json& recipe) {
  const std::string path = directory + "/head.safetensors";
  if (!store::file_exists(path)) return {};
  const model::Head head = model::read_head(path, inputs.model.config.hidden_size);
  const json record = parse_record(head);
  if (record.is_null()) return {};
  const auto differing = store::differing_keys(record["recipe"], recipe);
  if (differing.empty()) return head;
  require(!holds_kernel(directory), ExitCode::usage,
          "{} holds a kernel whose probe head was fitted otherwise (another {}; with more samples, "
          "other rows are left) keep that head with model.head = \"{}\", or use another "
          "run.directory",
          directory, join(differing), path);
  return {};
}

void broadcast_head(MPI_Comm comm, model::Head& head) {
  std::int64_t sizes[] = {head.outputs, static_cast<std::int64_t>(head.weight.size())};
  parallel::broadcast(comm, sizes, sizeof sizes);
  head.outputs = sizes[0];
  head.weight.resize(static_cast<std::size_t>(sizes[1]));
  head.bias.resize(static_cast<std::size_t>(sizes[0]));
  parallel::broadcast(comm, head.weight.data(), head.weight.size() * sizeof(float));
  parallel::broadcast(comm, head.bias.data(), head.bias.size() * sizeof(float));
  parallel::broadcast(comm, head.record);
}

}  // namespace

model::Head probe_head(MPI_Comm comm, const Job& job, const KernelInputs& inputs,
                       const json& recipe, const HeadFit& fit) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  model::Head head;
  parallel::on_first(comm, [&] { head = stored_head(job.run.directory, inputs, recipe); });
  broadcast_head(comm, head);
  if (!head.record.empty()) {
    if (rank == 0) log::info("head: {}/head.safetensors, fitted before", job.run.directory);
    return head;
  }
  ensure(static_cast<bool>(fit), "a probe head and nothing to fit it with");
  head = fit(comm, job, inputs);
  parallel::on_first(comm, [&] {
    json record = json::parse(head.record);
    record["recipe"] = recipe;
    record["source_rows"] = inputs.probe->table.source_row;
    head.record = record.dump();
  });
  broadcast_head(comm, head);
  return head;
}

json head_provenance(const KernelInputs& inputs) {
  json record = parse_record(inputs.model.head);
  if (record.is_null()) return json::object();
  std::int64_t fitted = 0;
  if (record["recipe"]["data.sha256"] == inputs.data_sha256[""]) {
    std::unordered_set<std::int64_t> rows;
    for (const auto& row : record["source_rows"]) rows.insert(row.get<std::int64_t>());
    for (const auto row : inputs.tables[0].source_row) fitted += rows.contains(row) ? 1 : 0;
  }
  // An attribute has 64 KiB at most.
  for (const char* by_row : {"source_rows", "fold_of_row"}) record.erase(by_row);
  return {{"head.probe", record.dump()}, {"head.fitted_samples", fitted}};
}

json head_summary(const KernelInputs& inputs) {
  const json provenance = head_provenance(inputs);
  if (provenance.empty()) return nullptr;
  return {{"probe", json::parse(provenance["head.probe"].get<std::string>())},
          {"fitted_samples", provenance["head.fitted_samples"]}};
}

}  // namespace ntk::kernel
