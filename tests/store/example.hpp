// A small made-up kernel with known entries, for the tests of store.
#pragma once

#include <gtest/gtest.h>
#include <mpi.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "parallel/collectives.hpp"
#include "store/kernel_layout.hpp"
#include "support/files.hpp"

namespace ntk::store::example {

// A folder of its own for each test, known to all ranks of the communicator and removed by its
// first one.
class Scratch {
 public:
  explicit Scratch(MPI_Comm comm = MPI_COMM_SELF) : comm_(comm) {
    int rank = 0;
    MPI_Comm_rank(comm, &rank);
    parallel::collectively(comm, [&] {
      if (rank == 0) path_ = folder_.emplace().path();
    });
    parallel::broadcast(comm, path_);
  }
  ~Scratch() { MPI_Barrier(comm_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  MPI_Comm comm_;
  std::optional<test::TemporaryFolder> folder_;
  std::string path_;
};

inline std::vector<std::int64_t> panels(std::int64_t samples, std::int64_t tile,
                                        std::int64_t rows_per_sample) {
  std::vector<std::int64_t> starts{0};
  for (std::int64_t s = 0; s < samples; s += tile)
    starts.push_back(std::min(s + tile, samples) * rows_per_sample);
  return starts;
}

struct Shape {
  std::int64_t samples = 11, tile = 3, classes = 2;
  std::int64_t batch = 1;  // samples of the last batch are in another order until it is complete
  std::vector<std::string> groups{"head", "body"};
  std::vector<std::int64_t> evaluate{5, 4};
  int ranges = 1;
  bool single = false;
};

inline KernelSpec spec_of(const Shape& shape) {
  KernelSpec spec;
  spec.identity = {{"run.seed", 1},
                   {"data.samples", shape.samples},
                   {"model.weights", "abc"},
                   {"kernel.precision", "fp64"},
                   {"model.head_std", 0.02}};
  // Fixed times make whole files comparable.
  spec.provenance = {{"created", "then"}, {"program", "test"}, {"name", "Kerné"}};
  spec.rows_per_sample = shape.classes;
  spec.output_columns = shape.classes;
  spec.groups = shape.groups;
  spec.ranges = shape.ranges;
  spec.single_precision = shape.single;
  spec.error_samples = 2;
  KernelSet train;
  train.grid.row_starts = panels(shape.samples, shape.tile, shape.classes);
  train.grid.column_starts = train.grid.row_starts;
  for (std::int64_t i = 0; i < shape.samples; ++i) {
    const std::int64_t complete = shape.samples / shape.batch * shape.batch;
    const std::int64_t sample = i < complete ? i : complete + shape.samples - 1 - i;
    train.samples.source_row.push_back(100 - sample);
    train.samples.tokens.push_back(static_cast<std::int32_t>(5 + sample));
    train.samples.label.push_back(static_cast<std::int32_t>(sample % 2));
    train.samples.group.push_back(sample / 4);
  }
  train.samples.classes = {"schön", "nicht"};
  spec.sets.push_back(train);
  for (std::size_t e = 0; e < shape.evaluate.size(); ++e) {
    KernelSet set;
    set.name = "eval-" + std::to_string(shape.evaluate.size() - e);  // not in alphabetical order
    set.grid.symmetric = false;
    set.grid.row_starts = panels(shape.evaluate[e], 2, shape.classes);
    set.grid.column_starts = train.grid.row_starts;
    for (std::int64_t i = 0; i < shape.evaluate[e]; ++i) {
      set.samples.source_row.push_back(i);
      set.samples.target.insert(set.samples.target.end(),
                                {0.5 * static_cast<double>(i), -1.0, 2.0});
      set.samples.reference.push_back(0.25);
      set.samples.reference_variance.push_back(0.125);
      set.samples.noise_variance.insert(set.samples.noise_variance.end(), {2.0, 1.0, 0.5});
    }
    for (std::int64_t i = 0; i < shape.evaluate[e]; ++i) {
      set.samples.task.push_back(static_cast<std::int32_t>(i % 2));
    }
    set.samples.tasks = {"films", "bücher"};
    set.samples.label_sets = set.samples.noise_sets = 3;
    set.samples.target_names = {"one", "zwölf", "three"};
    spec.sets.push_back(set);
  }
  return spec;
}

// Entry of one range's matrix (0 total, then groups), a function of the two samples and outputs,
// symmetric for the training set; not exact in binary, so that sums depend on their order.
inline double part(const KernelSpec& spec, int set, std::size_t matrix, int range, std::int64_t row,
                   std::int64_t column) {
  const auto key = [&](int of, std::int64_t r) {
    const auto& rows = spec.sets[static_cast<std::size_t>(of)].samples.source_row;
    return rows[static_cast<std::size_t>(r / spec.rows_per_sample)] * spec.rows_per_sample +
           r % spec.rows_per_sample;
  };
  std::int64_t r = key(set, row), c = key(0, column);
  if (set == 0 && r < c) std::swap(r, c);
  const std::int64_t mixed =
      (((set * 3 + range) * 5 + static_cast<std::int64_t>(matrix)) * 1013 + r * 331 + c * 17) %
      9973;
  return static_cast<double>(mixed - 5000) / (7 + 4 * range);
}
inline double entry(const KernelSpec& spec, int set, std::size_t matrix, std::int64_t r,
                    std::int64_t c) {
  double sum = part(spec, set, matrix, 0, r, c);
  for (int range = 1; range < spec.ranges; ++range) sum += part(spec, set, matrix, range, r, c);
  return spec.single_precision ? static_cast<double>(static_cast<float>(sum)) : sum;
}
inline double output(const KernelSpec& spec, int set, std::int64_t sample, std::int64_t column) {
  const auto& rows = spec.sets[static_cast<std::size_t>(set)].samples.source_row;
  return static_cast<double>(set) +
         0.1 * static_cast<double>(rows[static_cast<std::size_t>(sample)]) -
         static_cast<double>(column) / 3;
}

inline TileData tile_data(const KernelSpec& spec, const Unit& unit) {
  const TileGrid& grid = spec.sets[static_cast<std::size_t>(unit.set)].grid;
  const Rectangle box = rectangle(grid, unit.tile);
  const auto fill = [&](std::size_t matrix) {
    std::vector<double> out;
    for (std::int64_t r = box.row; r < box.row + box.rows; ++r)
      for (std::int64_t c = box.column; c < box.column + box.columns; ++c)
        out.push_back(part(spec, unit.set, matrix, unit.range, r, c));
    return out;
  };
  TileData data;
  data.total = fill(0);
  for (std::size_t g = 0; g < spec.groups.size(); ++g) data.groups.push_back(fill(g + 1));
  if (carries_outputs(grid, unit))
    for (std::int64_t row = box.row; row < box.row + box.rows; row += spec.rows_per_sample)
      for (std::int64_t c = 0; c < spec.output_columns; ++c)
        data.outputs.push_back(output(spec, unit.set, row / spec.rows_per_sample, c));
  return data;
}

inline std::vector<Unit> units_of(const KernelSpec& spec) {
  std::vector<Unit> units;
  for (int set = 0; set < static_cast<int>(spec.sets.size()); ++set)
    for (std::int64_t t = 0; t < spec.sets[static_cast<std::size_t>(set)].grid.tile_count(); ++t)
      for (int range = 0; range < spec.ranges; ++range) units.push_back({set, t, range});
  return units;
}

// Writes what is not done and chosen, dealt out to the ranks. Returns how many this rank wrote.
inline int write_units(
    KernelWriter& writer, const KernelSpec& spec, MPI_Comm comm,
    const std::function<bool(std::size_t)>& chosen = [](std::size_t) { return true; }) {
  int rank = 0, ranks = 1, written = 0;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  const auto units = units_of(spec);
  for (std::size_t u = 0; u < units.size(); ++u) {
    if (writer.done(units[u]) || !chosen(u)) continue;
    if (static_cast<int>((u * 7 + 3) % static_cast<std::size_t>(ranks)) != rank) continue;
    writer.write(units[u], tile_data(spec, units[u]));
    ++written;
  }
  return written;
}

inline const MeasuredError measured{{1, 3}, 1e-7, 0.5, 1e-6};
inline const nlohmann::json closing{{"completed", "now"}, {"rate", 1.5}, {"tasks", 7}};

inline void finish(KernelWriter& writer, bool mirror = true) {
  writer.finish(mirror, measured, closing);
}

inline void make_complete(MPI_Comm comm, const std::string& directory, const KernelSpec& spec,
                          bool mirror = true) {
  KernelWriter writer(comm, directory, spec);
  write_units(writer, spec, comm);
  finish(writer, mirror);
}

inline std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The datasets of /kernel, /evaluate, /rows and /samples in which two complete files differ.
inline std::vector<std::string> differences(const std::string& path, const std::string& other,
                                            const KernelSpec& spec) {
  const std::string bytes = bytes_of(path), others = bytes_of(other);
  const h5::Handle file = h5::open_file(path), second = h5::open_file(other);
  std::vector<std::string> found;
  for (const auto& planned : planned_datasets(spec)) {
    if (planned.path.starts_with("/journal/") || planned.path.starts_with("/partial/")) continue;
    const auto part = [&](const h5::Handle& of, const std::string& all) {
      const h5::Dataset dataset(of, planned.path, planned.dims);
      return all.substr(static_cast<std::size_t>(dataset.offset()),
                        static_cast<std::size_t>(dataset.bytes()));
    };
    if (part(file, bytes) != part(second, others)) found.push_back(planned.path);
  }
  return found;
}

// Inverts one byte of a file.
inline void flip(const std::string& path, std::int64_t offset) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(offset);
  const char byte = static_cast<char>(file.get());
  file.seekp(offset);
  file.put(static_cast<char>(~byte));
}

// Place in the file of an entry of a matrix.
inline std::int64_t place_of(const std::string& path, const std::string& dataset, std::int64_t row,
                             std::int64_t column) {
  const h5::Handle file = h5::open_file(path);
  const h5::Dataset data(file, dataset, 2);
  return data.offset() + (row * data.dims()[1] + column) * (data.single_precision() ? 4 : 8);
}

// Expects every entry of a complete file to be as given, through the reader.
inline void expect_complete(const std::string& path, const KernelSpec& spec) {
  const KernelReader reader(path);
  const std::int64_t n = spec.sets[0].grid.rows();
  ASSERT_EQ(reader.order(), n);
  EXPECT_EQ(reader.rows_per_sample(), spec.rows_per_sample);
  EXPECT_EQ(reader.groups(), spec.groups);
  EXPECT_EQ(reader.grid().row_starts, spec.sets[0].grid.row_starts);
  EXPECT_EQ(reader.error().samples, measured.samples);
  EXPECT_EQ(reader.error().delta, measured.delta);
  EXPECT_EQ(reader.error().rms, measured.rms);
  EXPECT_EQ(reader.error().largest, measured.largest);
  ASSERT_EQ(reader.evaluate_sets().size() + 1, spec.sets.size());
  for (int set = 0; set < static_cast<int>(spec.sets.size()); ++set) {
    const KernelSet& given = spec.sets[static_cast<std::size_t>(set)];
    const std::int64_t rows = given.grid.rows();
    if (set > 0) {
      EXPECT_EQ(reader.evaluate_sets()[static_cast<std::size_t>(set) - 1], given.name);
      EXPECT_EQ(reader.evaluate_rows(given.name), rows);
    }
    std::int64_t wrong = 0;
    for (std::size_t m = 0; m <= spec.groups.size(); ++m) {
      const std::string matrix = m == 0 ? "total" : spec.groups[m - 1];
      std::vector<double> block(static_cast<std::size_t>(rows * n));
      if (set == 0)
        reader.read_block(matrix, 0, 0, rows, n, block.data());
      else
        reader.read_evaluate_block(given.name, matrix, 0, 0, rows, n, block.data());
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < n; ++c)
          wrong += block[static_cast<std::size_t>(r * n + c)] != entry(spec, set, m, r, c);
    }
    EXPECT_EQ(wrong, 0) << "set " << set << " of a file with " << spec.ranges << " ranges";
    const auto outputs = reader.outputs(given.name);
    for (std::size_t i = 0; i < outputs.size(); ++i)
      EXPECT_EQ(outputs[i], output(spec, set, static_cast<std::int64_t>(i) / spec.output_columns,
                                   static_cast<std::int64_t>(i) % spec.output_columns));
    const SampleTable table = reader.samples(given.name);
    EXPECT_EQ(table.source_row, given.samples.source_row);
    EXPECT_EQ(table.tokens, given.samples.tokens);
    EXPECT_EQ(table.label, given.samples.label);
    EXPECT_EQ(table.classes,
              given.samples.label.empty() ? std::vector<std::string>{} : given.samples.classes);
    EXPECT_EQ(table.target, given.samples.target);
    EXPECT_EQ(table.label_sets, given.samples.label_sets);
    EXPECT_EQ(table.target_names, given.samples.target_names);
    EXPECT_EQ(table.noise_sets, given.samples.noise_sets);
    EXPECT_EQ(table.task, given.samples.task);
    EXPECT_EQ(table.tasks, given.samples.tasks);
    EXPECT_EQ(table.reference, given.samples.reference);
    EXPECT_EQ(table.reference_variance, given.samples.reference_variance);
    EXPECT_EQ(table.noise_variance, given.samples.noise_variance);
    EXPECT_EQ(table.group, given.samples.group);
  }
}

// Runs `action` and expects an Error of `code` whose text has every one of `parts`.
template <class Action>
void expect_error(ExitCode code, const std::vector<std::string>& parts, Action action) {
  try {
    action();
    ADD_FAILURE() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    for (const auto& words : parts)
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos)
          << error.what() << "\nlacks: " << words;
  }
}

}  // namespace ntk::store::example
