// kernel.h5: a database of tiles (docs/file-format.md).
//
// Writer: the file is laid out in full as `kernel.h5.partial` (early allocation, no fill, no
// filters), flushed and synced; after that no metadata changes, so nothing collective is needed
// until `finish`. A tile's data are written and fsynced before its journal entry. Restart keeps
// every journalled tile whose checksums hold.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "store/tile_grid.hpp"

namespace ntk::store {

// What is known of one sample set ("" = the training set) before any kernel entry is computed.
// Arrays have one entry a sample, in the kernel's order of samples; empty ones are not stored.
struct SampleTable {
  std::vector<std::int64_t> source_row;
  std::vector<std::int32_t> tokens;  // token count
  std::vector<std::int32_t> label;   // with `classes`
  std::vector<std::string> classes;
  std::vector<double> target;  // (samples, label_sets) row-major
  std::int64_t label_sets = 0;
  std::vector<std::string> target_names;  // of the label sets; may be empty
  std::vector<double> reference, reference_variance;
  std::vector<double> noise_variance;  // (samples, noise_sets) row-major
  std::int64_t noise_sets = 1;         // 1: for all label sets, or label_sets
  std::vector<std::int64_t> group;
  std::vector<std::int32_t> task;  // with `tasks`
  std::vector<std::string> tasks;
};

struct KernelSet {
  std::string name;     // "" for train x train, else the evaluation set's name
  TileGrid grid;        // symmetric for "", else rows = the set's, columns = the training set's
  SampleTable samples;  // of the grid's rows
};

struct KernelSpec {
  nlohmann::json identity;           // flat object key -> value; a restart needs all values equal
  nlohmann::json provenance;         // written as root attributes (strings, numbers)
  std::vector<KernelSet> sets;       // sets[0] is train x train
  std::int64_t rows_per_sample = 1;  // C for outputs = "logits", else 1
  std::int64_t output_columns = 1;   // columns of /samples/outputs
  std::vector<std::string> groups;   // groups kept beside total; may be empty
  bool single_precision = false;     // storage = "fp32"
  int ranges = 1;                    // segment ranges; > 1 keeps partial sums until finish
  std::int64_t error_samples = 0;    // length of /error/samples
  // Keys of `identity` in which a restarted job may differ (kernel.allow_other_hardware); the file
  // keeps its own values.
  std::vector<std::string> free_keys;
  // The key of `identity` that holds the number of training samples: a kernel with more of them has
  // all tiles of one with fewer, but for those of its last, incomplete batch.
  std::string size_key = "data.samples";
  bool mirror_planned = true;  // counts the upper triangle when free space is checked
};

// One unit of journalled work: a tile of a set, for one range of segments.
struct Unit {
  int set = 0;
  std::int64_t tile = 0;
  int range = 0;
  auto operator<=>(const Unit&) const = default;
};

// Entries of one unit, row-major in the file's row order (r = sample * rows_per_sample + output),
// full rectangles (tiles on the diagonal are stored full and symmetric).
struct TileData {
  std::vector<double> total;
  std::vector<std::vector<double>> groups;  // in the order of KernelSpec::groups; may be empty
  std::vector<double> outputs;  // f of the row panel's samples, (samples, output_columns)
                                // row-major; given with the tiles that carry it, else empty
};

// Measured error (docs/numerics.md), written by `finish`.
struct MeasuredError {
  std::vector<std::int64_t> samples;  // indexes into the training set, ascending
  double delta = 0;                   // rms deviation of the recomputed entries (at least u*rms(K))
  double rms = 0;                     // rms of those entries
  double largest = 0;                 // largest deviation
};

// Tiles that carry outputs: the diagonal ones of a symmetric set, those of column panel 0
// otherwise, range 0 in both cases.
bool carries_outputs(const TileGrid& grid, const Unit& unit);

inline constexpr const char* kernel_name = "kernel.h5";

// Which file of a run directory is made, and from what.
struct FileRequest {
  std::string name = kernel_name;
  // Of a share (any other name): the units its file is to hold. Its matrices have their full size,
  // but nothing is written into the rest, which takes no room on the disk.
  std::vector<Unit> units;
  std::vector<std::string> sources;  // further kernel files whose tiles are taken, of the same job
  bool repair = false;               // takes the intact tiles of a complete file into a new one
};

// Where a file stands. A complete share has its own units; `complete` is also what is said of a
// share when the kernel is.
enum class FileState { fresh, resumed, complete };

// One process; changes nothing. What a writer would find. Throws Error(usage) and Error(io) as it
// does for files that it cannot use.
FileState find_state(const std::string& directory, const KernelSpec& spec,
                     const FileRequest& request = {});

// The outcome of checking tiles, or of taking them from another file. An entry is a tile, with
// several ranges one range of a tile or their sum.
struct Checked {
  std::string path;          // the file they were read from
  std::int64_t entries = 0;  // that were looked at
  std::int64_t damaged = 0;  // those of them, and other parts of the file, that are damaged
  double bytes = 0;          // read
  double seconds = 0;
};

// Collective. Checks a complete file: all checksums, the upper triangle against the lower one,
// and what is known without computing (rows, samples, panels). Damage is told. Any work is divided
// over the ranks.
Checked check_complete(MPI_Comm comm, const std::string& directory, const KernelSpec& spec,
                       const FileRequest& request = {});

class KernelWriter {
 public:
  using State = FileState;

  // Collective. Goes on with `directory`/NAME.partial, or creates it, or finds `directory`/NAME
  // complete. Refuses (usage) a file of another identity, naming the keys that differ. On
  // resumption every journalled unit's checksums are verified, the work divided over the ranks;
  // damaged units are reported and counted as undone.
  //
  // A file of the same identity with fewer samples is grown: intact tiles that are also the larger
  // kernel's are copied; a complete file stays until the new one gets its name, an unfinished one
  // is set aside as NAME.smaller-SAMPLES until then.
  KernelWriter(MPI_Comm comm, const std::string& directory, const KernelSpec& spec,
               const FileRequest& request = {});
  ~KernelWriter();
  KernelWriter(KernelWriter&&) noexcept;

  State state() const;
  // Whether a unit is there or not asked for, as known when the file was opened.
  bool done(const Unit& unit) const;
  std::int64_t units() const;                 // asked for, of all sets and ranges
  std::int64_t units_done() const;            // those of them that are there
  const Checked& checked() const;             // on resumption
  const std::vector<Checked>& taken() const;  // from every other file

  // Independent (not collective). Data, fsync, journal, fsync.
  void write(const Unit& unit, const TileData& data);

  // A written tile of train x train as the finished file will hold it (all ranges added up, rounded
  // to the stored precision), row-major. Independent.
  std::vector<double> read_total(std::int64_t tile) const;

  // Collective, when every unit of every rank is written: adds ranges, mirrors where asked,
  // writes the measured error, marks complete, flushes, syncs, renames to kernel.h5, syncs the
  // directory. Error(internal) when a unit is missing.
  void finish(bool mirror, const MeasuredError& error, const nlohmann::json& closing_provenance);
  // Collective, when every unit of a share is written: gives the file its final name.
  void finish_share();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Serial reader, one a process; any number of processes may read one file at a time.
class KernelReader {
 public:
  // Throws Error(io) for a file that is missing, unreadable, incomplete or of a wrong shape or
  // type.
  explicit KernelReader(const std::string& path);
  ~KernelReader();
  KernelReader(KernelReader&&) noexcept;

  std::int64_t order() const;  // n
  std::int64_t rows_per_sample() const;
  std::vector<std::string> groups() const;
  std::vector<std::string> evaluate_sets() const;
  std::int64_t evaluate_rows(const std::string& set) const;  // n'
  SampleTable samples(const std::string& set = "") const;
  std::vector<double> outputs(const std::string& set = "") const;  // (samples, output_columns)
  std::int64_t output_columns() const;
  MeasuredError error() const;
  nlohmann::json attributes() const;  // identity and provenance

  // The panels of /kernel (row_starts), for reading tile by tile.
  TileGrid grid() const;

  // Reads rows [row, row + rows) x columns [column, column + columns) of train x train dataset
  // `total` or of a group, row-major into `out`. Works on any block of the full symmetric matrix,
  // whichever triangle is stored.
  void read_block(const std::string& dataset, std::int64_t row, std::int64_t column,
                  std::int64_t rows, std::int64_t columns, double* out) const;
  // The same of /evaluate/`set`.
  void read_evaluate_block(const std::string& set, const std::string& dataset, std::int64_t row,
                           std::int64_t column, std::int64_t rows, std::int64_t columns,
                           double* out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ntk::store
