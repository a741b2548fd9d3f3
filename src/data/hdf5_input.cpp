#include "data/hdf5_input.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>
#include <type_traits>

#include "base/error.hpp"
#include "base/text.hpp"

namespace ntk::data {
namespace {

// What HDF5 last complained about: the innermost entry of its error stack.
std::string reason() {
  std::string text = "HDF5 gives no reason";
  const auto take = [](unsigned, const H5E_error2_t* entry, void* target) -> herr_t {
    if (entry->desc != nullptr) *static_cast<std::string*>(target) = entry->desc;
    return 1;  // stop: walking upward begins at the innermost
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take, &text);
  return printable(text);
}

[[noreturn]] void fail_file(const std::string& path, const std::string& problem,
                            const std::string& why) {
  fail(ExitCode::input, "{} of {} ({}) make the file again with jobs/prepare_data.py", problem,
       path, why);
}

hid_t open_file(const std::string& path) {
  std::error_code error;
  require(std::filesystem::is_regular_file(path, error), ExitCode::input,
          "no data file {} ({}) check the path", path,
          error ? error.message() : "there is no file of that name");
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  require(file >= 0, ExitCode::input,
          "{} cannot be read as HDF5 ({}) make the file again with jobs/prepare_data.py", path,
          reason());
  return file;
}

template <class T>
hid_t native_type() {
  if constexpr (std::is_same_v<T, std::int32_t>) return H5T_NATIVE_INT32;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
  return H5T_NATIVE_DOUBLE;
}

// Whether every value of the stored type is a T. Types of unusual layout, whose conversion is a
// lottery, are out.
template <class T>
bool fits(hid_t stored) {
  const hid_t usual[] = {
      H5T_STD_I8LE,  H5T_STD_I16LE, H5T_STD_I32LE,  H5T_STD_I64LE,  H5T_STD_I8BE,   H5T_STD_I16BE,
      H5T_STD_I32BE, H5T_STD_I64BE, H5T_STD_U8LE,   H5T_STD_U16LE,  H5T_STD_U32LE,  H5T_STD_U8BE,
      H5T_STD_U16BE, H5T_STD_U32BE, H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_IEEE_F32BE, H5T_IEEE_F64BE};
  if (std::ranges::none_of(usual, [&](hid_t type) { return H5Tequal(stored, type) > 0; })) {
    return false;
  }
  const std::size_t size = H5Tget_size(stored);
  if constexpr (std::is_floating_point_v<T>) {
    return H5Tget_class(stored) == H5T_FLOAT && size <= sizeof(T);
  } else {
    return H5Tget_class(stored) == H5T_INTEGER &&
           (size < sizeof(T) || (size == sizeof(T) && H5Tget_sign(stored) == H5T_SGN_2));
  }
}

template <class T>
std::string kind() {
  return std::is_floating_point_v<T> ? "float64" : sizeof(T) == 4 ? "int32" : "int64";
}

// All texts of an attribute with `count` elements, if the file can hold so many and they are UTF-8.
bool read_texts(hid_t attribute, std::uint64_t count, std::uint64_t file_bytes,
                std::vector<std::string>& texts) {
  const Handle stored(H5Aget_type(attribute), H5Tclose);
  constexpr std::size_t reference_bytes = 16;  // of a text of variable length, at least
  const std::size_t element =
      H5Tis_variable_str(stored.id()) > 0 ? reference_bytes : H5Tget_size(stored.id());
  if (element == 0 || count > file_bytes / element) return false;
  const Handle memory(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_cset(memory.id(), H5Tget_cset(stored.id()));
  if (H5Tis_variable_str(stored.id()) > 0) {
    H5Tset_size(memory.id(), H5T_VARIABLE);
    const Handle space(H5Aget_space(attribute), H5Sclose);
    std::vector<char*> pointers(count, nullptr);
    const bool read = H5Aread(attribute, memory.id(), pointers.data()) >= 0;
    for (const char* pointer : pointers) texts.emplace_back(pointer == nullptr ? "" : pointer);
    H5Dvlen_reclaim(memory.id(), space.id(), H5P_DEFAULT, pointers.data());
    return read && std::ranges::all_of(texts, is_utf8);
  }
  const std::size_t width = H5Tget_size(stored.id());
  H5Tset_size(memory.id(), width);
  H5Tset_strpad(memory.id(), H5Tget_strpad(stored.id()));
  std::vector<char> characters(count * width);
  if (H5Aread(attribute, memory.id(), characters.data()) < 0) return false;
  for (std::size_t i = 0; i < count; ++i) {
    const char* start = characters.data() + i * width;
    std::string text(start, strnlen(start, width));
    if (H5Tget_strpad(stored.id()) == H5T_STR_SPACEPAD) text.erase(text.find_last_not_of(' ') + 1);
    texts.push_back(text);
  }
  return std::ranges::all_of(texts, is_utf8);
}

// The bytes of a chunked dataset's chunks, those at its ends being as large as the others; nothing
// when they overflow, are not all there, or passed another filter than deflate, shuffle and a
// checksum, each once.
std::optional<std::uint64_t> chunk_bytes(hid_t set, hid_t layout, std::uint64_t element_bytes) {
  const Handle space(H5Dget_space(set), H5Sclose);
  hsize_t sizes[H5S_MAX_RANK], chunk[H5S_MAX_RANK], stored = 0;
  const int rank = H5Sget_simple_extent_dims(space.id(), sizes, nullptr);
  if (H5Pget_chunk(layout, H5S_MAX_RANK, chunk) != rank) return {};
  std::uint64_t chunks = 1, bytes = element_bytes;
  for (int d = 0; d < rank; ++d) {
    const std::uint64_t across = sizes[d] / chunk[d] + (sizes[d] % chunk[d] != 0 ? 1 : 0);
    if (__builtin_mul_overflow(chunks, across, &chunks) ||
        __builtin_mul_overflow(bytes, chunk[d], &bytes)) {
      return {};
    }
  }
  if (__builtin_mul_overflow(bytes, chunks, &bytes)) return {};
  if (H5Dget_num_chunks(set, space.id(), &stored) < 0 || stored != chunks) return {};
  std::set<H5Z_filter_t> seen;
  for (int i = 0; i < H5Pget_nfilters(layout); ++i) {
    std::size_t values = 0;
    unsigned flags = 0;
    const H5Z_filter_t filter = H5Pget_filter2(layout, static_cast<unsigned>(i), &flags, &values,
                                               nullptr, 0, nullptr, nullptr);
    const bool known = filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SHUFFLE ||
                       filter == H5Z_FILTER_FLETCHER32;
    if (!known || !seen.insert(filter).second) return {};
  }
  return bytes;
}

// Whether the file itself stores all elements of a dataset. HDF5 makes up what was never written
// (fill values), unpacks without a bound and follows datasets into other files, so that a small
// file could make us allocate and fill any amount of memory, or read what its maker cannot.
bool holds(hid_t set, hid_t layout, std::uint64_t elements, std::uint64_t element_bytes,
           std::uint64_t file_bytes) {
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(elements, element_bytes, &bytes)) return false;
  if (H5Pget_external_count(layout) != 0) return false;  // in other files
  if (elements == 0) return true;
  const std::uint64_t stored = H5Dget_storage_size(set);
  if (stored > file_bytes) return false;
  if (H5Pget_layout(layout) != H5D_CHUNKED) return bytes <= stored;
  const auto unpacked = chunk_bytes(set, layout, element_bytes);
  // Deflate packs at most 1032 : 1.
  return unpacked && *unpacked / (H5Pget_nfilters(layout) == 0 ? 1 : 1100) <= stored;
}

}  // namespace

QuietErrors::QuietErrors() {
  H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

QuietErrors::~QuietErrors() {
  H5Eset_auto2(H5E_DEFAULT, function_, data_);
}

Hdf5Input::Hdf5Input(const std::string& path) : path_(path), file_(open_file(path), H5Fclose) {
  file_bytes_ = std::filesystem::file_size(path);
}

bool Hdf5Input::has(const std::string& dataset) const {
  H5L_info_t link{};
  return H5Lget_info(file_.id(), dataset.c_str(), &link, H5P_DEFAULT) >= 0 &&
         link.type == H5L_TYPE_HARD;
}

bool Hdf5Input::has_attribute(const std::string& dataset, const std::string& attribute) const {
  return H5Aexists_by_name(file_.id(), dataset.c_str(), attribute.c_str(), H5P_DEFAULT) > 0;
}

int Hdf5Input::rank(const std::string& dataset) const {
  if (!has(dataset)) return -1;
  const Handle set(H5Dopen2(file_.id(), dataset.c_str(), H5P_DEFAULT), H5Dclose);
  if (!set.valid()) return -1;
  const Handle layout(H5Dget_create_plist(set.id()), H5Pclose);
  if (H5Pget_layout(layout.id()) == H5D_VIRTUAL) return -1;
  const Handle space(H5Dget_space(set.id()), H5Sclose);
  return space.valid() ? H5Sget_simple_extent_ndims(space.id()) : -1;
}

template <class T>
std::vector<T> Hdf5Input::read(const std::string& dataset, int rank,
                               std::vector<std::int64_t>* shape) const {
  const std::string problem = "cannot read " + dataset;
  if (!has(dataset)) fail_file(path_, problem, "there is no such dataset");
  const Handle set(H5Dopen2(file_.id(), dataset.c_str(), H5P_DEFAULT), H5Dclose);
  if (!set.valid()) fail_file(path_, problem, reason());
  const Handle type(H5Dget_type(set.id()), H5Tclose);
  if (!fits<T>(type.id())) fail_file(path_, problem, "it is not of type " + kind<T>());
  const Handle layout(H5Dget_create_plist(set.id()), H5Pclose);
  // Before its extents are asked for, which opens the datasets it is made of.
  if (H5Pget_layout(layout.id()) == H5D_VIRTUAL) {
    fail_file(path_, problem, "it is made of datasets of other files");
  }
  const Handle space(H5Dget_space(set.id()), H5Sclose);
  const int found = H5Sget_simple_extent_ndims(space.id());
  if (found != rank) {
    fail_file(path_, problem, fmt::format("it has {} dimensions, {} were due", found, rank));
  }
  std::vector<hsize_t> sizes(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space.id(), sizes.data(), nullptr);

  std::uint64_t count = 1;
  bool held = true;
  for (const hsize_t size : sizes) held = held && !__builtin_mul_overflow(count, size, &count);
  if (!held || !holds(set.id(), layout.id(), count, H5Tget_size(type.id()), file_bytes_)) {
    fail_file(path_, problem,
              "it claims more elements than the file holds, or has them elsewhere or packed in an "
              "unusual way");
  }
  std::vector<T> values(count);
  if (H5Dread(set.id(), native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    fail_file(path_, problem, reason());
  }
  if (shape != nullptr) shape->assign(sizes.begin(), sizes.end());
  return values;
}

template std::vector<std::int32_t> Hdf5Input::read(const std::string&, int,
                                                   std::vector<std::int64_t>*) const;
template std::vector<std::int64_t> Hdf5Input::read(const std::string&, int,
                                                   std::vector<std::int64_t>*) const;
template std::vector<double> Hdf5Input::read(const std::string&, int,
                                             std::vector<std::int64_t>*) const;

std::vector<std::string> Hdf5Input::texts(const std::string& dataset,
                                          const std::string& name) const {
  const std::string problem = "cannot read the attribute " + name + " of " + dataset;
  const Handle attribute(
      H5Aopen_by_name(file_.id(), dataset.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
      H5Aclose);
  if (!attribute.valid()) fail_file(path_, problem, reason());
  const Handle type(H5Aget_type(attribute.id()), H5Tclose);
  const Handle space(H5Aget_space(attribute.id()), H5Sclose);
  const hssize_t count = H5Sget_simple_extent_npoints(space.id());
  if (H5Tget_class(type.id()) != H5T_STRING || H5Sget_simple_extent_ndims(space.id()) != 1 ||
      count < 0) {
    fail_file(path_, problem, "it is not a list of texts");
  }
  std::vector<std::string> read;
  if (!read_texts(attribute.id(), static_cast<std::uint64_t>(count), file_bytes_, read)) {
    fail_file(path_, problem, "its texts are not all there or not UTF-8");
  }
  return read;
}

}  // namespace ntk::data
