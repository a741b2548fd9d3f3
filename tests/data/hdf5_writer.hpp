// Writes small HDF5 data files for tests, right or wrong ones.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace ntk::test {

class Hdf5Writer {
 public:
  explicit Hdf5Writer(const std::string& path)
      : file_(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)) {}
  ~Hdf5Writer() { H5Fclose(file_); }
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;

  // A dataset of one dimension, or of `columns` columns.
  template <class T>
  void put(const std::string& name, const std::vector<T>& values, hsize_t columns = 0) {
    const hsize_t shape[2] = {columns > 0 ? values.size() / columns : values.size(), columns};
    const hid_t space = H5Screate_simple(columns > 0 ? 2 : 1, shape, nullptr);
    const hid_t set =
        H5Dcreate2(file_, name.c_str(), type<T>(), space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (!values.empty()) {
      H5Dwrite(set, type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    }
    H5Dclose(set);
    H5Sclose(space);
  }

  // A dataset that claims `elements` int32 and stores none, in one piece or in chunks.
  void claim(const std::string& name, hsize_t elements, bool chunked = true) {
    const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
    if (chunked) H5Pset_chunk(layout, 1, &chunk);
    create<std::int32_t>(name, {elements}, layout);
  }

  // A dataset without values whose shape may be of any extent, one of them 0.
  void put_empty(const std::string& name, const std::vector<hsize_t>& shape) {
    create<double>(name, shape, H5Pcreate(H5P_DATASET_CREATE));
  }

  // The first `values` of a dataset of `elements`, in chunks that are packed if `deflate` says so.
  template <class T>
  void put_chunked(const std::string& name, const std::vector<T>& values, hsize_t elements,
                   bool deflate) {
    const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(layout, 1, &chunk);
    if (deflate) H5Pset_deflate(layout, 6);
    create<T>(name, {elements}, layout);
    const hid_t set = H5Dopen2(file_, name.c_str(), H5P_DEFAULT);
    const hid_t space = H5Dget_space(set);
    const hsize_t first = 0, count = values.size();
    H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, nullptr, &count, nullptr);
    const hid_t memory = H5Screate_simple(1, &count, nullptr);
    H5Dwrite(set, type<T>(), memory, space, H5P_DEFAULT, values.data());
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(set);
  }
  static constexpr hsize_t chunk = 1024;  // elements

  // An attribute of texts, of variable length when `width` is 0.
  void put_texts(const std::string& object, const std::string& name,
                 const std::vector<std::string>& texts, std::size_t width = 0) {
    const hsize_t count = texts.size();
    const hid_t space = H5Screate_simple(1, &count, nullptr);
    const hid_t text_type = H5Tcopy(H5T_C_S1);
    H5Tset_cset(text_type, H5T_CSET_UTF8);
    H5Tset_size(text_type, width > 0 ? width : H5T_VARIABLE);
    const hid_t attribute = H5Acreate_by_name(file_, object.c_str(), name.c_str(), text_type, space,
                                              H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    std::vector<const char*> pointers;
    std::string fixed(count * width, '\0');
    for (std::size_t i = 0; i < texts.size(); ++i) {
      pointers.push_back(texts[i].c_str());
      if (width > 0) texts[i].copy(fixed.data() + i * width, width);
    }
    H5Awrite(attribute, text_type,
             width > 0 ? static_cast<const void*>(fixed.data()) : pointers.data());
    H5Aclose(attribute);
    H5Tclose(text_type);
    H5Sclose(space);
  }

  // For what is not foreseen here.
  hid_t id() const { return file_; }

 private:
  template <class T>
  void create(const std::string& name, const std::vector<hsize_t>& shape, hid_t layout) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    H5Dclose(H5Dcreate2(file_, name.c_str(), type<T>(), space, H5P_DEFAULT, layout, H5P_DEFAULT));
    H5Pclose(layout);
    H5Sclose(space);
  }
  template <class T>
  static hid_t type() {
    if constexpr (std::is_same_v<T, std::int16_t>) return H5T_NATIVE_INT16;
    if constexpr (std::is_same_v<T, std::uint32_t>) return H5T_NATIVE_UINT32;
    if constexpr (std::is_same_v<T, std::int32_t>) return H5T_NATIVE_INT32;
    if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
    if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
    return H5T_NATIVE_DOUBLE;
  }

  hid_t file_;
};

}  // namespace ntk::test
