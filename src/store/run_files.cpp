#include "store/run_files.hpp"

#include "store/disk.hpp"
#include "store/kernel_layout.hpp"

namespace ntk::store {

namespace {

using State = KernelWriter::State;

constexpr double gib = 1024.0 * 1024.0 * 1024.0;

void check_space(const std::string& directory, const KernelSpec& spec) {
  std::int64_t needed = 0;
  for (const auto& planned : planned_datasets(spec))
    needed += planned.bytes() - (spec.mirror_planned ? 0 : planned.sparse_bytes);
  const std::int64_t available = free_bytes(directory);
  require(available >= needed, ExitCode::io,
          "not enough room for the kernel file in {} ({:.1f} GiB needed, {:.1f} GiB free) choose "
          "another run.directory, fewer data.samples, kernel.storage = \"fp32\", fewer groups or "
          "kernel.mirror = false",
          directory, static_cast<double>(needed) / gib, static_cast<double>(available) / gib);
}

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

}  // namespace

State prepare(const std::string& directory, const FileNames& names, const KernelSpec& spec) {
  make_directory(directory);
  if (file_exists(names.complete)) {
    const h5::Handle existing = h5::open_file(names.complete);
    check_identity(existing, names.complete, spec);
    require(h5::read_attribute(existing, "complete") == 1, ExitCode::io,
            "{} is not complete (nothing of ours leaves it so) move it away", names.complete);
    remove_file(names.undo);
    return State::complete;
  }
  if (file_exists(names.partial)) {
    if (file_exists(names.undo)) restore_metadata(names.partial, names.undo);
    const h5::Handle existing = open_partial(names.partial);
    check_identity(existing, names.partial, spec);
    check_layout(existing, names.partial, spec);
    return State::resumed;
  }
  require_writable(directory);
  remove_file(names.undo);
  remove_file(names.fresh);
  check_space(directory, spec);
  lay_out(names.fresh, spec);
  rename_durably(names.fresh, names.partial);
  return State::fresh;
}

}  // namespace ntk::store
