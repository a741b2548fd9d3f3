#include "store/hdf5.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "base/text.hpp"
#include "store/disk.hpp"
#include "store/hdf5_detail.hpp"

namespace ntk::store::h5 {

namespace {

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
  return printable(text);  // the file driver's messages hold a line break, others names of objects
}

bool a_close_failed = false;

// The library prints its stack by default; ours goes into the exception instead.
void be_quiet() {
  static const herr_t quiet = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  (void)quiet;
}

Handle access_list() {
  be_quiet();
  Handle list(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make a property list");
  check(H5Pset_file_locking(list, false, true), "switch off file locking");
  // Sieving reads 64 KiB for each row piece of a tile.
  check(H5Pset_sieve_buf_size(list, 0), "switch off sieving");
  return list;
}

// An access list with which no link leads to another file. (H5Lget_info would tell links apart, but
// HDF5 1.10 then has metadata to write on one rank only, and closing a shared file never ends.)
Handle within(hid_t kind) {
  const auto refuse = [](const char*, const char*, const char*, const char*, unsigned*, hid_t,
                         void*) -> herr_t { return -1; };
  Handle list(H5Pcreate(kind), H5Pclose, "make a property list");
  check(H5Pset_elink_cb(list, refuse, nullptr), "refuse links to other files");
  return list;
}

// The extents of a dataset that is not virtual: asking for those of one opens other files.
Dims shape_of(hid_t dataset, hid_t layout, const std::string& what) {
  require(H5Pget_layout(layout) != H5D_VIRTUAL, ExitCode::io,
          "cannot {} (it is made of other datasets) {}", what, remade);
  const Handle space(H5Dget_space(dataset), H5Sclose, what);
  std::array<hsize_t, H5S_MAX_RANK> sizes;
  const int rank = H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  check(rank, what);
  Dims dims;
  for (int d = 0; d < rank; ++d) {
    const hsize_t size = sizes[static_cast<std::size_t>(d)];
    require(size <= std::numeric_limits<std::int64_t>::max(), ExitCode::io,
            "cannot {} (its extents are beyond all bounds) {}", what, remade);
    dims.push_back(static_cast<std::int64_t>(size));
  }
  return dims;
}

std::int64_t product(const Dims& dims) {
  return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
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

}  // namespace

std::string file_of(hid_t object) {
  const auto length = H5Fget_name(object, nullptr, 0);
  if (length <= 0) return "?";
  std::string name(static_cast<std::size_t>(length) + 1, '\0');
  H5Fget_name(object, name.data(), name.size());
  name.resize(static_cast<std::size_t>(length));
  return name;
}

std::string in_file(const std::string& what, hid_t object) {
  return fmt::format("{} of {}", printable(what), file_of(object));
}

bool file_holds(hid_t object, std::uint64_t bytes, const std::string& what) {
  if (bytes <= static_cast<std::uint64_t>(file_size(file_of(object)))) return true;
  // Of a file that is being laid out only the library knows.
  const Handle file(H5Iget_file_id(object), H5Fclose, what);
  hsize_t known = 0;
  check(H5Fget_filesize(file, &known), what);
  return bytes <= known;
}

bool plain_number(hid_t type) {
  const std::array known{H5T_IEEE_F64LE, H5T_IEEE_F32LE, H5T_STD_I8LE, H5T_STD_I16LE,
                         H5T_STD_I32LE,  H5T_STD_I64LE,  H5T_STD_U8LE, H5T_STD_U16LE,
                         H5T_STD_U32LE,  H5T_STD_U64LE};
  return std::ranges::any_of(known, [&](hid_t one) { return H5Tequal(type, one) > 0; });
}

Handle simple_space(const Dims& dims) {
  const std::vector<hsize_t> sizes(dims.begin(), dims.end());
  return Handle(sizes.empty()
                    ? H5Screate(H5S_SCALAR)
                    : H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr),
                H5Sclose, "make a data space");
}

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
    if (part != "/" && H5Lexists(location, part.c_str(), within(H5P_LINK_ACCESS)) <= 0) {
      H5Eclear2(H5E_DEFAULT);
      return false;
    }
    if (end == std::string::npos) return true;
  }
}

std::vector<Object> objects(hid_t file) {
  std::vector<Object> found;
  const auto add = [](hid_t, const char* name, const H5O_info_t* info, void* data) -> herr_t {
    if (std::string_view(name) != ".")
      static_cast<std::vector<Object>*>(data)->push_back({name, info->type == H5O_TYPE_DATASET});
    return 0;
  };
  check(H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, add, &found, H5O_INFO_BASIC),
        in_file("list the objects", file));
  return found;
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
  const std::string what = in_file("open " + path, location);
  require(exists(location, path), ExitCode::io, "cannot {} (there is none) {}", what, remade);
  return Handle(H5Oopen(location, path.c_str(), within(H5P_LINK_ACCESS)), H5Oclose, what);
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

// Only numbers that stand in one piece in this file itself: then the file's size limits what can be
// asked of a dataset, whoever made it.
void Dataset::open(hid_t location) {
  file_ = file_of(location);
  const std::string what = fmt::format("open dataset {} of {}", printable(path_), file_);
  require(exists(location, path_), ExitCode::io, "cannot {} (there is none) {}", what, remade);
  handle_ = Handle(H5Dopen2(location, path_.c_str(), within(H5P_DATASET_ACCESS)), H5Dclose, what);
  const Handle type(H5Dget_type(handle_), H5Tclose, what);
  require(plain_number(type), ExitCode::io,
          "cannot {} (it does not hold numbers as we store them) {}", what, remade);
  const Handle layout(H5Dget_create_plist(handle_), H5Pclose, what);
  dims_ = shape_of(handle_, layout, what);
  auto claimed = static_cast<std::int64_t>(H5Tget_size(type));
  bool held = H5Pget_layout(layout) != H5D_CHUNKED && H5Pget_external_count(layout) == 0;
  for (const auto extent : dims_) held = held && !__builtin_mul_overflow(claimed, extent, &claimed);
  require(
      held && claimed == bytes() && file_holds(handle_, static_cast<std::uint64_t>(claimed), what),
      ExitCode::io, "cannot {} (the file does not hold all of it in one piece) {}", what, remade);
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

Dims shape(hid_t location, const std::string& path) {
  const std::string what = in_file("open dataset " + path, location);
  const Handle dataset(H5Dopen2(location, path.c_str(), within(H5P_DATASET_ACCESS)), H5Dclose,
                       what);
  return shape_of(dataset, Handle(H5Dget_create_plist(dataset), H5Pclose, what), what);
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
