#include "store/hdf5.hpp"

#include <algorithm>
#include <numeric>

namespace ntk::store::h5 {

namespace {

// Ends every complaint about contents.
constexpr const char* remade =
    "if the file is damaged or of another program, move it away and make it again";

constexpr std::int64_t largest_transfer = std::int64_t{256} << 20;  // bytes

// Collects the messages of the library's error stack, the cause first.
herr_t collect(unsigned, const H5E_error2_t* entry, void* data) {
  auto& lines = *static_cast<std::vector<std::string>*>(data);
  if (entry->desc && std::find(lines.begin(), lines.end(), entry->desc) == lines.end())
    lines.emplace_back(entry->desc);
  return 0;
}

// The cause and the call it came to, from the error stack, which is then cleared.
std::string reason() {
  std::vector<std::string> lines;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &lines);
  H5Eclear2(H5E_DEFAULT);
  if (lines.empty()) return "HDF5 gives no reason";
  std::string text = lines.front();
  if (lines.size() > 1) text += "; " + lines[1];
  // The file driver puts a ctime stamp with a line break into its messages.
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

bool a_close_failed = false;

// The library prints its stack by default; ours goes into the exception instead.
void be_quiet() {
  static const herr_t quiet = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  (void)quiet;
}

std::string file_of(hid_t object) {
  const auto length = H5Fget_name(object, nullptr, 0);
  if (length <= 0) return "?";
  std::string name(static_cast<std::size_t>(length) + 1, '\0');
  H5Fget_name(object, name.data(), name.size());
  name.resize(static_cast<std::size_t>(length));
  return name;
}

std::string in_file(const std::string& what, hid_t object) {
  return fmt::format("{} of {}", what, file_of(object));
}

Handle access_list() {
  be_quiet();
  Handle list(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make a property list");
  check(H5Pset_file_locking(list, false, true), "switch off file locking");
  // Sieving reads 64 KiB for each row piece of a tile.
  check(H5Pset_sieve_buf_size(list, 0), "switch off sieving");
  return list;
}

Handle string_type(std::size_t size) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "make a string type");
  check(H5Tset_size(type, size), "make a string type");
  check(H5Tset_cset(type, H5T_CSET_UTF8), "make a string type");
  return type;
}

Handle simple_space(const Dims& dims) {
  const std::vector<hsize_t> sizes(dims.begin(), dims.end());
  return Handle(sizes.empty()
                    ? H5Screate(H5S_SCALAR)
                    : H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr),
                H5Sclose, "make a data space");
}

Dims shape_of(hid_t space) {
  std::vector<hsize_t> sizes(static_cast<std::size_t>(H5Sget_simple_extent_ndims(space)));
  H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  return Dims(sizes.begin(), sizes.end());
}

std::int64_t product(const Dims& dims) {
  return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
}

void write_attribute(hid_t object, const std::string& name, hid_t type, const Dims& dims,
                     const void* data) {
  const std::string what = in_file("write attribute " + name, object);
  if (has_attribute(object, name)) check(H5Adelete(object, name.c_str()), what);
  const Handle space = simple_space(dims);
  const Handle attribute(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose, what);
  check(H5Awrite(attribute, type, data), what);
}

Handle open_attribute(hid_t object, const std::string& name) {
  return Handle(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose,
                in_file("read attribute " + name, object));
}

Handle link_names() {
  Handle list(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "make a property list");
  check(H5Pset_char_encoding(list, H5T_CSET_UTF8), "choose UTF-8");
  return list;
}

void make_parent(hid_t location, const std::string& path) {
  const auto end = path.rfind('/');
  if (end == std::string::npos || end == 0 || exists(location, path.substr(0, end))) return;
  create_group(location, path.substr(0, end));
}

// Every element of a string attribute, of fixed or variable length.
std::vector<std::string> strings_of(hid_t attribute, const std::string& what) {
  const Handle type(H5Aget_type(attribute), H5Tclose, what);
  const Handle space(H5Aget_space(attribute), H5Sclose, what);
  const auto count = static_cast<std::size_t>(H5Sget_simple_extent_npoints(space));
  require(H5Tget_class(type) == H5T_STRING, ExitCode::io, "cannot {} (it is not text) {}", what,
          remade);
  std::vector<std::string> out;
  if (H5Tis_variable_str(type) > 0) {
    std::vector<char*> texts(count, nullptr);
    Handle memory = string_type(H5T_VARIABLE);
    H5Tset_cset(memory, H5Tget_cset(type));
    check(H5Aread(attribute, memory, texts.data()), what);
    for (const char* text : texts) out.emplace_back(text ? text : "");
    H5Dvlen_reclaim(memory, space, H5P_DEFAULT, texts.data());
  } else {
    const std::size_t size = H5Tget_size(type);
    std::string bytes(count * size, '\0');
    check(H5Aread(attribute, type, bytes.data()), what);
    for (std::size_t i = 0; i < count; ++i) {
      std::string text = bytes.substr(i * size, size);
      if (H5Tget_strpad(type) == H5T_STR_SPACEPAD)
        text.erase(text.find_last_not_of(' ') + 1);
      else
        text.resize(std::min(text.size(), text.find('\0')));
      out.push_back(text);
    }
  }
  return out;
}

}  // namespace

Handle::Handle(hid_t id, Close closer, const std::string& what) : id_(id), close_(closer) {
  if (id < 0) check(-1, what);
}

void Handle::close(const std::string& what) {
  if (id_ >= 0) check(release(), what);
}

herr_t Handle::release() {
  const herr_t status = close_(std::exchange(id_, H5I_INVALID_HID));
  a_close_failed = a_close_failed || status < 0;
  return status;
}

bool close_failed() {
  return a_close_failed;
}

void check(herr_t status, const std::string& what) {
  if (status >= 0) return;
  throw Error(ExitCode::io, fmt::format("cannot {} ({}) check that the file is whole, that you may "
                                        "use it and that its disk has room",
                                        what, reason()));
}

Handle open_file(const std::string& path, bool writable) {
  const Handle list = access_list();
  return Handle(H5Fopen(path.c_str(), writable ? H5F_ACC_RDWR : H5F_ACC_RDONLY, list), H5Fclose,
                "open " + path + " as an HDF5 file");
}

Handle open_file(const std::string& path, MPI_Comm comm) {
  const Handle list = access_list();
  check(H5Pset_fapl_mpio(list, comm, MPI_INFO_NULL), "choose MPI-IO");
  return Handle(H5Fopen(path.c_str(), H5F_ACC_RDWR, list), H5Fclose,
                "open " + path + " as an HDF5 file");
}

Handle create_file(const std::string& path, std::int64_t metadata_bytes) {
  const Handle list = access_list();
  // Metadata get checksums. Later formats mark a file as open, which a killed process cannot undo.
  check(H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_V18), "choose a file format");
  if (metadata_bytes > 0) {
    const auto bytes = static_cast<hsize_t>(metadata_bytes);
    check(H5Pset_meta_block_size(list, bytes), "set aside room for metadata");
    check(H5Pset_small_data_block_size(list, 0), "place datasets without gaps");
  }
  const Handle root(H5Pcreate(H5P_FILE_CREATE), H5Pclose, "make a property list");
  check(H5Pset_obj_track_times(root, false), "leave out times");
  return Handle(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, root, list), H5Fclose, "create " + path);
}

bool exists(hid_t location, const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (part != "/" && H5Lexists(location, part.c_str(), H5P_DEFAULT) <= 0) {
      H5Eclear2(H5E_DEFAULT);
      return false;
    }
    if (end == std::string::npos) return true;
  }
}

std::vector<std::string> children(hid_t location, const std::string& group) {
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* data) -> herr_t {
    static_cast<std::vector<std::string>*>(data)->emplace_back(name);
    return 0;
  };
  const Handle object = open_object(location, group);
  check(H5Literate(object, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names),
        in_file("list " + group, location));
  return names;
}

Handle create_group(hid_t location, const std::string& path) {
  const std::string what = in_file("create group " + path, location);
  make_parent(location, path);
  const Handle list(H5Pcreate(H5P_GROUP_CREATE), H5Pclose, what);
  check(H5Pset_obj_track_times(list, false), what);  // times would make bytes differ
  return Handle(H5Gcreate2(location, path.c_str(), link_names(), list, H5P_DEFAULT), H5Gclose,
                what);
}

Handle open_object(hid_t location, const std::string& path) {
  return Handle(H5Oopen(location, path.c_str(), H5P_DEFAULT), H5Oclose,
                in_file("open " + path, location));
}

void write_attribute(hid_t object, const std::string& name, const nlohmann::json& value) {
  if (value.is_boolean() || value.is_number_integer()) {
    const auto number =
        value.is_boolean() ? std::int64_t{value.get<bool>()} : value.get<std::int64_t>();
    write_attribute(object, name, H5T_NATIVE_INT64, {}, &number);
  } else if (value.is_number()) {
    const auto number = value.get<double>();
    write_attribute(object, name, H5T_NATIVE_DOUBLE, {}, &number);
  } else {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    const char* start = text.c_str();
    write_attribute(object, name, string_type(H5T_VARIABLE), {}, &start);
  }
}

void write_attribute(hid_t object, const std::string& name,
                     const std::vector<std::string>& values) {
  std::vector<const char*> starts;
  for (const auto& value : values) starts.push_back(value.c_str());
  write_attribute(object, name, string_type(H5T_VARIABLE),
                  Dims{static_cast<std::int64_t>(values.size())}, starts.data());
}

bool has_attribute(hid_t object, const std::string& name) {
  return H5Aexists(object, name.c_str()) > 0;
}

nlohmann::json read_attribute(hid_t object, const std::string& name) {
  const std::string what = in_file("read attribute " + name, object);
  const Handle attribute = open_attribute(object, name);
  const Handle type(H5Aget_type(attribute), H5Tclose, what);
  const Handle space(H5Aget_space(attribute), H5Sclose, what);
  require(H5Sget_simple_extent_npoints(space) == 1, ExitCode::io,
          "cannot {} (it is not one value) {}", what, remade);
  switch (H5Tget_class(type)) {
    case H5T_STRING:
      return strings_of(attribute, what).front();
    case H5T_INTEGER: {
      std::int64_t value = 0;
      check(H5Aread(attribute, H5T_NATIVE_INT64, &value), what);
      return value;
    }
    case H5T_FLOAT: {
      double value = 0;
      check(H5Aread(attribute, H5T_NATIVE_DOUBLE, &value), what);
      return value;
    }
    default:
      fail(ExitCode::io, "cannot {} (it is neither text nor a number) {}", what, remade);
  }
}

std::vector<std::string> read_strings(hid_t object, const std::string& name) {
  return strings_of(open_attribute(object, name), in_file("read attribute " + name, object));
}

nlohmann::json read_attributes(hid_t object) {
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5A_info_t*, void* data) -> herr_t {
    static_cast<std::vector<std::string>*>(data)->emplace_back(name);
    return 0;
  };
  check(H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names),
        in_file("list the attributes", object));
  auto out = nlohmann::json::object();
  for (const auto& name : names) {
    const Handle attribute = open_attribute(object, name);
    const Handle space(H5Aget_space(attribute), H5Sclose, "read attribute " + name);
    if (H5Sget_simple_extent_npoints(space) == 1) out[name] = read_attribute(object, name);
  }
  return out;
}

Handle create_dataset(hid_t location, const std::string& path, hid_t type, const Dims& dims) {
  const std::string what = in_file("create dataset " + path, location);
  make_parent(location, path);
  const Handle layout(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, what);
  check(H5Pset_layout(layout, H5D_CONTIGUOUS), what);
  check(H5Pset_alloc_time(layout, H5D_ALLOC_TIME_EARLY), what);
  check(H5Pset_fill_time(layout, H5D_FILL_TIME_NEVER), what);
  check(H5Pset_obj_track_times(layout, false), what);
  return Handle(H5Dcreate2(location, path.c_str(), type, simple_space(dims), link_names(), layout,
                           H5P_DEFAULT),
                H5Dclose, what);
}

Dataset::Dataset(hid_t location, const std::string& path, int rank) : path_(path) {
  open(location);
  require(rank < 0 || rank == static_cast<int>(dims_.size()), ExitCode::io,
          "cannot use {} of {} (it has {} dimensions, {} were expected) {}", path_, file_,
          dims_.size(), rank, remade);
}

Dataset::Dataset(hid_t location, const std::string& path, const Dims& dims) : path_(path) {
  open(location);
  bool fits = dims.size() == dims_.size();
  for (std::size_t i = 0; fits && i < dims.size(); ++i) fits = dims[i] < 0 || dims[i] == dims_[i];
  require(fits, ExitCode::io, "cannot use {} of {} (its shape is ({}), ({}) was expected) {}",
          path_, file_, fmt::join(dims_, ", "), fmt::join(dims, ", "), remade);
}

void Dataset::open(hid_t location) {
  file_ = file_of(location);
  const std::string what = fmt::format("open dataset {} of {}", path_, file_);
  require(exists(location, path_), ExitCode::io, "cannot {} (there is none) {}", what, remade);
  handle_ = Handle(H5Dopen2(location, path_.c_str(), H5P_DEFAULT), H5Dclose, what);
  const Handle space(H5Dget_space(handle_), H5Sclose, what);
  dims_ = shape_of(space);
}

std::int64_t Dataset::size() const {
  return product(dims_);
}

std::int64_t Dataset::bytes() const {
  return static_cast<std::int64_t>(H5Dget_storage_size(handle_));
}

std::int64_t Dataset::offset() const {
  const haddr_t address = H5Dget_offset(handle_);
  H5Eclear2(H5E_DEFAULT);
  return address == HADDR_UNDEF ? -1 : static_cast<std::int64_t>(address);
}

bool Dataset::single_precision() const {
  const Handle type(H5Dget_type(handle_), H5Tclose, "read the type of " + path_);
  return H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) == 4;
}

void Dataset::transfer(hid_t type, const Dims& start, const Dims& count, void* memory,
                       bool writing) const {
  const std::string what =
      fmt::format("{} dataset {} of {}", writing ? "write" : "read", path_, file_);
  const Handle stored(H5Dget_type(handle_), H5Tclose, what);
  require(H5Tget_class(stored) == H5Tget_class(type), ExitCode::io,
          "cannot {} (it does not hold {}) {}", what,
          H5Tget_class(type) == H5T_FLOAT ? "floating-point numbers" : "integers", remade);
  ensure(start.size() == dims_.size() && count.size() == dims_.size(), "rank of a box in {}",
         path_);
  for (std::size_t i = 0; i < dims_.size(); ++i)
    ensure(start[i] >= 0 && count[i] >= 0 && start[i] + count[i] <= dims_[i],
           "box [{}, {}) beyond {} in {}", start[i], start[i] + count[i], dims_[i], path_);
  if (product(count) == 0) return;
  if (dims_.empty()) {
    check(writing ? H5Dwrite(handle_, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, memory)
                  : H5Dread(handle_, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, memory),
          what);
    return;
  }
  const std::int64_t slab =
      product(count) / count[0] * static_cast<std::int64_t>(H5Tget_size(type));  // bytes a row
  const std::int64_t rows = std::max<std::int64_t>(1, largest_transfer / slab);
  const Handle file_space(H5Dget_space(handle_), H5Sclose, what);
  std::vector<hsize_t> from(start.begin(), start.end()), box(count.begin(), count.end());
  for (std::int64_t row = 0; row < count[0]; row += rows) {
    from[0] = static_cast<hsize_t>(start[0] + row);
    box[0] = static_cast<hsize_t>(std::min(rows, count[0] - row));
    check(
        H5Sselect_hyperslab(file_space, H5S_SELECT_SET, from.data(), nullptr, box.data(), nullptr),
        what);
    const Handle memory_space(H5Screate_simple(static_cast<int>(box.size()), box.data(), nullptr),
                              H5Sclose, what);
    void* place = static_cast<char*>(memory) + row * slab;
    check(writing ? H5Dwrite(handle_, type, memory_space, file_space, H5P_DEFAULT, place)
                  : H5Dread(handle_, type, memory_space, file_space, H5P_DEFAULT, place),
          what);
  }
}

}  // namespace ntk::store::h5
