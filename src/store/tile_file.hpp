// An open kernel file: moves tiles between memory and the file's datasets, and keeps or reads their
// journal. Nothing here communicates but opening and closing of a file that is being made.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/disk.hpp"
#include "store/kernel_layout.hpp"

namespace ntk::store {

// What the journal says of a tile in one of its rows.
struct JournalEntry {
  std::vector<std::uint64_t> checksums;  // of total and the groups
  std::optional<std::uint64_t> outputs;  // of the row panel's outputs, where the entry carries them
};

class TileFile {
 public:
  // A file that is being made, for writing. Collective.
  TileFile(MPI_Comm comm, const std::string& path, const KernelSpec& spec);
  // Any kernel file with the grids of `spec`, complete or not, for reading. Local.
  TileFile(const std::string& path, const KernelSpec& spec);
  void close();  // collective where opening was
  void leak();   // gives the file up without talking to the other ranks
  void sync() const { synced_->sync(); }

  // Writes one matrix of a tile, row-major, into a range's matrices or (`row` = sum_row or a single
  // range) the final ones. Returns the XXH3 of the bytes stored.
  std::uint64_t write_tile(int set, std::int64_t tile, int row, std::size_t matrix,
                           const std::vector<double>& values) const;
  // One matrix of a journalled tile. Throws Error(io) unless it has the journal's checksum: MPI-IO
  // may report a read that failed as one that went well.
  std::vector<double> read_tile(int set, std::int64_t tile, int row, std::size_t matrix) const;

  // All of an entry's data; outputs with those that carry them. Writing returns what is to be
  // journalled.
  JournalEntry write(int set, std::int64_t tile, int row, const TileData& data) const;
  TileData read(int set, std::int64_t tile, int row) const;

  // The checksums, then the state.
  void journal(int set, std::int64_t tile, int row, const JournalEntry& entry) const;
  void forget(int set, std::int64_t tile, int row) const;  // state back to 0
  JournalEntry entry(int set, std::int64_t tile, int row) const;
  // The set's journalled entries of which the file has the data: (journal rows, tiles).
  std::vector<std::uint8_t> states(int set) const;
  // Datasets in which an entry, as `data` read from there, has not the checksums of the journal.
  std::vector<std::string> damaged(int set, std::int64_t tile, int row, const TileData& data) const;
  std::int64_t bytes(int set, std::int64_t tile, int row) const;  // of an entry's matrices

  // Copies the train x train tile below the diagonal to its place above, or zeroes that place.
  void mirror(std::int64_t tile, bool clear) const;
  // Datasets in which the place above the diagonal holds something else than the tile below it.
  std::vector<std::string> wrongly_mirrored(std::int64_t tile) const;
  bool mirror_begun() const;
  void set_mirror_begun() const;
  void write_error(const MeasuredError& error) const;

 private:
  struct Set {
    // [journal row][matrix]; none for ranges whose data a complete file has no more
    std::vector<std::vector<h5::Dataset>> rows;
    h5::Dataset outputs, state, checksum, outputs_checksum;
  };
  void open_datasets();
  const h5::Dataset& matrix_of(int set, int row, std::size_t matrix) const;
  std::vector<double> stored_values(int set, std::int64_t tile, int row, std::size_t matrix) const;
  std::uint64_t write_outputs(int set, std::int64_t tile, const std::vector<double>& values) const;
  bool carries_outputs_in(int set, std::int64_t tile, int row) const;
  Rectangle outputs_box(int set, std::int64_t tile) const;

  const KernelSpec& spec_;
  h5::Handle file_;
  std::vector<Set> sets_;
  std::optional<SyncedFile> synced_;
};

}  // namespace ntk::store
