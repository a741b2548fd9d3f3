// What the kernel file's crash safety needs from the operating system: fsync, atomic renames, free
// space, and a copy of a file's metadata to go back to. Everything throws Error(io).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ntk::store {

// Makes a directory with its parents; fails when something else has its name.
void make_directory(const std::string& directory);
// Says which setting to change when files cannot be made in the run's directory.
void require_writable(const std::string& directory);

bool file_exists(const std::string& path);
void remove_file(const std::string& path);  // none there: fine
std::int64_t file_size(const std::string& path);
std::int64_t free_bytes(const std::string& directory);  // that this user may take

// Syncs a file or directory by name.
void sync_path(const std::string& path);
// Renames over `to`, then syncs `to`'s directory.
void rename_durably(const std::string& from, const std::string& to);
// Writes PATH.partial, syncs it and gives it its name: whoever reads, at any time, finds the old
// file or the whole new one. Several ranks at once use names of their own: PATH.RANK.partial.
void replace_file(const std::string& path, std::string_view content, int rank = 0);

// A read-only descriptor for fsync: syncs what any descriptor on this node wrote to the file.
class SyncedFile {
 public:
  explicit SyncedFile(const std::string& path);
  ~SyncedFile();
  SyncedFile(const SyncedFile&) = delete;
  SyncedFile& operator=(const SyncedFile&) = delete;
  void sync() const;

 private:
  std::string path_;
  int descriptor_;
};

// Undo copy of everything in `path` outside the `data` extents (offset, bytes), durably in
// `copy_path`. HDF5 changes its metadata in many small writes, between which a killed process
// leaves an unreadable file; restoring the copy makes that change all or nothing.
void save_metadata(const std::string& path, std::vector<std::pair<std::int64_t, std::int64_t>> data,
                   const std::string& copy_path);
// Writes the copy back, sets the file's old length, syncs and removes the copy.
void restore_metadata(const std::string& path, const std::string& copy_path);

}  // namespace ntk::store
