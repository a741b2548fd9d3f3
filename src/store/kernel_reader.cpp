#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "store/kernel_layout.hpp"

namespace ntk::store {

struct KernelReader::Impl {
  explicit Impl(const std::string& path) : path_(path), file(h5::open_file(path)) {
    require(
        h5::has_attribute(file, "format") && h5::read_attribute(file, "format") == kernel_format,
        ExitCode::io, "cannot use {} (it is not a kernel file) give a kernel.h5", path);
    const auto version = h5::read_attribute(file, "format_version");
    require(
        version == kernel_format_version, ExitCode::io,
        "cannot use {} (format version {}, this program knows {}) use the program that wrote it",
        path, printable(version.dump()), kernel_format_version);
    require(h5::read_attribute(file, "complete") == 1, ExitCode::io,
            "cannot use {} (it is not complete) run `ntk kernel` with its job file again", path);
    grid.row_starts = h5::read<std::int64_t>(file, "/journal/kernel/row_starts");
    const auto& starts = grid.row_starts;
    require(!starts.empty() && starts.front() == 0 && starts.back() > 0 &&
                std::is_sorted(starts.begin(), starts.end()),
            ExitCode::io, "cannot use {} (its panels are not in order) it is damaged", path);
    grid.column_starts = starts;
    rows_per_sample = h5::read_integer(file, "rows_per_sample");
    require(rows_per_sample >= 1 && grid.rows() % rows_per_sample == 0, ExitCode::io,
            "cannot use {} ({} rows with {} a sample) it is damaged", path, grid.rows(),
            rows_per_sample);
    groups = names("/kernel/groups", "groups");
    sets = names("/evaluate", "sets");
    // Shapes and triangles of every matrix, before the first is read.
    for (std::size_t m = 0; m <= groups.size(); ++m) {
      const std::string matrix = matrix_path("/kernel", groups, m);
      const h5::Dataset dataset(file, matrix, h5::Dims{grid.rows(), grid.rows()});
      const auto triangle = h5::read_attribute(dataset.id(), "triangle");
      require(triangle == "full" || triangle == "lower", ExitCode::io,
              "cannot use {} of {} (its triangle is {}) it is damaged", matrix, path,
              triangle.dump());
      lower = lower || triangle == "lower";
      for (const auto& set : sets)
        h5::Dataset(file, matrix_path(matrices_path(set), groups, m),
                    h5::Dims{rows_of(set), grid.rows()});
    }
  }

  // Names of groups or sets, as check_spec lets them be.
  std::vector<std::string> names(const char* object, const char* attribute) const {
    if (!h5::exists(file, object)) return {};
    const auto read = h5::read_strings(h5::open_object(file, object), attribute);
    std::set<std::string> seen;
    for (const auto& name : read)
      require(!name.empty() && name.find('/') == std::string::npos && printable(name) == name &&
                  seen.insert(name).second,
              ExitCode::io, "cannot use {} (\"{}\" is no name of one of its {}) it is damaged",
              path_, printable(name), attribute);
    return read;
  }

  std::int64_t rows_of(const std::string& set) const {
    if (set.empty()) return grid.rows();
    require(std::find(sets.begin(), sets.end(), set) != sets.end(), ExitCode::usage,
            "{} has no evaluation set {} (it has: {}) add it to data.evaluate", path_, set,
            sets.empty() ? "none" : fmt::format("{}", fmt::join(sets, ", ")));
    return h5::Dataset(file, matrices_path(set) + "/total", h5::Dims{-1, grid.rows()}).dims()[0];
  }

  h5::Dataset matrix(const std::string& set, const std::string& name) const {
    const auto group = std::find(groups.begin(), groups.end(), name);
    require(name == "total" || group != groups.end(), ExitCode::usage,
            "{} has no group {} (it has: {}) choose kernel.groups so that it is kept", path_, name,
            groups.empty() ? "none" : fmt::format("{}", fmt::join(groups, ", ")));
    const std::size_t index =
        name == "total" ? 0 : static_cast<std::size_t>(group - groups.begin()) + 1;
    return h5::Dataset(file, matrix_path(matrices_path(set), groups, index), 2);
  }

  std::string path_;
  h5::Handle file;
  TileGrid grid;
  std::int64_t rows_per_sample = 1;
  std::vector<std::string> groups, sets;
  bool lower = false;
};

KernelReader::KernelReader(const std::string& path) : impl_(std::make_unique<Impl>(path)) {}
KernelReader::~KernelReader() = default;
KernelReader::KernelReader(KernelReader&&) noexcept = default;

std::int64_t KernelReader::order() const {
  return impl_->grid.rows();
}
std::int64_t KernelReader::rows_per_sample() const {
  return impl_->rows_per_sample;
}
std::vector<std::string> KernelReader::groups() const {
  return impl_->groups;
}
std::vector<std::string> KernelReader::evaluate_sets() const {
  return impl_->sets;
}
TileGrid KernelReader::grid() const {
  return impl_->grid;
}
std::int64_t KernelReader::evaluate_rows(const std::string& set) const {
  return impl_->rows_of(set);
}

SampleTable KernelReader::samples(const std::string& set) const {
  const std::int64_t samples = impl_->rows_of(set) / impl_->rows_per_sample;
  const std::string parent = samples_path(set) + "/";
  SampleTable table;
  const auto get = [&]<class T>(const char* name, std::vector<T>& out) {
    if (h5::exists(impl_->file, parent + name))
      out = h5::read<T>(impl_->file, parent + name, h5::Dims{samples});
  };
  get("source_row", table.source_row);
  get("tokens", table.tokens);
  get("label", table.label);
  get("reference", table.reference);
  get("reference_variance", table.reference_variance);
  get("group", table.group);
  get("task", table.task);
  if (!table.task.empty())
    table.tasks = h5::read_strings(h5::open_object(impl_->file, parent + "task"), "tasks");
  if (!table.label.empty())
    table.classes = h5::read_strings(h5::open_object(impl_->file, parent + "label"), "classes");
  if (h5::exists(impl_->file, parent + "target")) {
    const h5::Dataset target(impl_->file, parent + "target", h5::Dims{samples, -1});
    table.label_sets = target.dims()[1];
    table.target = target.read_all<double>();
    if (h5::has_attribute(target.id(), "columns")) {
      table.target_names = h5::read_strings(target.id(), "columns");
      require(static_cast<std::int64_t>(table.target_names.size()) == table.label_sets,
              ExitCode::io, "cannot use {} ({} names for {} label sets) it is damaged",
              impl_->path_, table.target_names.size(), table.label_sets);
    }
  }
  if (const std::string noise = parent + "noise_variance"; h5::exists(impl_->file, noise)) {
    const h5::Dataset data(impl_->file, noise);
    const bool each = data.dims() == h5::Dims{samples, table.label_sets};
    require(each || data.dims() == h5::Dims{samples}, ExitCode::io,
            "cannot use {} ({} does not fit {} samples of {} label sets) it is damaged",
            impl_->path_, noise, samples, table.label_sets);
    table.noise_sets = each ? data.dims()[1] : 1;
    table.noise_variance = data.read_all<double>();
  }
  return table;
}

std::int64_t KernelReader::output_columns() const {
  return h5::Dataset(impl_->file, "/samples/outputs", 2).dims()[1];
}

std::vector<double> KernelReader::outputs(const std::string& set) const {
  const std::int64_t samples = impl_->rows_of(set) / impl_->rows_per_sample;
  return h5::read<double>(impl_->file, samples_path(set) + "/outputs",
                          h5::Dims{samples, output_columns()});
}

MeasuredError KernelReader::error() const {
  const auto number = [&](const char* name) {
    return h5::read<double>(impl_->file, name, h5::Dims{}).front();
  };
  return {h5::read<std::int64_t>(impl_->file, "/error/samples"), number("/error/delta"),
          number("/error/rms"), number("/error/largest")};
}

nlohmann::json KernelReader::attributes() const {
  return h5::read_attributes(impl_->file);
}

// One box a row panel holds its columns up to the diagonal tile's end as stored; the rest is read
// from below the diagonal and transposed.
void KernelReader::read_block(const std::string& dataset, std::int64_t row, std::int64_t column,
                              std::int64_t rows, std::int64_t columns, double* out) const {
  const h5::Dataset matrix = impl_->matrix("", dataset);
  if (!impl_->lower) {
    matrix.read({row, column}, {rows, columns}, out);
    return;
  }
  const auto& starts = impl_->grid.row_starts;
  ensure(row >= 0 && rows >= 0 && row + rows <= order() && column >= 0 && columns >= 0 &&
             column + columns <= order(),
         "a block beyond a kernel of order {}", order());
  std::vector<double> box;
  const auto read = [&](std::int64_t r, std::int64_t c, std::int64_t nr, std::int64_t nc) {
    box.resize(static_cast<std::size_t>(nr * nc));
    matrix.read({r, c}, {nr, nc}, box.data());
  };
  for (std::int64_t first = row; first < row + rows;) {
    const std::int64_t panel_end = *std::upper_bound(starts.begin(), starts.end(), first);
    const std::int64_t count = std::min(panel_end, row + rows) - first;
    double* const place = out + (first - row) * columns;
    const std::int64_t stored = std::clamp(panel_end - column, std::int64_t{0}, columns);
    const std::int64_t rest = columns - stored;
    if (stored > 0) {
      read(first, column, count, stored);
      for (std::int64_t r = 0; r < count; ++r)
        std::copy_n(box.data() + r * stored, stored, place + r * columns);
    }
    if (rest > 0) {
      read(column + stored, first, rest, count);
      for (std::int64_t r = 0; r < count; ++r)
        for (std::int64_t c = 0; c < rest; ++c)
          place[r * columns + stored + c] = box[static_cast<std::size_t>(c * count + r)];
    }
    first += count;
  }
}

void KernelReader::read_evaluate_block(const std::string& set, const std::string& dataset,
                                       std::int64_t row, std::int64_t column, std::int64_t rows,
                                       std::int64_t columns, double* out) const {
  impl_->rows_of(set);
  impl_->matrix(set, dataset).read({row, column}, {rows, columns}, out);
}

}  // namespace ntk::store
