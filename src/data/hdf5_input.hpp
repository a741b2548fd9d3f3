// Reading foreign HDF5 files: rank, type and size of everything are checked before it is read, and
// nothing in a file can lead to another one.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ntk::data {

// An HDF5 identifier, closed at the end.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  hid_t id() const { return id_; }
  bool valid() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// Keeps HDF5 from printing its error stack while it lives: our messages carry the reason.
class QuietErrors {
 public:
  QuietErrors();
  ~QuietErrors();
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

// A file opened for reading. Every failure is Error(input), naming file and dataset.
class Hdf5Input {
 public:
  explicit Hdf5Input(const std::string& path);

  bool has(const std::string& dataset) const;
  bool has_attribute(const std::string& dataset, const std::string& attribute) const;
  // Number of dimensions; -1 for what `read` refuses before it asks for them.
  int rank(const std::string& dataset) const;

  // All elements, row-major, of a dataset of T (int32_t, int64_t, double; narrower ones of the same
  // kind are converted) with the given rank; `shape` gets its dimensions.
  template <class T>
  std::vector<T> read(const std::string& dataset, int rank,
                      std::vector<std::int64_t>* shape = nullptr) const;

  // A one-dimensional attribute of texts (of fixed or variable length).
  std::vector<std::string> texts(const std::string& dataset, const std::string& attribute) const;

 private:
  QuietErrors quiet_;
  std::string path_;
  std::uint64_t file_bytes_ = 0;
  Handle file_;
};

}  // namespace ntk::data
