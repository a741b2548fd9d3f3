// The open kernel.h5.partial: moves tiles between memory and the file's datasets and keeps their
// journal. Nothing here communicates but opening and closing.
#pragma once

#include <mpi.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/disk.hpp"
#include "store/kernel_layout.hpp"

namespace ntk::store {

class TileFile {
 public:
  // Collective.
  TileFile(MPI_Comm comm, const std::string& path, const KernelSpec& spec);
  void close();  // collective
  void leak();   // gives the file up without talking to the other ranks
  void sync() const { synced_->sync(); }

  // Writes one matrix of a tile, row-major, into a range's matrices or (`row` = sum_row or a single
  // range) the final ones. Returns the XXH3 of the bytes stored.
  std::uint64_t write_tile(int set, std::int64_t tile, int row, std::size_t matrix,
                           const std::vector<double>& values) const;
  std::vector<double> read_tile(int set, std::int64_t tile, int row, std::size_t matrix) const;
  std::uint64_t write_outputs(int set, std::int64_t tile, const std::vector<double>& values) const;

  // Journal entry of a unit: checksums, then the state. `outputs` is null where none were given.
  void journal(int set, std::int64_t tile, int row, const std::vector<std::uint64_t>& checksums,
               const std::uint64_t* outputs) const;
  void forget(int set, std::int64_t tile, int row) const;  // state back to 0
  std::vector<std::uint8_t> states(int set) const;         // (journal rows, tiles)
  // Whether the stored bytes still have the checksums of their journal entry.
  bool intact(int set, std::int64_t tile, int row) const;

  // Copies the train x train tile below the diagonal to its place above, or zeroes that place.
  void mirror(std::int64_t tile, bool clear) const;
  bool mirror_begun() const;
  void set_mirror_begun() const;
  void write_error(const MeasuredError& error) const;

 private:
  struct Set {
    std::vector<std::vector<h5::Dataset>> rows;  // [journal row][matrix]
    h5::Dataset outputs, state, checksum, outputs_checksum;
  };
  void open_datasets();
  const h5::Dataset& matrix_of(int set, int row, std::size_t matrix) const;
  std::uint64_t checksum_of(int set, std::int64_t tile, int row, std::size_t matrix) const;
  Rectangle outputs_box(int set, std::int64_t tile) const;

  const KernelSpec& spec_;
  h5::Handle file_;
  std::vector<Set> sets_;
  std::optional<SyncedFile> synced_;
};

}  // namespace ntk::store
