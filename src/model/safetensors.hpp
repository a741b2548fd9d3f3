// Reading and writing model weights in the safetensors format: 8 bytes of header length (little
// endian), a JSON header {name: {dtype, shape, data_offsets}}, then all tensors row-major without
// gaps. Source: the format's description in huggingface/safetensors.
//
// A file is foreign input: everything the format promises is checked before any tensor is touched,
// so that reading afterwards cannot leave the file's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ntk::model {

struct TensorInfo {
  std::string dtype;  // the format's name: F32, BF16, I64, ...
  std::vector<std::int64_t> shape;
  std::size_t begin = 0, end = 0;  // bytes within the data part
};

// One memory-mapped file, read-only. Cheap to copy; safe to read from several threads.
class SafetensorsFile {
 public:
  // Maps and validates. Throws Error(input) when there is no such file or a rule is broken,
  // Error(io) when it cannot be mapped.
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return path_; }
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  std::vector<std::string> names() const;  // in alphabetical order
  bool has(const std::string& name) const { return tensors_.contains(name); }
  const TensorInfo& info(const std::string& name) const;  // Error(input) when there is none
  const std::vector<std::int64_t>& shape(const std::string& name) const { return info(name).shape; }

  // The elements of a tensor of F64, F32, F16 or BF16, row-major, as Real (float or double).
  // Throws Error(input) when there is none, it is of another type, or an element is not finite
  // (as Real), naming the element.
  template <class Real>
  std::vector<Real> read(const std::string& name) const;

  // Whether view_f32 serves this tensor: it is F32 and lies on a 4-byte boundary.
  bool viewable_f32(const std::string& name) const;
  // The elements in place, valid as long as any copy of this object lives. Checked like read.
  std::span<const float> view_f32(const std::string& name) const;

  std::span<const std::byte> bytes() const;  // the whole file

 private:
  class Mapping;
  std::span<const std::byte> bytes_of(const TensorInfo& tensor) const;

  std::string path_;
  std::shared_ptr<const Mapping> mapping_;
  std::size_t data_start_ = 0;  // of the data part, in bytes from the file's start
  std::map<std::string, TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

// The weights of a Hugging Face directory: model.safetensors, or the shards that
// model.safetensors.index.json names, as one set of tensors.
class Checkpoint {
 public:
  // Throws as SafetensorsFile does; also when the index names a tensor that its shard lacks.
  explicit Checkpoint(const std::string& directory);

  std::vector<std::string> names() const;
  bool has(const std::string& name) const { return file_of_.contains(name); }
  const std::vector<std::int64_t>& shape(const std::string& name) const {
    return file_of(name).shape(name);
  }
  template <class Real>
  std::vector<Real> read(const std::string& name) const {
    return file_of(name).template read<Real>(name);
  }
  bool viewable_f32(const std::string& name) const { return file_of(name).viewable_f32(name); }
  std::span<const float> view_f32(const std::string& name) const {
    return file_of(name).view_f32(name);
  }
  const SafetensorsFile& file_of(const std::string& name) const;

  // Of the files' bytes in the order of their names: for one file, that of the file.
  std::string sha256() const;

 private:
  std::string directory_;
  std::map<std::string, SafetensorsFile> files_;  // by file name
  std::map<std::string, std::string> file_of_;    // tensor -> file name
};

struct NamedTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> data;  // row-major
};

// Writes F32 tensors, in the order of their names, under a temporary name that is then renamed:
// the file is there whole or not at all. `metadata`: texts by name, in UTF-8. Throws Error(io).
void write_safetensors(const std::string& path, const std::map<std::string, NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace ntk::model
