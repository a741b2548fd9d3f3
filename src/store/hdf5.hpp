// A thin layer over the HDF5 C library: handles that close themselves, the library's error text as
// Error(io), and attributes and 1-D and 2-D datasets of plain numbers and UTF-8 strings.
//
// Reading checks kind, rank, shape and size before a byte is moved, and never leaves the file:
// links and datasets that lead elsewhere count as not there. File locks are off: they fail on many
// cluster file systems, and a colleague who looks into a running job's file must not stop it.
// The library is not thread-safe: call from one thread at a time.
#pragma once

#include <hdf5.h>
#include <mpi.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace ntk::store::h5 {

using Dims = std::vector<std::int64_t>;

// Owns one HDF5 identifier.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle() = default;
  // Takes `id`; a negative one is the failure of `what` (Error(io) with the library's reason).
  Handle(hid_t id, Close closer, const std::string& what);
  Handle(Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) release();
  }
  operator hid_t() const { return id_; }
  // Closes now, so that failures on closing (a full disk) are seen.
  void close(const std::string& what);
  // Gives the identifier up without closing it.
  void leak() { id_ = H5I_INVALID_HID; }

 private:
  herr_t release();
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

// Throws Error(io) "cannot WHAT (library's reason) ..." when `status` is negative.
void check(herr_t status, const std::string& what);

// Whether closing something has failed. HDF5 may then crash when it ends, which MPI_Finalize has it
// do.
bool close_failed();

// --- files (all Error(io)) ----------------------------------------------------------------------
Handle open_file(const std::string& path, bool writable = false);  // serial
Handle open_file(const std::string& path, MPI_Comm comm);          // MPI-IO, collective, writable
// Serial, replaces. With `metadata_bytes` that much is set aside at the start for all that is not
// data, and the datasets follow each other without gaps: the last ones can be cut off again.
Handle create_file(const std::string& path, std::int64_t metadata_bytes = 0);

// --- objects -----------------------------------------------------------------------------------
// Every part of the path, none of them a link to another place or file.
bool exists(hid_t location, const std::string& path);
// Everything in the file: groups before what they hold, by name; an object of two names once.
struct Object {
  std::string path;  // without a leading slash
  bool dataset = false;
};
std::vector<Object> objects(hid_t file);
Handle create_group(hid_t location, const std::string& path);  // with the groups above it
Handle open_object(hid_t location, const std::string& path);   // group or dataset

// --- attributes of a group, dataset or file
// ------------------------------------------------------- Writing replaces. A JSON value is stored
// as a string, an int64 (booleans too) or a double; other kinds as their JSON text.
void write_attribute(hid_t object, const std::string& name, const nlohmann::json& value);
void write_attribute(hid_t object, const std::string& name, const std::vector<std::string>& values);
bool has_attribute(hid_t object, const std::string& name);
// A scalar attribute: string, integer or floating-point number. Texts must be UTF-8.
nlohmann::json read_attribute(hid_t object, const std::string& name);
std::string read_text(hid_t object, const std::string& name);
std::int64_t read_integer(hid_t object, const std::string& name);
double read_real(hid_t object, const std::string& name);
std::vector<std::string> read_strings(hid_t object, const std::string& name);
// All scalar attributes, as one JSON object.
nlohmann::json read_attributes(hid_t object);

// --- datasets -----------------------------------------------------------------------------------
template <class T>
hid_t memory_type();
template <>
inline hid_t memory_type<double>() {
  return H5T_NATIVE_DOUBLE;
}
template <>
inline hid_t memory_type<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
inline hid_t memory_type<std::int64_t>() {
  return H5T_NATIVE_INT64;
}
template <>
inline hid_t memory_type<std::int32_t>() {
  return H5T_NATIVE_INT32;
}
template <>
inline hid_t memory_type<std::uint64_t>() {
  return H5T_NATIVE_UINT64;
}
template <>
inline hid_t memory_type<std::uint8_t>() {
  return H5T_NATIVE_UINT8;
}

// A contiguous dataset whose space is allocated now and never filled (unwritten parts of a new
// file read as zeros).
Handle create_dataset(hid_t location, const std::string& path, hid_t type, const Dims& dims);

// The extents of any dataset, also of one that Dataset does not open.
Dims shape(hid_t location, const std::string& path);

// An open dataset with its shape, of a type and layout that create_dataset gives. Reads and writes
// convert between the file's and the caller's type of numbers, never between integers and floating
// point.
class Dataset {
 public:
  Dataset() = default;
  // `rank` < 0 accepts any rank; `dims` entries < 0 accept any extent.
  Dataset(hid_t location, const std::string& path, int rank = -1);
  Dataset(hid_t location, const std::string& path, const Dims& dims);

  const std::string& path() const { return path_; }
  const Dims& dims() const { return dims_; }
  std::int64_t size() const;      // entries
  std::int64_t bytes() const;     // stored
  std::int64_t offset() const;    // in the file; -1 when no space is allocated
  bool single_precision() const;  // stored as 4-byte floating point
  hid_t id() const { return handle_; }

  // A box of `count` entries from `start`, row-major in memory, in pieces of at most 256 MiB
  // (MPI-IO fails on large ones in places). Independent under MPI-IO.
  template <class T>
  void read(const Dims& start, const Dims& count, T* out) const {
    transfer(memory_type<T>(), start, count, out, false);
  }
  template <class T>
  void write(const Dims& start, const Dims& count, const T* in) const {
    transfer(memory_type<T>(), start, count, const_cast<T*>(in), true);
  }
  template <class T>
  std::vector<T> read_all() const {
    std::vector<T> out(static_cast<std::size_t>(size()));
    read(Dims(dims_.size(), 0), dims_, out.data());
    return out;
  }
  template <class T>
  void write_all(const std::vector<T>& in) const {
    ensure(static_cast<std::int64_t>(in.size()) == size(), "{}: {} values for {}", path_, in.size(),
           size());
    write(Dims(dims_.size(), 0), dims_, in.data());
  }

 private:
  void open(hid_t location);
  void transfer(hid_t type, const Dims& start, const Dims& count, void* memory, bool writing) const;

  Handle handle_;
  std::string path_, file_;
  Dims dims_;
};

// Creates and writes, or opens and reads, a whole dataset. `dims` as for Dataset.
template <class T>
void write(hid_t location, const std::string& path, const std::vector<T>& values,
           const Dims& dims) {
  create_dataset(location, path, memory_type<T>(), dims);
  Dataset(location, path, dims).write_all(values);
}
template <class T>
void write(hid_t location, const std::string& path, const std::vector<T>& values) {
  write(location, path, values, Dims{static_cast<std::int64_t>(values.size())});
}
template <class T>
std::vector<T> read(hid_t location, const std::string& path, const Dims& dims) {
  return Dataset(location, path, dims).read_all<T>();
}
template <class T>
std::vector<T> read(hid_t location, const std::string& path) {
  return Dataset(location, path, 1).read_all<T>();
}

}  // namespace ntk::store::h5
