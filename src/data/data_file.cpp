#include "data/data_file.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <unordered_set>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/sha256.hpp"
#include "base/text.hpp"
#include "data/hdf5_input.hpp"

namespace ntk::data {
namespace {

constexpr const char* remedy =
    "correct the source and make the file again with jobs/prepare_data.py";

std::string row_text(const DataFile& data, std::int64_t row) {
  const auto i = static_cast<std::size_t>(row);
  return fmt::format("row {} (source_row {}) of {}", row, data.source_row[i], data.path);
}

// The row that holds the flat token position.
std::int64_t row_of(const DataFile& data, std::int64_t position) {
  return std::ranges::upper_bound(data.offsets, position) - data.offsets.begin() - 1;
}

void check_length(const DataFile& data, const char* name, std::size_t length, std::int64_t due) {
  require(static_cast<std::int64_t>(length) == due, ExitCode::input,
          "{} of {} has {} entries ({} were due) {}", name, data.path, length, due, remedy);
}

void read_tokens(const Hdf5Input& file, DataFile& data) {
  data.has_tokens = true;
  data.tokens = file.read<std::int32_t>("tokens", 1);
  data.offsets = file.read<std::int64_t>("offsets", 1);
  if (file.has("token_type")) data.token_type = file.read<std::int32_t>("token_type", 1);
  require(!data.offsets.empty() && data.offsets.front() == 0, ExitCode::input,
          "offsets of {} does not begin with 0 (the first sample's place) {}", data.path, remedy);
  data.rows = static_cast<std::int64_t>(data.offsets.size()) - 1;
}

void read_labels(const Hdf5Input& file, DataFile& data) {
  require(file.has("label") != file.has("target"), ExitCode::input,
          "{} has {} (a data file has one of them) {}", data.path,
          file.has("label") ? "both label and target" : "neither label nor target", remedy);
  if (file.has("label")) {
    data.label = file.read<std::int32_t>("label", 1);
    data.classes = file.texts("label", "classes");
    if (!data.has_tokens) data.rows = static_cast<std::int64_t>(data.label.size());
    return;
  }
  std::vector<std::int64_t> shape;
  data.target = file.read<double>("target", 2, &shape);
  data.target_sets = shape[1];
  require(data.target_sets >= 1, ExitCode::input, "target of {} has no column (no label set) {}",
          data.path, remedy);
  if (file.has_attribute("target", "columns")) {
    data.target_names = file.texts("target", "columns");
    const std::unordered_set<std::string> names(data.target_names.begin(), data.target_names.end());
    require(static_cast<std::int64_t>(names.size()) == data.target_sets &&
                names.size() == data.target_names.size() && !names.contains(""),
            ExitCode::input,
            "target of {} has {} names for {} label sets (each has one of its own) {}", data.path,
            data.target_names.size(), data.target_sets, remedy);
  }
  if (!data.has_tokens) data.rows = shape[0];
  // Shapes, not counts: in a hostile file rows times sets need not fit into 64 bits.
  require(shape[0] == data.rows, ExitCode::input, "target of {} has {} rows ({} were due) {}",
          data.path, shape[0], data.rows, remedy);
}

void read_noise(const Hdf5Input& file, DataFile& data) {
  if (file.rank("noise_variance") != 2) {
    data.noise_variance = file.read<double>("noise_variance", 1);
    check_length(data, "noise_variance", data.noise_variance.size(), data.rows);
    return;
  }
  std::vector<std::int64_t> shape;
  data.noise_variance = file.read<double>("noise_variance", 2, &shape);
  data.noise_sets = shape[1];
  require(
      shape[0] == data.rows && (shape[1] == 1 || shape[1] == data.target_sets), ExitCode::input,
      "noise_variance of {} has the shape ({}, {}) (it has a row a sample, and a column, or one "
      "for each of the {} label sets) {}",
      data.path, shape[0], shape[1], data.target_sets, remedy);
}

void read_columns(const Hdf5Input& file, DataFile& data) {
  for (const auto& [name, column] : {std::pair{"reference", &data.reference},
                                     {"reference_variance", &data.reference_variance}}) {
    if (!file.has(name)) continue;
    *column = file.read<double>(name, 1);
    check_length(data, name, column->size(), data.rows);
  }
  if (file.has("noise_variance")) read_noise(file, data);
  if (file.has("group")) {
    data.group = file.read<std::int64_t>("group", 1);
    check_length(data, "group", data.group.size(), data.rows);
  }
  if (file.has("task")) {
    data.task = file.read<std::int32_t>("task", 1);
    check_length(data, "task", data.task.size(), data.rows);
    data.tasks = file.texts("task", "tasks");
  }
  data.has_source_row = file.has("source_row");
  if (data.has_source_row) {
    data.source_row = file.read<std::int64_t>("source_row", 1);
    check_length(data, "source_row", data.source_row.size(), data.rows);
  } else {
    data.source_row.resize(static_cast<std::size_t>(data.rows));
    std::iota(data.source_row.begin(), data.source_row.end(), std::int64_t{0});
  }
}

void check_source_rows(const DataFile& data) {
  std::unordered_set<std::int64_t> seen;
  for (std::int64_t row = 0; row < data.rows; ++row) {
    require(seen.insert(data.source_row[static_cast<std::size_t>(row)]).second, ExitCode::input,
            "{} is a second one of that source_row (rows are matched by it) {}",
            row_text(data, row), remedy);
  }
}

void check_tokens(const DataFile& data) {
  const auto tokens = static_cast<std::int64_t>(data.tokens.size());
  for (std::int64_t row = 0; row < data.rows; ++row) {
    const std::int64_t begin = data.offsets[static_cast<std::size_t>(row)];
    const std::int64_t end = data.offsets[static_cast<std::size_t>(row) + 1];
    require(begin <= end && end <= tokens, ExitCode::input,
            "offsets of {} leave the {} tokens at row {} (they must rise to it) {}", data.path,
            tokens, row, remedy);
    require(begin < end, ExitCode::input, "{} is empty (a sample needs at least one token) {}",
            row_text(data, row), remedy);
  }
  require(data.offsets.back() == tokens, ExitCode::input,
          "offsets of {} end at {} ({} tokens are there) {}", data.path, data.offsets.back(),
          tokens, remedy);
  if (!data.token_type.empty()) check_length(data, "token_type", data.token_type.size(), tokens);
  for (const auto& [name, ids] :
       {std::pair{"token", std::span(data.tokens)}, {"token type", std::span(data.token_type)}}) {
    const auto bad = std::ranges::find_if(ids, [](std::int32_t id) { return id < 0; });
    if (bad == ids.end()) continue;
    fail(ExitCode::input, "{} has the {} {} (it must be 0 or more) {}",
         row_text(data, row_of(data, bad - ids.begin())), name, *bad, remedy);
  }
}

// Names of classes or tasks, and the index of each row.
void check_named(const DataFile& data, const char* one, const char* many,
                 const std::vector<std::int32_t>& values, const std::vector<std::string>& names) {
  const auto count = static_cast<std::int64_t>(names.size());
  const std::unordered_set<std::string> distinct(names.begin(), names.end());
  require(count > 0 && distinct.size() == names.size(), ExitCode::input,
          "{} of {} are {} (each has one name of its own) {}", many, data.path,
          count == 0 ? "none" : "not distinct", remedy);
  for (std::int64_t row = 0; row < data.rows; ++row) {
    const std::int32_t value = values[static_cast<std::size_t>(row)];
    require(value >= 0 && value < count, ExitCode::input,
            "{} has the {} {} (there are {} {}, from 0) {}", row_text(data, row), one, value, count,
            many, remedy);
  }
}

// `width` values a row; variances are not negative.
void check_values(const DataFile& data, const char* name, const std::vector<double>& values,
                  std::int64_t width, bool variance) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i) / width;
    require(std::isfinite(values[i]) && (!variance || values[i] >= 0), ExitCode::input,
            "{} has the {} {} (it must be {}) {}", row_text(data, row), name, values[i],
            variance ? "a number, 0 or more" : "a finite number", remedy);
  }
}

}  // namespace

std::vector<std::int64_t> DataFile::lengths() const {
  std::vector<std::int64_t> all(static_cast<std::size_t>(has_tokens ? rows : 0));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = offsets[i + 1] - offsets[i];
  return all;
}

DataFile read_data(const std::string& path, Tokens tokens) {
  const Hdf5Input file(path);
  DataFile data;
  data.path = path;
  data.sha256 = sha256_file(path);
  if (tokens == Tokens::required || file.has("tokens")) read_tokens(file, data);
  read_labels(file, data);
  require(data.rows > 0, ExitCode::input, "{} has no samples (0 rows) check its source", path);
  read_columns(file, data);

  check_source_rows(data);
  if (data.has_tokens) check_tokens(data);
  if (data.target_sets > 0) {
    check_values(data, "target", data.target, data.target_sets, false);
  } else {
    check_length(data, "label", data.label.size(), data.rows);
    check_named(data, "label", "classes", data.label, data.classes);
  }
  if (!data.task.empty()) check_named(data, "task", "tasks", data.task, data.tasks);
  check_values(data, "reference", data.reference, 1, false);
  check_values(data, "reference_variance", data.reference_variance, 1, true);
  check_values(data, "noise_variance", data.noise_variance, data.noise_sets, true);
  return data;
}

std::vector<std::int64_t> check_against_model(const DataFile& data, const ModelLimits& model,
                                              const std::string& overlong) {
  ensure(data.has_tokens && (overlong == "refuse" || overlong == "drop"),
         "data without tokens, or overlong = {}", overlong);
  const auto refuse_beyond = [&](std::span<const std::int32_t> ids, std::int64_t limit,
                                 const char* name, const char* key) {
    const auto bad = std::ranges::find_if(ids, [&](std::int32_t id) { return id >= limit; });
    if (bad == ids.end()) return;
    fail(ExitCode::input,
         "{} has the {} {} (the model's {} is {}) make the file with this model's own tokenizer",
         row_text(data, row_of(data, bad - ids.begin())), name, *bad, key, limit);
  };
  refuse_beyond(data.tokens, model.vocab_size, "token", "vocab_size");
  refuse_beyond(data.token_type, model.type_vocab_size, "token type", "type_vocab_size");
  for (std::int64_t row = 0; row < data.rows; ++row) {
    const auto end = static_cast<std::size_t>(data.offsets[static_cast<std::size_t>(row) + 1]);
    if (data.tokens[end - 1] != model.pad_token_id) continue;
    fail(ExitCode::input,
         "{} ends with padding (pad_token_id = {} would be computed like any other token) make the "
         "file again without padding, as jobs/prepare_data.py does",
         row_text(data, row), model.pad_token_id);
  }

  std::vector<std::int64_t> kept;
  for (std::int64_t row = 0; row < data.rows; ++row) {
    const bool fits = data.length(row) <= model.max_tokens;
    require(fits || overlong == "drop", ExitCode::input,
            "{} has {} tokens (the model has positions for {}) make the file again with "
            "--max-tokens {}, or set data.overlong = \"drop\"",
            row_text(data, row), data.length(row), model.max_tokens, model.max_tokens);
    if (fits) kept.push_back(row);
  }
  require(!kept.empty(), ExitCode::input,
          "no sample of {} is left (all are longer than the model's {} positions) make the file "
          "again with --max-tokens {}",
          data.path, model.max_tokens, model.max_tokens);
  const auto dropped = data.rows - static_cast<std::int64_t>(kept.size());
  if (dropped > 0) {
    log::warn("{} of {} samples of {} are dropped: longer than the model's {} positions", dropped,
              data.rows, data.path, model.max_tokens);
  }
  return kept;
}

}  // namespace ntk::data
