// Attributes of hdf5.hpp.
#include <algorithm>

#include "base/text.hpp"
#include "store/hdf5_detail.hpp"

namespace ntk::store::h5 {

namespace {

Handle string_type(std::size_t size) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "make a string type");
  check(H5Tset_size(type, size), "make a string type");
  check(H5Tset_cset(type, H5T_CSET_UTF8), "make a string type");
  return type;
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

// Every element of a string attribute, of fixed or variable length.
std::vector<std::string> strings_of(hid_t attribute, const std::string& what) {
  const Handle type(H5Aget_type(attribute), H5Tclose, what);
  const Handle space(H5Aget_space(attribute), H5Sclose, what);
  require(H5Tget_class(type) == H5T_STRING, ExitCode::io, "cannot {} (it is not text) {}", what,
          remade);
  const bool variable = H5Tis_variable_str(type) > 0;
  const std::size_t size = H5Tget_size(type);
  const auto count = static_cast<std::uint64_t>(H5Sget_simple_extent_npoints(space));
  // What is not stored must not be asked for: a place in the file is at least 16 bytes long, a
  // text of fixed length stands in it.
  std::uint64_t bytes = 0;
  require(H5Sget_simple_extent_ndims(space) <= 1 &&
              !__builtin_mul_overflow(count, variable ? 16 : size, &bytes) &&
              file_holds(attribute, bytes, what),
          ExitCode::io, "cannot {} (it claims more texts than the file holds) {}", what, remade);
  std::vector<std::string> out;
  if (variable) {
    std::vector<char*> texts(count, nullptr);
    Handle memory = string_type(H5T_VARIABLE);
    H5Tset_cset(memory, H5Tget_cset(type));
    check(H5Aread(attribute, memory, texts.data()), what);
    for (const char* text : texts) out.emplace_back(text ? text : "");
    H5Dvlen_reclaim(memory, space, H5P_DEFAULT, texts.data());
  } else {
    std::string all(bytes, '\0');
    check(H5Aread(attribute, type, all.data()), what);
    for (std::size_t i = 0; i < count; ++i) {
      std::string text = all.substr(i * size, size);
      if (H5Tget_strpad(type) == H5T_STR_SPACEPAD)
        text.erase(text.find_last_not_of(' ') + 1);
      else
        text.resize(std::min(text.size(), text.find('\0')));
      out.push_back(text);
    }
  }
  for (const auto& text : out)
    require(is_utf8(text), ExitCode::io, "cannot {} (it is not UTF-8) {}", what, remade);
  return out;
}

}  // namespace

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
  if (H5Tget_class(type) == H5T_STRING) return strings_of(attribute, what).front();
  require(plain_number(type), ExitCode::io, "cannot {} (it is neither text nor a number) {}", what,
          remade);
  if (H5Tget_class(type) == H5T_INTEGER) {
    std::int64_t value = 0;
    check(H5Aread(attribute, H5T_NATIVE_INT64, &value), what);
    return value;
  }
  double value = 0;
  check(H5Aread(attribute, H5T_NATIVE_DOUBLE, &value), what);
  return value;
}

std::string read_text(hid_t object, const std::string& name) {
  const nlohmann::json value = read_attribute(object, name);
  require(value.is_string(), ExitCode::io, "cannot {} (it is not text) {}",
          in_file("read attribute " + name, object), remade);
  return value.get<std::string>();
}

std::int64_t read_integer(hid_t object, const std::string& name) {
  const nlohmann::json value = read_attribute(object, name);
  require(value.is_number_integer(), ExitCode::io, "cannot {} (it is not a whole number) {}",
          in_file("read attribute " + name, object), remade);
  return value.get<std::int64_t>();
}

double read_real(hid_t object, const std::string& name) {
  const nlohmann::json value = read_attribute(object, name);
  require(value.is_number(), ExitCode::io, "cannot {} (it is not a number) {}",
          in_file("read attribute " + name, object), remade);
  return value.get<double>();
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

}  // namespace ntk::store::h5
