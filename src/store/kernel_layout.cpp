#include "store/kernel_layout.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/log.hpp"
#include "base/text.hpp"
#include "store/disk.hpp"

namespace ntk::store {

namespace {

std::int64_t samples_of(const KernelSpec& spec, const KernelSet& set) {
  return set.grid.rows() / spec.rows_per_sample;
}

void check_name(const std::string& name, const std::string& kind, std::set<std::string>& seen) {
  require(!name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos,
          ExitCode::usage,
          "{} \"{}\" cannot be stored (its name is empty, a dot or has a slash) "
          "rename it",
          kind, name);
  require(seen.insert(name).second, ExitCode::usage,
          "two {}s are named {} (each needs a name of its own) rename one", kind, name);
}

void check_table(const SampleTable& table, std::int64_t samples, const std::string& set) {
  const auto check = [&](const auto& values, std::int64_t columns, const char* what) {
    ensure(values.empty() || static_cast<std::int64_t>(values.size()) == samples * columns,
           "{} of set \"{}\" has {} values for {} samples", what, set, values.size(), samples);
  };
  check(table.source_row, 1, "source_row");
  check(table.tokens, 1, "tokens");
  check(table.label, 1, "label");
  check(table.target, table.label_sets, "target");
  check(table.reference, 1, "reference");
  check(table.reference_variance, 1, "reference_variance");
  check(table.noise_variance, table.noise_sets, "noise_variance");
  check(table.group, 1, "group");
  check(table.task, 1, "task");
}

void check_panels(const std::vector<std::int64_t>& starts, std::int64_t rows_per_sample) {
  ensure(!starts.empty() && starts.front() == 0, "panels do not start at 0");
  for (std::size_t p = 1; p < starts.size(); ++p)
    ensure(starts[p] > starts[p - 1] && starts[p] % rows_per_sample == 0, "panel {} ends at row {}",
           p - 1, starts[p]);
}

// Entries above the diagonal tiles.
std::int64_t upper_entries(const TileGrid& grid) {
  std::int64_t entries = 0;
  for (std::size_t p = 1; grid.symmetric && p < grid.row_starts.size(); ++p)
    entries += grid.row_starts[p - 1] * (grid.row_starts[p] - grid.row_starts[p - 1]);
  return entries;
}

// Calls visit(name, values, dims) for every array of a sample table that is stored.
template <class Visit>
void visit_table(const SampleTable& table, std::int64_t samples, Visit visit) {
  const auto one = [&](const char* name, const auto& values, h5::Dims dims) {
    if (!values.empty()) visit(name, values, std::move(dims));
  };
  one("source_row", table.source_row, {samples});
  one("tokens", table.tokens, {samples});
  one("label", table.label, {samples});
  one("target", table.target, {samples, table.label_sets});
  one("reference", table.reference, {samples});
  one("reference_variance", table.reference_variance, {samples});
  const bool each = table.noise_sets > 1;
  one("noise_variance", table.noise_variance,
      each ? h5::Dims{samples, table.noise_sets} : h5::Dims{samples});
  one("group", table.group, {samples});
  one("task", table.task, {samples});
}

// Calls visit(path, values, dims) for all of a set that is known before the first tile.
template <class Visit>
void visit_known(const KernelSpec& spec, const KernelSet& set, Visit visit) {
  std::vector<std::int64_t> sample, output;
  for (std::int64_t row = 0; row < set.grid.rows(); ++row) {
    sample.push_back(row / spec.rows_per_sample);
    output.push_back(row % spec.rows_per_sample);
  }
  const h5::Dims rows{set.grid.rows()};
  visit(rows_path(set.name) + "/sample", sample, rows);
  visit(rows_path(set.name) + "/output", output, rows);
  visit_table(set.samples, samples_of(spec, set),
              [&](const std::string& name, const auto& values, const h5::Dims& dims) {
                visit(samples_path(set.name) + "/" + name, values, dims);
              });
  const std::string journal = journal_path(set.name);
  visit(journal + "/row_starts", set.grid.row_starts, h5::Dims{set.grid.row_panels() + 1});
  visit(journal + "/column_starts", set.grid.column_starts, h5::Dims{set.grid.column_panels() + 1});
}

// Of the evaluation sets.
std::vector<std::string> set_names(const KernelSpec& spec) {
  std::vector<std::string> names;
  for (std::size_t s = 1; s < spec.sets.size(); ++s) names.push_back(spec.sets[s].name);
  return names;
}

void write_known(hid_t file, const KernelSpec& spec, const KernelSet& set) {
  visit_known(spec, set, [&](const std::string& path, const auto& values, const h5::Dims&) {
    h5::Dataset(file, path).write_all(values);
  });
  if (!set.samples.label.empty())
    h5::write_attribute(h5::open_object(file, samples_path(set.name) + "/label"), "classes",
                        set.samples.classes);
  if (!set.samples.task.empty())
    h5::write_attribute(h5::open_object(file, samples_path(set.name) + "/task"), "tasks",
                        set.samples.tasks);
  if (!set.samples.target_names.empty())
    h5::write_attribute(h5::open_object(file, samples_path(set.name) + "/target"), "columns",
                        set.samples.target_names);
}

}  // namespace

std::string matrices_path(const std::string& set) {
  return set.empty() ? "/kernel" : "/evaluate/" + set;
}
std::string rows_path(const std::string& set) {
  return set.empty() ? "/rows" : "/evaluate/" + set + "/rows";
}
std::string samples_path(const std::string& set) {
  return set.empty() ? "/samples" : "/evaluate/" + set + "/samples";
}
std::string journal_path(const std::string& set) {
  return "/journal" + matrices_path(set);
}
std::string partial_path(int range, const std::string& set) {
  return fmt::format("/partial/{}{}", range, matrices_path(set));
}
std::string matrix_path(const std::string& parent, const std::vector<std::string>& groups,
                        std::size_t matrix) {
  return matrix == 0 ? parent + "/total" : parent + "/groups/" + groups[matrix - 1];
}

Rectangle rectangle(const TileGrid& grid, std::int64_t tile) {
  const auto [row, column] = grid.panels_of(tile);
  const auto r = static_cast<std::size_t>(row), c = static_cast<std::size_t>(column);
  return {grid.row_starts[r], grid.column_starts[c], grid.row_starts[r + 1] - grid.row_starts[r],
          grid.column_starts[c + 1] - grid.column_starts[c]};
}

bool carries_outputs(const TileGrid& grid, const Unit& unit) {
  const auto [row, column] = grid.panels_of(unit.tile);
  return unit.range == 0 && (grid.symmetric ? row == column : column == 0);
}

std::int64_t PlannedDataset::bytes() const {
  std::int64_t bytes = static_cast<std::int64_t>(H5Tget_size(type));
  for (const auto extent : dims) bytes *= extent;
  return bytes;
}

std::vector<PlannedDataset> planned_datasets(const KernelSpec& spec) {
  std::vector<PlannedDataset> out;
  const auto matrices = [&](const std::string& parent, const TileGrid& grid, hid_t type) {
    for (std::size_t m = 0; m <= spec.groups.size(); ++m)
      out.push_back({matrix_path(parent, spec.groups, m),
                     type,
                     {grid.rows(), grid.columns()},
                     upper_entries(grid) * static_cast<std::int64_t>(H5Tget_size(type)),
                     true});
  };
  const hid_t stored = spec.single_precision ? H5T_IEEE_F32LE : H5T_IEEE_F64LE;
  const auto matrix_count = static_cast<std::int64_t>(spec.groups.size()) + 1;
  for (const auto& set : spec.sets) {
    const TileGrid& grid = set.grid;
    const std::int64_t samples = samples_of(spec, set);
    matrices(matrices_path(set.name), grid, stored);
    out.push_back({rows_path(set.name) + "/sample", H5T_STD_I64LE, {grid.rows()}});
    out.push_back({rows_path(set.name) + "/output", H5T_STD_I64LE, {grid.rows()}});
    visit_table(set.samples, samples,
                [&]<class T>(const std::string& name, const std::vector<T>&, h5::Dims dims) {
                  out.push_back(
                      {samples_path(set.name) + "/" + name, h5::memory_type<T>(), std::move(dims)});
                });
    out.push_back(
        {samples_path(set.name) + "/outputs", H5T_IEEE_F64LE, {samples, spec.output_columns}});
    const std::string journal = journal_path(set.name);
    const std::int64_t rows = journal_rows(spec.ranges);
    out.push_back({journal + "/state", H5T_STD_U8LE, {rows, grid.tile_count()}});
    out.push_back({journal + "/checksum", H5T_STD_U64LE, {rows, grid.tile_count(), matrix_count}});
    out.push_back({journal + "/outputs_checksum", H5T_STD_U64LE, {grid.row_panels()}});
    out.push_back({journal + "/row_starts", H5T_STD_I64LE, {grid.row_panels() + 1}});
    out.push_back({journal + "/column_starts", H5T_STD_I64LE, {grid.column_panels() + 1}});
  }
  out.push_back({"/journal/mirror", H5T_STD_U8LE, {}});
  out.push_back({"/error/samples", H5T_STD_I64LE, {spec.error_samples}});
  for (const char* name : {"delta", "rms", "largest"})
    out.push_back({fmt::format("/error/{}", name), H5T_IEEE_F64LE, {}});
  for (int range = 0; spec.ranges > 1 && range < spec.ranges; ++range)
    for (const auto& set : spec.sets)
      matrices(partial_path(range, set.name), set.grid, H5T_IEEE_F64LE);
  return out;
}

void check_spec(const KernelSpec& spec) {
  ensure(!spec.sets.empty() && spec.sets[0].name.empty() && spec.sets[0].grid.symmetric,
         "the first set of a kernel file is not train x train");
  ensure(spec.rows_per_sample >= 1 && spec.output_columns >= 1 && spec.ranges >= 1 &&
             spec.error_samples >= 0 && spec.identity.is_object() &&
             (spec.provenance.is_object() || spec.provenance.is_null()),
         "a kernel file's specification");
  std::set<std::string> groups, sets;
  for (const auto& group : spec.groups) check_name(group, "group", groups);
  for (std::size_t s = 0; s < spec.sets.size(); ++s) {
    const KernelSet& set = spec.sets[s];
    const std::string kind = s == 0 ? "training set" : "evaluation set " + set.name;
    if (s > 0) {
      check_name(set.name, "evaluation set", sets);
      ensure(!set.grid.symmetric && set.grid.columns() == spec.sets[0].grid.rows(),
             "the grid of {}", kind);
    }
    require(set.grid.rows() > 0 && set.grid.columns() > 0, ExitCode::input,
            "the {} is empty (a kernel needs at least one sample) choose other data", kind);
    check_panels(set.grid.row_starts, spec.rows_per_sample);
    check_panels(set.grid.column_starts, spec.rows_per_sample);
    ensure(!set.grid.symmetric || set.grid.row_starts == set.grid.column_starts,
           "a symmetric grid with two kinds of panels");
    check_table(set.samples, samples_of(spec, set), set.name);
  }
}

void lay_out(const std::string& path, const KernelSpec& spec) {
  const auto planned_count = static_cast<std::int64_t>(planned_datasets(spec).size());
  h5::Handle file = h5::create_file(path, metadata_bytes_a_dataset * planned_count);
  if (!spec.provenance.contains("created")) h5::write_attribute(file, "created", time_stamp());
  if (!spec.provenance.is_null())
    for (const auto& [key, value] : spec.provenance.items()) h5::write_attribute(file, key, value);
  for (const auto& [key, value] : spec.identity.items()) h5::write_attribute(file, key, value);
  h5::write_attribute(file, "identity", spec.identity.dump());
  h5::write_attribute(file, "format", kernel_format);
  h5::write_attribute(file, "format_version", kernel_format_version);
  h5::write_attribute(file, "rows_per_sample", spec.rows_per_sample);
  h5::write_attribute(file, "complete", 0);
  const auto create = [&](bool partial) {
    for (const auto& planned : planned_datasets(spec)) {
      if (planned.path.starts_with("/partial/") != partial) continue;
      const auto dataset = h5::create_dataset(file, planned.path, planned.type, planned.dims);
      if (planned.path.starts_with("/kernel/")) h5::write_attribute(dataset, "triangle", "lower");
    }
  };
  create(false);
  for (const auto& set : spec.sets) write_known(file, spec, set);
  // Links come back sorted by name; these keep the order.
  const std::vector<std::string> names = set_names(spec);
  if (!names.empty()) h5::write_attribute(h5::open_object(file, "/evaluate"), "sets", names);
  if (!spec.groups.empty())
    h5::write_attribute(h5::open_object(file, "/kernel/groups"), "groups", spec.groups);
  // What is unlinked at the end comes after everything else, so that the file then shrinks.
  create(true);
  h5::check(H5Fflush(file, H5F_SCOPE_GLOBAL), "flush " + path);
  file.close("close " + path);
  sync_path(path);
}

std::vector<std::string> differing_keys(const nlohmann::json& a, const nlohmann::json& b) {
  auto keys = a;
  keys.update(b);
  std::vector<std::string> differing;
  for (const auto& [key, unused] : keys.items()) {
    if (!a.contains(key) || !b.contains(key) || a[key] != b[key]) differing.push_back(key);
  }
  return differing;
}

nlohmann::json read_identity(hid_t file, const std::string& path) {
  require(h5::has_attribute(file, "format") && h5::read_attribute(file, "format") == kernel_format,
          ExitCode::io, "cannot use {} (it is not a kernel file) choose another run.directory",
          path);
  const auto version = h5::read_attribute(file, "format_version");
  require(version == kernel_format_version, ExitCode::io,
          "cannot use {} (format version {}, this program knows {}) use the program that wrote it",
          path, printable(version.dump()), kernel_format_version);
  const auto stored = nlohmann::json::parse(h5::read_text(file, "identity"), nullptr, false);
  const auto plain = [](const nlohmann::json& value) { return value.is_primitive(); };
  require(stored.is_object() && std::ranges::all_of(stored, plain), ExitCode::io,
          "cannot use {} (its identity is no JSON object of plain values) it is "
          "damaged: choose another run.directory",
          path);
  return stored;
}

namespace {

bool is_free(const KernelSpec& spec, const std::string& key) {
  return std::find(spec.free_keys.begin(), spec.free_keys.end(), key) != spec.free_keys.end();
}

std::vector<std::string> binding_keys(const nlohmann::json& stored, const KernelSpec& spec) {
  auto keys = differing_keys(stored, spec.identity);
  std::erase_if(keys, [&](const std::string& key) { return is_free(spec, key); });
  return keys;
}

// KEY: file VALUE, job VALUE
std::string difference(const nlohmann::json& stored, const KernelSpec& spec,
                       const std::string& key) {
  const auto text = [&](const nlohmann::json& from) {
    return from.contains(key) ? printable(from[key].dump()) : std::string("none");
  };
  return fmt::format("{}: file {}, job {}", printable(key), text(stored), text(spec.identity));
}

Kinship kinship(const nlohmann::json& stored, const KernelSpec& spec) {
  const auto keys = binding_keys(stored, spec);
  if (keys.empty()) return Kinship::same;
  const auto size = [&](const nlohmann::json& of) {
    return of.value(spec.size_key, nlohmann::json());
  };
  const auto theirs = size(stored), ours = size(spec.identity);
  if (keys.size() > 1 || keys.front() != spec.size_key || !theirs.is_number_integer() ||
      !ours.is_number_integer())
    return Kinship::other;
  return theirs < ours ? Kinship::smaller : Kinship::larger;
}

}  // namespace

Kinship kinship(hid_t file, const std::string& path, const KernelSpec& spec) {
  return kinship(read_identity(file, path), spec);
}

Kinship check_identity(hid_t file, const std::string& path, const KernelSpec& spec) {
  const auto stored = read_identity(file, path);
  std::vector<std::string> differences;
  for (const auto& key : binding_keys(stored, spec))
    differences.push_back(difference(stored, spec, key));
  const Kinship found = kinship(stored, spec);
  require(found != Kinship::larger, ExitCode::usage,
          "{} holds a larger kernel ({}; kernels grow but do not shrink) use another run.directory "
          "or as many samples",
          path, fmt::join(differences, "; "));
  require(
      found != Kinship::other, ExitCode::usage,
      "{} holds another job's kernel ({}) use another run.directory or the first job's settings",
      path, fmt::join(differences, "; "));
  return found;
}

void warn_of_free_keys(const std::string& path, const KernelSpec& spec) {
  const auto stored = read_identity(h5::open_file(path), path);
  for (const auto& key : differing_keys(stored, spec.identity))
    if (is_free(spec, key))
      log::warn("{} goes on with another value of {}", path, difference(stored, spec, key));
}

void check_layout(hid_t file, const std::string& path, const KernelSpec& spec) {
  try {
    for (const auto& planned : planned_datasets(spec)) {
      const h5::Dataset dataset(file, planned.path, planned.dims);
      require(dataset.bytes() == planned.bytes(), ExitCode::io,
              "{} has another type than this job's", planned.path);
    }
    const auto altered = altered_datasets(file, spec);
    require(altered.empty(), ExitCode::io, "{} differs from this job's", fmt::join(altered, ", "));
  } catch (const Error& error) {
    fail(ExitCode::io,
         "cannot go on with {} (it is laid out in another way: {}) use another "
         "run.directory, or the program that wrote it",
         path, error.what());
  }
}

std::vector<std::string> altered_datasets(hid_t file, const KernelSpec& spec) {
  std::vector<std::string> altered;
  for (const auto& set : spec.sets)
    visit_known(
        spec, set,
        [&]<class T>(const std::string& path, const std::vector<T>& values, const h5::Dims& dims) {
          try {
            // As bytes: targets may be no numbers.
            const std::vector<T> stored = h5::read<T>(file, path, dims);
            if (std::memcmp(stored.data(), values.data(), values.size() * sizeof(T)) == 0) return;
          } catch (const Error&) {
            // Told with the others.
          }
          altered.push_back(path);
        });
  // Texts stand in parts of the file without checksums.
  const auto compare = [&](const std::string& object, const char* attribute,
                           const std::vector<std::string>& expected) {
    if (expected.empty()) return;
    try {
      if (h5::read_strings(h5::open_object(file, object), attribute) == expected) return;
    } catch (const Error&) {
      // Told with the others.
    }
    altered.push_back(fmt::format("{} of {}", attribute, object));
  };
  for (const auto& set : spec.sets)
    if (!set.samples.label.empty())
      compare(samples_path(set.name) + "/label", "classes", set.samples.classes);
  for (const auto& set : spec.sets)
    if (!set.samples.task.empty())
      compare(samples_path(set.name) + "/task", "tasks", set.samples.tasks);
  for (const auto& set : spec.sets) {  // files of version 0.1.0 can be without these names
    const std::string target = samples_path(set.name) + "/target";
    if (!set.samples.target_names.empty() && h5::exists(file, target) &&
        h5::has_attribute(h5::open_object(file, target), "columns"))
      compare(target, "columns", set.samples.target_names);
  }
  compare("/evaluate", "sets", set_names(spec));
  compare("/kernel/groups", "groups", spec.groups);
  return altered;
}

}  // namespace ntk::store
