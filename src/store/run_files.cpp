#include "store/run_files.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/log.hpp"
#include "base/memory.hpp"
#include "store/disk.hpp"
#include "store/kernel_layout.hpp"
#include "store/tile_file.hpp"
#include "store/tile_import.hpp"

namespace ntk::store {

namespace {

// A file with holes is stored in blocks: of a share each row of a tile begins one more.
constexpr std::int64_t block_bytes = 4096;

bool is_share(const FileRequest& request) {
  return request.name != kernel_name;
}

}  // namespace

std::int64_t bytes_needed(const KernelSpec& spec, const FileRequest& request,
                          const std::vector<std::unique_ptr<TileSource>>& sources) {
  const bool share = is_share(request);
  const TileStates wanted = wanted_of(spec, request);
  std::int64_t needed = 0;
  for (const auto& planned : planned_datasets(spec)) {
    if (planned.path.starts_with("/partial/") || (share && planned.matrix)) continue;
    needed += planned.bytes() - (spec.mirror_planned ? 0 : planned.sparse_bytes);
  }
  const auto matrices = static_cast<std::int64_t>(spec.groups.size()) + 1;
  const std::int64_t final_size = spec.single_precision ? 4 : 8;
  const int sum = sum_row(spec.ranges);
  for_tiles(spec, [&](int set, std::int64_t tile) {
    const Rectangle box = rectangle(spec.sets[static_cast<std::size_t>(set)].grid, tile);
    const auto bytes = [&](std::int64_t size) {
      return matrices * box.rows * (box.columns * size + (share ? block_bytes : 0));
    };
    std::int64_t ranges = 0;
    for (int range = 0; range < spec.ranges; ++range) ranges += wanted.has(set, tile, range);
    const bool summed = sum < 0 || std::any_of(sources.begin(), sources.end(), [&](const auto& s) {
                          return s->offers(set, tile, sum);
                        });
    if (!summed)
      needed += ranges * bytes(8);
    else if (share && ranges > 0)
      needed += bytes(final_size);
  });
  return needed;
}

void check_space(const std::string& directory, std::int64_t needed, std::int64_t available) {
  require(available >= needed, ExitCode::io,
          "not enough room for the kernel file in {} ({:.1f} GiB needed, {:.1f} GiB free) choose "
          "another run.directory, fewer data.samples, kernel.storage = \"fp32\", fewer groups or "
          "kernel.mirror = false",
          directory, static_cast<double>(needed) / gib, static_cast<double>(available) / gib);
}

namespace {

h5::Handle open_partial(const std::string& path) {
  try {
    return h5::open_file(path);
  } catch (const Error& error) {
    fail(ExitCode::io,
         "cannot go on with the unfinished {} ({}) if it is damaged, move it away to start over, "
         "or use another run.directory",
         path, error.what());
  }
}

// Of a file that is not needed: nothing is said of one that cannot be read.
std::optional<Kinship> kinship_of(const std::string& path, const KernelSpec& spec) {
  try {
    return kinship(h5::open_file(path), path, spec);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// What is set aside of the same or a smaller kernel.
std::vector<std::pair<std::string, Kinship>> asides_of(const FileNames& names,
                                                       const KernelSpec& spec) {
  std::vector<std::pair<std::string, Kinship>> found;
  for (const auto& path : names.asides()) {
    const auto kin = kinship_of(path, spec);
    if (kin == Kinship::same || kin == Kinship::smaller) found.emplace_back(path, *kin);
  }
  return found;
}

bool same_aside(const FileNames& names, const KernelSpec& spec, std::string& path) {
  for (const auto& [aside, kin] : asides_of(names, spec)) {
    if (kin != Kinship::same) continue;
    path = aside;
    return true;
  }
  return false;
}

// Whether a complete share has all its units: another version of the program may have divided the
// work in another way.
bool covers(const std::string& path, const KernelSpec& spec, const FileRequest& request) {
  const TileFile file(path, spec);
  TileStates states(spec);
  for (int set = 0; set < static_cast<int>(spec.sets.size()); ++set)
    states.put_all(set, file.states(set));
  return std::all_of(request.units.begin(), request.units.end(),
                     [&](const Unit& unit) { return states.has(unit); });
}

// Whether the complete file is of this job; one of a smaller kernel is not. Throws for others.
bool complete_of_job(const FileNames& names, const KernelSpec& spec, const FileRequest& request) {
  if (!file_exists(names.complete)) return false;
  const h5::Handle file = h5::open_file(names.complete);
  const bool same = check_identity(file, names.complete, spec) == Kinship::same;
  require(is_share(request) || h5::read_attribute(file, "complete") == 1, ExitCode::io,
          "{} is not complete (nothing of ours leaves it so) move it away", names.complete);
  return same;
}

// `names` of a file that is begun. After a cut in its last step it cannot be read yet.
bool begun(const FileNames& names, const KernelSpec& spec) {
  if (!file_exists(names.partial)) {
    std::string aside;
    return same_aside(names, spec, aside);
  }
  return file_exists(names.undo) ||
         check_identity(open_partial(names.partial), names.partial, spec) == Kinship::same;
}

}  // namespace

std::string FileNames::aside(std::int64_t samples) const {
  return fmt::format("{}.smaller-{}", complete, samples);
}

std::vector<std::string> FileNames::asides() const {
  const std::filesystem::path path(complete);
  const std::string start = path.filename().string() + ".smaller-";
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path(), error))
    if (entry.path().filename().string().starts_with(start)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

TileStates wanted_of(const KernelSpec& spec, const FileRequest& request) {
  TileStates wanted(spec, !is_share(request));
  for (const Unit& unit : request.units) wanted.put(unit.set, unit.tile, unit.range);
  return wanted;
}

FileState find_state(const std::string& directory, const KernelSpec& spec,
                     const FileRequest& request) {
  const FileNames names(directory, request.name);
  if (is_share(request)) {
    const FileNames whole(directory, kernel_name);
    if (complete_of_job(whole, spec, {})) return FileState::complete;
  }
  if (complete_of_job(names, spec, request)) {
    if (is_share(request) && !covers(names.complete, spec, request)) return FileState::resumed;
    // Mending it may have been cut off.
    const bool going_on =
        file_exists(names.partial) &&
        (file_exists(names.undo) || kinship_of(names.partial, spec) == Kinship::same);
    if (!going_on && !request.repair) return FileState::complete;
  }
  return begun(names, spec) ? FileState::resumed : FileState::fresh;
}

std::vector<std::unique_ptr<TileSource>> find_sources(const FileNames& names,
                                                      const KernelSpec& spec,
                                                      const FileRequest& request) {
  // A file that is to be mended or grown must be usable; of others, what can be used is taken.
  std::vector<std::unique_ptr<TileSource>> sources;
  const auto add = [&](const std::string& path) {
    sources.push_back(std::make_unique<TileSource>(path, spec));
  };
  if (file_exists(names.complete)) add(names.complete);
  for (const auto& [path, kin] : asides_of(names, spec)) add(path);
  for (const auto& path : request.sources) {
    try {
      add(path);
    } catch (const Error& error) {
      if (error.code() != ExitCode::io) throw;
      log::warn("{} is left out: {}", path, error.what());
    }
  }
  return sources;
}

Prepared prepare(const std::string& directory, const KernelSpec& spec, const FileRequest& request) {
  make_directory(directory);
  const FileNames names(directory, request.name);
  if (file_exists(names.undo)) {
    if (file_exists(names.partial))
      restore_metadata(names.partial, names.undo);
    else
      remove_file(names.undo);
  }
  Prepared prepared{find_state(directory, spec, request), {}};
  if (prepared.state == FileState::complete) {
    if (file_exists(names.complete)) {  // and not another one, which a share is part of
      warn_of_free_keys(names.complete, spec);
      remove_asides(names, spec);
    }
    return prepared;
  }
  if (prepared.state == FileState::resumed) {
    std::string aside;
    if (!file_exists(names.partial))
      rename_durably(same_aside(names, spec, aside) ? aside : names.complete, names.partial);
    check_layout(open_partial(names.partial), names.partial, spec);
    warn_of_free_keys(names.partial, spec);
  } else if (file_exists(names.partial)) {
    const auto identity = read_identity(open_partial(names.partial), names.partial);
    rename_durably(names.partial, names.aside(identity[spec.size_key].get<std::int64_t>()));
  }
  const auto sources = find_sources(names, spec, request);
  if (prepared.state == FileState::fresh) {
    require_writable(directory);
    remove_file(names.fresh);
    check_space(directory, bytes_needed(spec, request, sources), free_bytes(directory));
    lay_out(names.fresh, spec);
    rename_durably(names.fresh, names.partial);
  }
  for (const auto& source : sources) prepared.sources.push_back(source->path());
  return prepared;
}

void remove_asides(const FileNames& names, const KernelSpec& spec) {
  for (const auto& [path, kin] : asides_of(names, spec)) remove_file(path);
}

}  // namespace ntk::store
