#include "model/strict_json.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace ntk::model {

using nlohmann::json;

json parse_strict_json(std::string_view text, const std::string& what) {
  constexpr int deepest = 16;
  require(text.starts_with('{'), ExitCode::input,
          "{} is not a JSON object (it does not begin with a brace) fetch the model again", what);
  // The parser would take a NUL for the end and ignore what follows.
  require(text.find('\0') == std::string_view::npos, ExitCode::input,
          "{} is not valid JSON (it holds a NUL byte) fetch the model again", what);
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      require(depth < deepest, ExitCode::input,
              "{} is nested too deeply (more than {} levels) fetch the model again", what, deepest);
    }
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      require(keys.back().insert(key).second, ExitCode::input,
              "{} has the key \"{}\" twice (which one holds is undefined) fetch the model again",
              what, printable(key));
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), check);
  } catch (const json::exception& error) {
    fail(ExitCode::input, "{} is not valid JSON ({}) fetch the model again", what,
         printable(error.what()));
  }
}

std::string read_small_file(const std::string& path, std::size_t limit) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  require(!error, ExitCode::input, "no file {} ({}) check the path", path, error.message());
  require(size <= limit, ExitCode::input,
          "{} is too large ({} bytes, at most {} are read) check it", path, size, limit);
  std::ifstream file(path, std::ios::binary);
  require(file.is_open(), ExitCode::input, "no file {} ({}) check the path", path,
          std::generic_category().message(errno));
  std::string text(size, '\0');
  file.read(text.data(), static_cast<std::streamsize>(size));
  require(file.gcount() == static_cast<std::streamsize>(size), ExitCode::io,
          "cannot read {} (it ends early) check the file system", path);
  return text;
}

}  // namespace ntk::model
