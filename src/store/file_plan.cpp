#include "store/file_plan.hpp"

#include <filesystem>

#include "store/disk.hpp"

namespace ntk::store {
namespace {

// The directory, or the one above it that is there.
std::string existing(const std::string& directory) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(directory, error);
  while (!std::filesystem::exists(path, error) && path.has_relative_path()) {
    path = path.parent_path();
  }
  return path.string();
}

void take_unknown(const FileNames& names, const std::vector<std::string>& unknown,
                  KernelSpec& spec) {
  for (const auto& path : {names.complete, names.partial}) {
    if (!file_exists(path)) continue;
    const auto stored = read_identity(h5::open_file(path), path);
    for (const auto& key : unknown) {
      spec.identity.erase(key);
      if (stored.contains(key)) spec.identity[key] = stored[key];
    }
    return;
  }
}

// Every unit that `source` has.
void add(const TileSource& source, const KernelSpec& spec, TileStates& there) {
  for_tiles(spec, [&](int set, std::int64_t tile) {
    for (int row = 0; row < journal_rows(spec.ranges); ++row) {
      if (source.offers(set, tile, row)) there.put(set, tile, row);
    }
  });
}

}  // namespace

FilePlan plan_file(const std::string& directory, KernelSpec spec,
                   const std::vector<std::string>& unknown) {
  check_spec(spec);
  const FileNames names(directory, kernel_name);
  // Between the two names of the last step the partial file may not open: all its tiles are there.
  const bool concluding = file_exists(names.partial) && file_exists(names.undo);
  if (!concluding) take_unknown(names, unknown, spec);
  FilePlan plan{concluding ? FileState::resumed : find_state(directory, spec), TileStates(spec)};
  for (const auto& planned : planned_datasets(spec)) {
    const bool partial = planned.path.starts_with("/partial/");
    plan.partial_bytes += planned.bytes() + metadata_bytes_a_dataset;
    plan.complete_bytes += (partial ? 0 : planned.bytes()) + metadata_bytes_a_dataset;
    if (!partial) plan.mirror_bytes += spec.mirror_planned ? planned.sparse_bytes : 0;
  }
  plan.complete_bytes += closing_bytes;
  const std::string place = existing(directory);
  plan.free_bytes = free_bytes(place);
  if (plan.state == FileState::complete || concluding) {
    plan.there = TileStates(spec, true);
    return plan;
  }
  if (file_exists(names.partial)) {  // of this kernel, or of a smaller one
    if (plan.state == FileState::resumed) {
      check_layout(h5::open_file(names.partial), names.partial, spec);
    }
    add(TileSource(names.partial, spec), spec, plan.there);
  }
  const auto sources = find_sources(names, spec, {});
  for (const auto& source : sources) add(*source, spec, plan.there);
  if (plan.state == FileState::fresh) {
    require_writable(place);
    plan.needed_bytes = bytes_needed(spec, {}, sources);
    check_space(directory, plan.needed_bytes, plan.free_bytes);
  }
  return plan;
}

}  // namespace ntk::store
