#include "store/tile_file.hpp"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "base/heartbeat.hpp"

namespace ntk::store {

namespace {

template <class T>
std::uint64_t hash(const std::vector<T>& values) {
  return XXH3_64bits(values.data(), values.size() * sizeof(T));
}

// Of values as the dataset stores them.
std::uint64_t stored_hash(const h5::Dataset& dataset, const std::vector<double>& values) {
  return dataset.single_precision() ? hash(std::vector<float>(values.begin(), values.end()))
                                    : hash(values);
}

}  // namespace

TileFile::TileFile(MPI_Comm comm, const std::string& path, const KernelSpec& spec)
    : spec_(spec), file_(h5::open_file(path, comm)) {
  try {
    synced_.emplace(path);
    open_datasets();
  } catch (...) {  // closing would wait for the other ranks
    leak();
    throw;
  }
}

TileFile::TileFile(const std::string& path, const KernelSpec& spec)
    : spec_(spec), file_(h5::open_file(path)) {
  open_datasets();
}

// Shapes and sizes are checked: files may be damaged, or made by anyone.
void TileFile::open_datasets() {
  const bool writing = synced_.has_value();
  const auto matrices = static_cast<std::int64_t>(spec_.groups.size()) + 1;
  const std::int64_t entries = journal_rows(spec_.ranges);
  for (const auto& set : spec_.sets) {
    const TileGrid& grid = set.grid;
    Set open;
    for (int row = 0; row < entries; ++row) {
      const bool final_row = spec_.ranges == 1 || row == sum_row(spec_.ranges);
      const std::string parent = final_row ? matrices_path(set.name) : partial_path(row, set.name);
      auto& of_row = open.rows.emplace_back();
      if (!final_row && !writing && !h5::exists(file_, parent)) continue;
      const std::int64_t size = final_row && spec_.single_precision ? 4 : 8;
      for (std::size_t m = 0; m <= spec_.groups.size(); ++m) {
        const std::string path = matrix_path(parent, spec_.groups, m);
        const auto& dataset =
            of_row.emplace_back(file_, path, h5::Dims{grid.rows(), grid.columns()});
        require(dataset.bytes() == grid.rows() * grid.columns() * size, ExitCode::io,
                "{} has another type than this job's (it is damaged, or another program's) move "
                "its file away",
                path);
      }
    }
    const std::string journal = journal_path(set.name);
    open.outputs = h5::Dataset(file_, samples_path(set.name) + "/outputs",
                               h5::Dims{grid.rows() / spec_.rows_per_sample, spec_.output_columns});
    open.state = h5::Dataset(file_, journal + "/state", h5::Dims{entries, grid.tile_count()});
    open.checksum =
        h5::Dataset(file_, journal + "/checksum", h5::Dims{entries, grid.tile_count(), matrices});
    open.outputs_checksum =
        h5::Dataset(file_, journal + "/outputs_checksum", h5::Dims{grid.row_panels()});
    sets_.push_back(std::move(open));
  }
}

void TileFile::close() {
  sets_.clear();
  file_.close("close the kernel file");
}

void TileFile::leak() {
  sets_.clear();
  file_.leak();
}

const h5::Dataset& TileFile::matrix_of(int set, int row, std::size_t matrix) const {
  return sets_[static_cast<std::size_t>(set)].rows[static_cast<std::size_t>(row)][matrix];
}

Rectangle TileFile::outputs_box(int set, std::int64_t tile) const {
  const Rectangle box = rectangle(spec_.sets[static_cast<std::size_t>(set)].grid, tile);
  return {box.row / spec_.rows_per_sample, 0, box.rows / spec_.rows_per_sample,
          spec_.output_columns};
}

std::uint64_t TileFile::write_tile(int set, std::int64_t tile, int row, std::size_t matrix,
                                   const std::vector<double>& values) const {
  heartbeat::beat();
  const Rectangle box = rectangle(spec_.sets[static_cast<std::size_t>(set)].grid, tile);
  ensure(static_cast<std::int64_t>(values.size()) == box.rows * box.columns,
         "tile {} of set {} with {} values", tile, set, values.size());
  const h5::Dataset& dataset = matrix_of(set, row, matrix);
  const h5::Dims start{box.row, box.column}, count{box.rows, box.columns};
  if (!dataset.single_precision()) {
    dataset.write(start, count, values.data());
    return hash(values);
  }
  const std::vector<float> stored(values.begin(), values.end());
  dataset.write(start, count, stored.data());
  return hash(stored);
}

std::vector<double> TileFile::stored_values(int set, std::int64_t tile, int row,
                                            std::size_t matrix) const {
  heartbeat::beat();
  const Rectangle box = rectangle(spec_.sets[static_cast<std::size_t>(set)].grid, tile);
  std::vector<double> values(static_cast<std::size_t>(box.rows * box.columns));
  matrix_of(set, row, matrix).read({box.row, box.column}, {box.rows, box.columns}, values.data());
  return values;
}

std::vector<double> TileFile::read_tile(int set, std::int64_t tile, int row,
                                        std::size_t matrix) const {
  std::vector<double> values = stored_values(set, tile, row, matrix);
  std::uint64_t journalled = 0;
  sets_[static_cast<std::size_t>(set)].checksum.read({row, tile, static_cast<std::int64_t>(matrix)},
                                                     {1, 1, 1}, &journalled);
  const h5::Dataset& dataset = matrix_of(set, row, matrix);
  require(
      stored_hash(dataset, values) == journalled, ExitCode::io,
      "cannot read tile {} of {} back (its checksum differs) look at the disk, and start again: "
      "what is damaged is made anew",
      tile, dataset.path());
  return values;
}

std::uint64_t TileFile::write_outputs(int set, std::int64_t tile,
                                      const std::vector<double>& values) const {
  const Rectangle box = outputs_box(set, tile);
  ensure(static_cast<std::int64_t>(values.size()) == box.rows * box.columns,
         "{} outputs with tile {} of set {}", values.size(), tile, set);
  sets_[static_cast<std::size_t>(set)].outputs.write({box.row, 0}, {box.rows, box.columns},
                                                     values.data());
  return hash(values);
}

bool TileFile::carries_outputs_in(int set, std::int64_t tile, int row) const {
  const int range = row == sum_row(spec_.ranges) ? 0 : row;
  return carries_outputs(spec_.sets[static_cast<std::size_t>(set)].grid, {set, tile, range});
}

JournalEntry TileFile::write(int set, std::int64_t tile, int row, const TileData& data) const {
  ensure(data.groups.size() == spec_.groups.size(), "a tile with {} groups for {}",
         data.groups.size(), spec_.groups.size());
  const bool with_outputs = carries_outputs_in(set, tile, row);
  ensure(with_outputs || data.outputs.empty(), "outputs with tile {} of set {}, row {}", tile, set,
         row);
  JournalEntry entry;
  entry.checksums.push_back(write_tile(set, tile, row, 0, data.total));
  for (std::size_t g = 0; g < data.groups.size(); ++g)
    entry.checksums.push_back(write_tile(set, tile, row, g + 1, data.groups[g]));
  if (with_outputs) entry.outputs = write_outputs(set, tile, data.outputs);
  return entry;
}

TileData TileFile::read(int set, std::int64_t tile, int row) const {
  TileData data;
  data.total = stored_values(set, tile, row, 0);
  for (std::size_t g = 0; g < spec_.groups.size(); ++g)
    data.groups.push_back(stored_values(set, tile, row, g + 1));
  if (carries_outputs_in(set, tile, row)) {
    const Rectangle box = outputs_box(set, tile);
    data.outputs.resize(static_cast<std::size_t>(box.rows * box.columns));
    sets_[static_cast<std::size_t>(set)].outputs.read({box.row, 0}, {box.rows, box.columns},
                                                      data.outputs.data());
  }
  return data;
}

void TileFile::journal(int set, std::int64_t tile, int row, const JournalEntry& entry) const {
  const Set& open = sets_[static_cast<std::size_t>(set)];
  const auto count = static_cast<std::int64_t>(entry.checksums.size());
  open.checksum.write({row, tile, 0}, {1, 1, count}, entry.checksums.data());
  if (entry.outputs) {
    const auto panel = spec_.sets[static_cast<std::size_t>(set)].grid.panels_of(tile).first;
    open.outputs_checksum.write({panel}, {1}, &*entry.outputs);
  }
  const std::uint8_t done = 1;
  open.state.write({row, tile}, {1, 1}, &done);
}

void TileFile::forget(int set, std::int64_t tile, int row) const {
  const std::uint8_t undone = 0;
  sets_[static_cast<std::size_t>(set)].state.write({row, tile}, {1, 1}, &undone);
}

JournalEntry TileFile::entry(int set, std::int64_t tile, int row) const {
  const Set& open = sets_[static_cast<std::size_t>(set)];
  JournalEntry entry;
  entry.checksums.resize(spec_.groups.size() + 1);
  open.checksum.read({row, tile, 0}, {1, 1, static_cast<std::int64_t>(entry.checksums.size())},
                     entry.checksums.data());
  if (carries_outputs_in(set, tile, row)) {
    const auto panel = spec_.sets[static_cast<std::size_t>(set)].grid.panels_of(tile).first;
    open.outputs_checksum.read({panel}, {1}, &entry.outputs.emplace());
  }
  return entry;
}

std::vector<std::uint8_t> TileFile::states(int set) const {
  const Set& open = sets_[static_cast<std::size_t>(set)];
  auto states = open.state.read_all<std::uint8_t>();
  const auto tiles = static_cast<std::ptrdiff_t>(states.size() / open.rows.size());
  for (std::size_t row = 0; row < open.rows.size(); ++row) {
    const auto first = states.begin() + static_cast<std::ptrdiff_t>(row) * tiles;
    if (open.rows[row].empty()) std::fill(first, first + tiles, std::uint8_t{0});
  }
  return states;
}

std::vector<std::string> TileFile::damaged(int set, std::int64_t tile, int row,
                                           const TileData& data) const {
  const JournalEntry journalled = entry(set, tile, row);
  std::vector<std::string> found;
  for (std::size_t m = 0; m < journalled.checksums.size(); ++m) {
    const std::vector<double>& values = m == 0 ? data.total : data.groups[m - 1];
    const h5::Dataset& matrix = matrix_of(set, row, m);
    if (stored_hash(matrix, values) != journalled.checksums[m]) found.push_back(matrix.path());
  }
  if (journalled.outputs && hash(data.outputs) != *journalled.outputs)
    found.push_back(sets_[static_cast<std::size_t>(set)].outputs.path());
  return found;
}

std::int64_t TileFile::bytes(int set, std::int64_t tile, int row) const {
  const Rectangle box = rectangle(spec_.sets[static_cast<std::size_t>(set)].grid, tile);
  std::int64_t sum = 0;
  for (const auto& matrix :
       sets_[static_cast<std::size_t>(set)].rows[static_cast<std::size_t>(row)])
    sum += box.rows * box.columns * (matrix.single_precision() ? 4 : 8);
  return sum;
}

namespace {

std::vector<double> transposed(const std::vector<double>& values, const Rectangle& box) {
  std::vector<double> out(values.size());
  for (std::int64_t r = 0; r < box.rows; ++r)
    for (std::int64_t c = 0; c < box.columns; ++c)
      out[static_cast<std::size_t>(c * box.rows + r)] =
          values[static_cast<std::size_t>(r * box.columns + c)];
  return out;
}

}  // namespace

void TileFile::mirror(std::int64_t tile, bool clear) const {
  const Rectangle box = rectangle(spec_.sets[0].grid, tile);
  if (box.row == box.column) return;
  const int row = std::max(sum_row(spec_.ranges), 0);
  for (std::size_t m = 0; m <= spec_.groups.size(); ++m) {
    std::vector<double> upper(static_cast<std::size_t>(box.rows * box.columns), 0.0);
    if (!clear) upper = transposed(read_tile(0, tile, row, m), box);
    matrix_of(0, row, m).write({box.column, box.row}, {box.columns, box.rows}, upper.data());
  }
}

std::vector<std::string> TileFile::wrongly_mirrored(std::int64_t tile) const {
  const Rectangle box = rectangle(spec_.sets[0].grid, tile);
  const int row = std::max(sum_row(spec_.ranges), 0);
  std::vector<std::string> found;
  for (std::size_t m = 0; box.row != box.column && m <= spec_.groups.size(); ++m) {
    const h5::Dataset& matrix = matrix_of(0, row, m);
    std::vector<double> upper(static_cast<std::size_t>(box.rows * box.columns));
    matrix.read({box.column, box.row}, {box.columns, box.rows}, upper.data());
    // As bytes: nothing that is not a number equals itself.
    if (hash(upper) != hash(transposed(stored_values(0, tile, row, m), box)))
      found.push_back(matrix.path());
  }
  return found;
}

bool TileFile::mirror_begun() const {
  return h5::read<std::uint8_t>(file_, "/journal/mirror", h5::Dims{}).front() != 0;
}

void TileFile::set_mirror_begun() const {
  h5::Dataset(file_, "/journal/mirror", h5::Dims{}).write_all(std::vector<std::uint8_t>{1});
}

void TileFile::write_error(const MeasuredError& error) const {
  h5::Dataset(file_, "/error/samples", 1).write_all(error.samples);
  const auto put = [&](const char* name, double value) {
    h5::Dataset(file_, name, h5::Dims{}).write_all(std::vector<double>{value});
  };
  put("/error/delta", error.delta);
  put("/error/rms", error.rms);
  put("/error/largest", error.largest);
}

}  // namespace ntk::store
