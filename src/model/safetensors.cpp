#include "model/safetensors.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <system_error>
#include <type_traits>

#include "base/error.hpp"
#include "base/text.hpp"
#include "model/strict_json.hpp"

namespace ntk::model {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "tensors are read without byte swaps");

constexpr std::size_t prefix_bytes = 8;
constexpr std::size_t largest_header = 100'000'000;  // the reference implementation's limit

// Bytes an element; 0 for a type that the format does not have.
std::size_t dtype_bytes(const std::string& dtype) {
  static const std::map<std::string, std::size_t> sizes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
      {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
      {"U32", 4},  {"F32", 4}, {"I64", 8}, {"U64", 8},     {"F64", 8}};
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

// Everything wrong with a file is said in this shape.
template <class... Args>
[[noreturn]] void fail_file(const std::string& path, fmt::format_string<Args...> why,
                            Args&&... args) {
  fail(ExitCode::input, "{} is not a valid safetensors file ({}) fetch or save it again", path,
       fmt::format(why, std::forward<Args>(args)...));
}

// `value` as a list of non-negative integers that fit into int64.
std::vector<std::int64_t> integers(const json& value, const std::string& path,
                                   const std::string& name, const char* what) {
  if (!value.is_array()) fail_file(path, "tensor {}: {} is not a list", printable(name), what);
  std::vector<std::int64_t> numbers;
  for (const json& element : value) {
    // Parsed without sign = unsigned; a minus sign, a fraction or an exponent = another type.
    if (!element.is_number_unsigned() ||
        element.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
      fail_file(path, "tensor {}: {} holds {}, not a size", printable(name), what,
                printable(element.dump(-1, ' ', true)));
    }
    numbers.push_back(element.get<std::int64_t>());
  }
  return numbers;
}

TensorInfo tensor_info(const json& entry, const std::string& path, const std::string& name) {
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") ||
      !entry.contains("shape") || !entry.contains("data_offsets") || !entry["dtype"].is_string()) {
    fail_file(path, "tensor {} has not exactly dtype, shape and data_offsets", printable(name));
  }
  TensorInfo tensor;
  tensor.dtype = entry["dtype"].get<std::string>();
  tensor.shape = integers(entry["shape"], path, name, "shape");
  const auto offsets = integers(entry["data_offsets"], path, name, "data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    fail_file(path, "tensor {}: data_offsets is not a range", printable(name));
  }
  tensor.begin = static_cast<std::size_t>(offsets[0]);
  tensor.end = static_cast<std::size_t>(offsets[1]);
  std::size_t bytes = dtype_bytes(tensor.dtype);
  if (bytes == 0) {
    fail_file(path, "tensor {} is of the unknown type {}", printable(name),
              printable(tensor.dtype));
  }
  for (const std::int64_t size : tensor.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(size), &bytes)) {
      fail_file(path, "tensor {}: its shape overflows", printable(name));
    }
  }
  if (bytes != tensor.end - tensor.begin) {
    fail_file(path, "tensor {}: shape and type ask for {} bytes, data_offsets for {}",
              printable(name), bytes, tensor.end - tensor.begin);
  }
  return tensor;
}

// Tensors must follow each other from byte 0 to byte `data_bytes`, without gap or overlap.
void check_layout(const std::map<std::string, TensorInfo>& tensors, std::size_t data_bytes,
                  const std::string& path) {
  std::vector<std::pair<const std::string*, const TensorInfo*>> order;
  for (const auto& [name, tensor] : tensors) order.emplace_back(&name, &tensor);
  std::ranges::sort(
      order, {}, [](const auto& item) { return std::pair(item.second->begin, item.second->end); });
  std::size_t expected = 0;
  for (const auto& [name, tensor] : order) {
    if (tensor->begin != expected) {
      fail_file(path, "tensor {} begins at byte {} of the data, where {} was due", printable(*name),
                tensor->begin, expected);
    }
    expected = tensor->end;
  }
  if (expected != data_bytes) {
    fail_file(path, "its tensors take {} bytes, {} follow the header: {}", expected, data_bytes,
              expected > data_bytes ? "truncated" : "there is more");
  }
}

void check_metadata(const json& metadata, const std::string& path) {
  const bool texts = metadata.is_object() && std::ranges::all_of(metadata, [](const json& value) {
                       return value.is_string();
                     });
  if (!texts) fail_file(path, "__metadata__ is not a table of texts");
}

float from_f16(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  float value = 0;
  if (exponent == 0x1f) {
    value = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    value = std::ldexp(static_cast<float>(fraction + 0x400), exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

template <class Stored, class Real, class Convert>
std::vector<Real> convert(std::span<const std::byte> bytes, Convert conversion) {
  std::vector<Real> values(bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored;  // tensors need not be aligned
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = static_cast<Real>(conversion(stored));
  }
  return values;
}

template <class Real>
void check_finite(std::span<const Real> values, const std::string& path, const std::string& name) {
  const auto bad = std::ranges::find_if(values, [](Real value) { return !std::isfinite(value); });
  require(bad == values.end(), ExitCode::input,
          "weight {} of {} is not finite (element {} is {}) train or fetch the model again",
          printable(name), path, bad - values.begin(), bad == values.end() ? Real(0) : *bad);
}

}  // namespace

class SafetensorsFile::Mapping {
 public:
  explicit Mapping(const std::string& path) {
    const auto reason = [] { return std::generic_category().message(errno); };
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    require(file >= 0, ExitCode::input, "no file {} ({}) check the model's path", path, reason());
    struct stat status {};
    const bool known = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode);
    size_ = known ? static_cast<std::size_t>(status.st_size) : 0;
    if (size_ > 0) {
      start_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    }
    const std::string why = reason();
    ::close(file);
    require(known, ExitCode::input, "{} is not a file (a folder or device) check the model's path",
            path);
    require(start_ != MAP_FAILED, ExitCode::io, "cannot map {} ({}) check memory limits", path,
            why);
  }
  ~Mapping() {
    if (start_ != nullptr && start_ != MAP_FAILED) ::munmap(start_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(start_), size_};
  }

 private:
  void* start_ = nullptr;
  std::size_t size_ = 0;
};

SafetensorsFile::SafetensorsFile(const std::string& path)
    : path_(path), mapping_(std::make_shared<const Mapping>(path)) {
  const std::span<const std::byte> file = bytes();
  if (file.size() < prefix_bytes) fail_file(path, "only {} bytes long: truncated", file.size());
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), prefix_bytes);
  if (header_bytes > largest_header) {
    fail_file(path, "its header claims {} bytes, the limit is {}", header_bytes, largest_header);
  }
  if (header_bytes > file.size() - prefix_bytes) {
    fail_file(path, "its header claims {} bytes, only {} follow: truncated", header_bytes,
              file.size() - prefix_bytes);
  }
  data_start_ = prefix_bytes + header_bytes;
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + prefix_bytes,
                              header_bytes);
  const json header = parse_strict_json(text, "the header of " + path);
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      check_metadata(entry, path);
      metadata_ = entry.get<std::map<std::string, std::string>>();
    } else {
      tensors_.emplace(name, tensor_info(entry, path, name));
    }
  }
  check_layout(tensors_, file.size() - data_start_, path);
}

std::span<const std::byte> SafetensorsFile::bytes() const {
  return mapping_->bytes();
}

std::span<const std::byte> SafetensorsFile::bytes_of(const TensorInfo& tensor) const {
  return bytes().subspan(data_start_ + tensor.begin, tensor.end - tensor.begin);
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> all;
  for (const auto& [name, tensor] : tensors_) all.push_back(name);
  return all;
}

const TensorInfo& SafetensorsFile::info(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    fail(ExitCode::input, "{} has no tensor {} (the nearest name is {}) check the model", path_,
         printable(name), printable(nearest(name, names())));
  }
  return found->second;
}

template <class Real>
std::vector<Real> SafetensorsFile::read(const std::string& name) const {
  const TensorInfo& tensor = info(name);
  const auto data = bytes_of(tensor);
  const auto same = [](auto stored) { return stored; };
  std::vector<Real> values;
  if (tensor.dtype == "F64") {
    values = convert<double, Real>(data, same);
  } else if (tensor.dtype == "F32") {
    values = convert<float, Real>(data, same);
  } else if (tensor.dtype == "F16") {
    values = convert<std::uint16_t, Real>(data, from_f16);
  } else if (tensor.dtype == "BF16") {
    values = convert<std::uint16_t, Real>(data, from_bf16);
  } else {
    fail(ExitCode::input,
         "tensor {} of {} is of type {} (weights must be F64, F32, F16 or BF16) convert the model",
         printable(name), path_, tensor.dtype);
  }
  check_finite(std::span<const Real>(values), path_, name);
  return values;
}

template std::vector<float> SafetensorsFile::read<float>(const std::string&) const;
template std::vector<double> SafetensorsFile::read<double>(const std::string&) const;

bool SafetensorsFile::viewable_f32(const std::string& name) const {
  const TensorInfo& tensor = info(name);
  const auto address = reinterpret_cast<std::uintptr_t>(bytes_of(tensor).data());
  return tensor.dtype == "F32" && address % alignof(float) == 0;
}

std::span<const float> SafetensorsFile::view_f32(const std::string& name) const {
  ensure(viewable_f32(name), "tensor {} of {} cannot be viewed in place", name, path_);
  const auto data = bytes_of(info(name));
  const std::span<const float> values(reinterpret_cast<const float*>(data.data()),
                                      data.size() / sizeof(float));
  check_finite(values, path_, name);
  return values;
}

}  // namespace ntk::model
