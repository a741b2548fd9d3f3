#include "app/labels.hpp"

#include <fmt/ranges.h>

#include <unordered_map>

#include "base/error.hpp"
#include "base/text.hpp"

namespace ntk::app {

namespace {

constexpr std::size_t mark_letters = 16;  // of a SHA-256

template <class T>
std::vector<T> picked(const std::vector<T>& values, const std::vector<std::size_t>& rows,
                      std::size_t width = 1) {
  std::vector<T> result;
  if (values.empty()) return result;
  for (const std::size_t row : rows) {
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(row * width);
    result.insert(result.end(), at, at + static_cast<std::ptrdiff_t>(width));
  }
  return result;
}

void require_fitting_outputs(const store::SampleTable& samples, const data::DataFile& file,
                             std::int64_t rows_per_sample) {
  if (rows_per_sample == 1) return;
  const auto names = [](const std::vector<std::string>& classes) {
    return classes.empty() ? "real targets"
                           : printable(fmt::format("{}", fmt::join(classes, ", ")));
  };
  require(!file.classes.empty() &&
              static_cast<std::int64_t>(file.classes.size()) == rows_per_sample &&
              (samples.classes.empty() || samples.classes == file.classes),
          ExitCode::usage,
          "{} has {} for the kernel's outputs, which are {} (each class has an output of its own, "
          "in this order) give classes of the same names and order, or use a kernel with one row "
          "a sample",
          file.path, names(file.classes), names(samples.classes));
}

}  // namespace

std::optional<spectrum::GivenLabels> Labels::given() const {
  if (sha256.empty()) return std::nullopt;
  return spectrum::GivenLabels{samples, sha256.substr(0, mark_letters)};
}

store::SampleTable with_labels(const store::SampleTable& samples, const data::DataFile& file,
                               std::int64_t rows_per_sample) {
  require(file.has_source_row, ExitCode::input,
          "{} has no source_row (its rows are matched with the kernel's samples by it) make it "
          "with jobs/prepare_data.py --labels-only",
          file.path);
  require_fitting_outputs(samples, file, rows_per_sample);
  std::unordered_map<std::int64_t, std::size_t> row_of;
  for (std::size_t i = 0; i < file.source_row.size(); ++i) row_of[file.source_row[i]] = i;
  std::vector<std::size_t> rows;
  std::size_t missing = 0;
  std::int64_t first = 0;
  for (const std::int64_t source : samples.source_row) {
    if (const auto found = row_of.find(source); found != row_of.end()) {
      rows.push_back(found->second);
    } else if (missing++ == 0) {
      first = source;
    }
  }
  require(missing == 0, ExitCode::input,
          "{} of the kernel's {} samples are not in {} (the first of them has source_row {}) give "
          "a file with a row for each",
          missing, samples.source_row.size(), file.path, first);
  store::SampleTable table;
  table.source_row = samples.source_row;
  table.tokens = samples.tokens;
  table.label = picked(file.label, rows);
  table.classes = file.classes;
  table.label_sets = file.target_sets;
  table.target = picked(file.target, rows, static_cast<std::size_t>(file.target_sets));
  table.reference = picked(file.reference, rows);
  table.reference_variance = picked(file.reference_variance, rows);
  table.noise_sets = file.noise_sets;
  table.noise_variance =
      picked(file.noise_variance, rows, static_cast<std::size_t>(file.noise_sets));
  // What must not be divided is a matter of the samples: it stays where the file does not say.
  table.group = file.group.empty() ? samples.group : picked(file.group, rows);
  return table;
}

Labels labels_in_force(const Job& job, const store::KernelReader& kernel) {
  Labels labels;
  labels.samples = kernel.samples();
  if (!job.theory.targets.empty()) {
    const auto file = data::read_data(job.theory.targets, data::Tokens::optional);
    labels.samples = with_labels(labels.samples, file, kernel.rows_per_sample());
    labels.file = file.path;
    labels.sha256 = file.sha256;
  }
  const auto given = labels.given();
  labels.projections = spectrum::projections_group(given ? given->mark : "");
  return labels;
}

}  // namespace ntk::app
