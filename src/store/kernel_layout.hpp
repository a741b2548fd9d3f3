// The names, shapes and first contents of everything in kernel.h5, for the writer and the reader.
#pragma once

#include <string>
#include <vector>

#include "store/hdf5.hpp"
#include "store/kernel_file.hpp"

namespace ntk::store {

inline constexpr const char* kernel_format = "ntkspectra-kernel";
inline constexpr std::int64_t kernel_format_version = 1;

// Where the data of one set live ("" = train x train).
std::string matrices_path(const std::string& set);            // /kernel, /evaluate/SET
std::string rows_path(const std::string& set);                // /rows, /evaluate/SET/rows
std::string samples_path(const std::string& set);             // /samples, ...
std::string journal_path(const std::string& set);             // /journal/kernel, ...
std::string partial_path(int range, const std::string& set);  // /partial/RANGE/kernel, ...
// A matrix below matrices_path or partial_path: index 0 is total, 1 + g the group g.
std::string matrix_path(const std::string& parent, const std::vector<std::string>& groups,
                        std::size_t matrix);

// A tile's place in its matrix.
struct Rectangle {
  std::int64_t row, column, rows, columns;
};
Rectangle rectangle(const TileGrid& grid, std::int64_t tile);

// Journals have one row of states and checksums a range, and with several ranges one more for the
// sum of all: a tile whose sum is journalled no longer needs its ranges.
inline int journal_rows(int ranges) {
  return ranges > 1 ? ranges + 1 : 1;
}
inline int sum_row(int ranges) {
  return ranges > 1 ? ranges : -1;
}

// A dataset of a kernel file that is being laid out. `sparse_bytes` are those of its bytes that a
// file without mirrored triangles never writes.
struct PlannedDataset {
  std::string path;
  hid_t type;
  h5::Dims dims;
  std::int64_t sparse_bytes = 0;
  bool matrix = false;  // written tile by tile
  std::int64_t bytes() const;
};
std::vector<PlannedDataset> planned_datasets(const KernelSpec& spec);

// Set aside in a file for a dataset's header, its links and its share of groups: ample. Too little
// would only leave gaps in the file.
inline constexpr std::int64_t metadata_bytes_a_dataset = 4096;
// What HDF5 adds with the attributes of the last step.
inline constexpr std::int64_t closing_bytes = 8336;

// Checks sizes and names: Error(internal) for sizes, Error(usage) for a name that is used twice or
// cannot be one, Error(input) for a set without samples.
void check_spec(const KernelSpec& spec);

// Makes the whole file, serially: attributes, datasets (early allocation, unfilled), and all that
// is known before the first tile. The file is synced on return.
void lay_out(const std::string& path, const KernelSpec& spec);

// The keys, ascending, that two identities do not both have with one value.
std::vector<std::string> differing_keys(const nlohmann::json& a, const nlohmann::json& b);

// The identity that a file was made for. Throws Error(io) for a file that is none of ours.
nlohmann::json read_identity(hid_t file, const std::string& path);

// What a file's kernel is to the job's. Smaller, larger: the same but for the number of samples
// (KernelSpec::size_key), of which kernels with fewer hold a part of the tiles of those with more.
enum class Kinship { same, smaller, larger, other };
// Throws as read_identity.
Kinship kinship(hid_t file, const std::string& path, const KernelSpec& spec);

// The kinship of a file that the job may use, same or smaller. Throws Error(usage) naming the
// identity keys in which another file differs from the job, and as kinship.
Kinship check_identity(hid_t file, const std::string& path, const KernelSpec& spec);
// Says in which of the job's free keys the file differs.
void warn_of_free_keys(const std::string& path, const KernelSpec& spec);
// Throws Error(io) for a file of the same kernel that is laid out in another way.
void check_layout(hid_t file, const std::string& path, const KernelSpec& spec);
// The datasets of a file of the same kernel that differ from what the layout wrote into them: rows,
// samples, panels, and names, which stand in parts of a file without checksums. One that is missing
// or has another shape differs too.
std::vector<std::string> altered_datasets(hid_t file, const KernelSpec& spec);

}  // namespace ntk::store
