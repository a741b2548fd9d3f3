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

void TileFile::open_datasets() {
  for (const auto& set : spec_.sets) {
    Set open;
    for (int row = 0; row < journal_rows(spec_.ranges); ++row) {
      const bool final_row = spec_.ranges == 1 || row == sum_row(spec_.ranges);
      const std::string parent = final_row ? matrices_path(set.name) : partial_path(row, set.name);
      auto& matrices = open.rows.emplace_back();
      for (std::size_t m = 0; m <= spec_.groups.size(); ++m)
        matrices.emplace_back(file_, matrix_path(parent, spec_.groups, m), 2);
    }
    const std::string journal = journal_path(set.name);
    open.outputs = h5::Dataset(file_, samples_path(set.name) + "/outputs", 2);
    open.state = h5::Dataset(file_, journal + "/state", 2);
    open.checksum = h5::Dataset(file_, journal + "/checksum", 3);
    open.outputs_checksum = h5::Dataset(file_, journal + "/outputs_checksum", 1);
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

std::vector<double> TileFile::read_tile(int set, std::int64_t tile, int row,
                                        std::size_t matrix) const {
  heartbeat::beat();
  const Rectangle box = rectangle(spec_.sets[static_cast<std::size_t>(set)].grid, tile);
  std::vector<double> values(static_cast<std::size_t>(box.rows * box.columns));
  matrix_of(set, row, matrix).read({box.row, box.column}, {box.rows, box.columns}, values.data());
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

void TileFile::journal(int set, std::int64_t tile, int row,
                       const std::vector<std::uint64_t>& checksums,
                       const std::uint64_t* outputs) const {
  const Set& open = sets_[static_cast<std::size_t>(set)];
  const auto count = static_cast<std::int64_t>(checksums.size());
  open.checksum.write({row, tile, 0}, {1, 1, count}, checksums.data());
  if (outputs) {
    const auto panel = spec_.sets[static_cast<std::size_t>(set)].grid.panels_of(tile).first;
    open.outputs_checksum.write({panel}, {1}, outputs);
  }
  const std::uint8_t done = 1;
  open.state.write({row, tile}, {1, 1}, &done);
}

void TileFile::forget(int set, std::int64_t tile, int row) const {
  const std::uint8_t undone = 0;
  sets_[static_cast<std::size_t>(set)].state.write({row, tile}, {1, 1}, &undone);
}

std::vector<std::uint8_t> TileFile::states(int set) const {
  return sets_[static_cast<std::size_t>(set)].state.read_all<std::uint8_t>();
}

std::uint64_t TileFile::checksum_of(int set, std::int64_t tile, int row, std::size_t matrix) const {
  const std::vector<double> values = read_tile(set, tile, row, matrix);
  if (!matrix_of(set, row, matrix).single_precision()) return hash(values);
  return hash(std::vector<float>(values.begin(), values.end()));
}

bool TileFile::intact(int set, std::int64_t tile, int row) const {
  const Set& open = sets_[static_cast<std::size_t>(set)];
  const std::size_t matrices = spec_.groups.size() + 1;
  std::vector<std::uint64_t> journalled(matrices);
  open.checksum.read({row, tile, 0}, {1, 1, static_cast<std::int64_t>(matrices)},
                     journalled.data());
  for (std::size_t m = 0; m < matrices; ++m)
    if (checksum_of(set, tile, row, m) != journalled[m]) return false;
  const TileGrid& grid = spec_.sets[static_cast<std::size_t>(set)].grid;
  const int outputs_range = row == sum_row(spec_.ranges) ? 0 : row;
  if (!carries_outputs(grid, {set, tile, outputs_range})) return true;
  const Rectangle box = outputs_box(set, tile);
  std::vector<double> outputs(static_cast<std::size_t>(box.rows * box.columns));
  open.outputs.read({box.row, 0}, {box.rows, box.columns}, outputs.data());
  std::uint64_t outputs_checksum = 0;
  open.outputs_checksum.read({grid.panels_of(tile).first}, {1}, &outputs_checksum);
  return hash(outputs) == outputs_checksum;
}

void TileFile::mirror(std::int64_t tile, bool clear) const {
  const Rectangle box = rectangle(spec_.sets[0].grid, tile);
  if (box.row == box.column) return;
  const int row = std::max(sum_row(spec_.ranges), 0);
  for (std::size_t m = 0; m <= spec_.groups.size(); ++m) {
    const std::vector<double> lower = read_tile(0, tile, row, m);
    std::vector<double> upper(lower.size(), 0.0);
    for (std::int64_t r = 0; !clear && r < box.rows; ++r)
      for (std::int64_t c = 0; c < box.columns; ++c)
        upper[static_cast<std::size_t>(c * box.rows + r)] =
            lower[static_cast<std::size_t>(r * box.columns + c)];
    matrix_of(0, row, m).write({box.column, box.row}, {box.columns, box.rows}, upper.data());
  }
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
