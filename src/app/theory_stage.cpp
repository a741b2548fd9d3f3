#include "app/theory_stage.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>

#include "app/evaluation_sets.hpp"
#include "app/learning_curves.hpp"
#include "app/theory_report.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/sha256.hpp"
#include "parallel/collectives.hpp"
#include "spectrum/kernel_sum.hpp"
#include "spectrum/projections.hpp"
#include "spectrum/stage.hpp"
#include "store/disk.hpp"
#include "theory/held_out.hpp"

namespace ntk::app {

using nlohmann::json;
namespace h5 = store::h5;

namespace {

double noise_number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(
      error == std::errc() && end == text.data() + text.size() && std::isfinite(value) &&
          value >= 0,
      ExitCode::usage,
      "theory.noise_variance = \"{}\" is not understood (it must be \"data\", \"estimate\" or a "
      "number of at least 0) correct the job file",
      text);
  return value;
}

// Column c of a row-major table.
std::vector<double> column(const std::vector<double>& table, std::int64_t columns, std::int64_t c) {
  std::vector<double> values;
  for (std::size_t i = static_cast<std::size_t>(c); i < table.size();
       i += static_cast<std::size_t>(columns)) {
    values.push_back(table[i]);
  }
  return values;
}

void subtract(std::vector<double>& from, const std::vector<double>& what) {
  for (std::size_t i = 0; i < from.size(); ++i) from[i] -= what[i];
}

// A field as the spectrum stage projected it: values on the rows, and projections (modes, columns).
// Where not all modes are there, K/n times the field, like the values.
struct ProjectedField {
  std::int64_t columns = 0;
  std::vector<double> values, projections, products;
};
// `place`: the group of the projections.
ProjectedField read_field(const std::vector<spectrum::Field>& fields, const std::string& name,
                          hid_t file, const std::string& place) {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.name == name; });
  if (found == fields.end()) return {};
  const std::string path = place + "/" + name;
  require(h5::exists(file, path), ExitCode::io,
          "the spectrum has no {} (it was made without projections) run `ntk theory`, "
          "which makes them",
          path);
  const h5::Dataset data(file, path);
  const std::int64_t stored = data.dims().size() > 1 ? data.dims()[1] : 1;
  require(
      stored == found->columns, ExitCode::io,
      "{} has {} columns for {} of the kernel (the spectrum belongs to another kernel) run `ntk "
      "spectrum` again",
      path, stored, found->columns);
  ProjectedField field{found->columns, found->values, data.read_all<double>(), {}};
  if (const std::string of_all = spectrum::products_group(place) + "/" + name;
      h5::exists(file, of_all)) {
    field.products = h5::Dataset(file, of_all).read_all<double>();
  }
  return field;
}

// The sub-matrix over `rows` of a weighted sum of stored kernels, read in strips of whole rows.
std::vector<double> read_subset(const store::KernelReader& kernel,
                                const std::vector<spectrum::Term>& terms,
                                const std::vector<std::int64_t>& rows) {
  const std::int64_t n = kernel.order(), height = 64;
  const std::size_t m = rows.size();
  std::vector<double> matrix(m * m, 0.0), strip(static_cast<std::size_t>(height * n));
  for (const auto& term : terms) {
    for (std::size_t i = 0; i < m;) {
      const std::int64_t start = rows[i], count = std::min(height, n - start);
      kernel.read_block(term.dataset, start, 0, count, n, strip.data());
      for (; i < m && rows[i] < start + count; ++i) {
        const double* row = strip.data() + (rows[i] - start) * n;
        for (std::size_t j = 0; j < m; ++j) matrix[i * m + j] += term.weight * row[rows[j]];
      }
    }
  }
  return matrix;
}

// By its column in the source table, where there are several.
std::string target_name(const store::SampleTable& samples, std::int64_t set) {
  if (samples.label_sets == 1) return "target";
  if (samples.target_names.empty()) return fmt::format("target {}", set + 1);
  return samples.target_names[static_cast<std::size_t>(set)];
}

std::vector<theory::LabelSet> label_sets(const Job& job, const store::SampleTable& samples,
                                         const std::vector<spectrum::Field>& fields, hid_t file,
                                         const std::string& place) {
  const bool classes = samples.target.empty();
  const auto field = read_field(fields, classes ? "label" : "target", file, place);
  const bool keep = job.theory.f0 == "keep";
  const auto outputs = keep ? read_field(fields, "outputs", file, place) : ProjectedField{};
  if (keep && field.columns > 0) {
    // Several targets are label sets for one output. Classes need an output each: the difference or
    // sum of outputs is a prediction of none of them.
    require(outputs.columns == (classes ? field.columns : 1), ExitCode::usage,
            "theory.f0 = \"keep\" does not fit these outputs ({} {} against {} output columns a "
            "row, so the outputs are no predictions of the labels) use theory.f0 = \"subtract\"{}",
            field.columns, classes ? "class indicators" : "targets", outputs.columns,
            classes ? ", or a kernel with kernel.outputs = \"logits\" or \"mean_diagonal\"" : "");
  }
  // The variance is that of targets.
  const auto noise = classes ? ProjectedField{} : read_field(fields, "noise_variance", file, place);
  std::vector<theory::LabelSet> sets;
  for (std::int64_t c = 0; c < field.columns; ++c) {
    theory::LabelSet set;
    set.name = !classes             ? target_name(samples, c)
               : field.columns == 1 ? "classes"
                                    : "class " + samples.classes[static_cast<std::size_t>(c)];
    set.values = column(field.values, field.columns, c);
    set.projections = column(field.projections, field.columns, c);
    if (noise.columns > 0) {
      const std::int64_t of = noise.columns > 1 ? c : 0;
      set.noise_variances = column(noise.values, noise.columns, of);
      set.noise_modes = column(noise.projections, noise.columns, of);
    }
    auto products = column(field.products, field.columns, c);
    if (keep) {
      const std::int64_t of = classes ? c : 0;
      subtract(set.values, column(outputs.values, outputs.columns, of));
      subtract(set.projections, column(outputs.projections, outputs.columns, of));
      subtract(products, column(outputs.products, outputs.columns, of));
    }
    if (!products.empty()) set.moments = theory::label_moments(set.values, products);
    sets.push_back(std::move(set));
  }
  return sets;
}

// The training of the job file, where it has one.
std::optional<theory::Training> training_of(const Job& job, const store::KernelReader& kernel,
                                            std::int64_t samples) {
  const auto& asked = job.theory;
  if (asked.learning_rate == 0) return std::nullopt;
  theory::Training training;
  training.optimiser = theory::optimiser_named(asked.optimiser);
  training.loss = theory::loss_named(asked.loss);
  training.schedule = theory::schedule_named(asked.schedule);
  training.learning_rate = asked.learning_rate;
  training.momentum = asked.momentum;
  training.batch = static_cast<double>(std::min(asked.batch_size, samples));
  training.samples = static_cast<double>(samples);
  training.outputs = static_cast<double>(kernel.output_columns());
  return training;
}

// theory.json as it lies there, null when it is not of this mark.
json stored_theory(const std::string& path, const std::string& mark) {
  std::ifstream file(path);
  if (!file) return nullptr;
  json stored = json::parse(file, nullptr, false);
  return stored.is_object() && stored.value("fingerprint", "") == mark ? stored : json(nullptr);
}

// Trace and squared Frobenius norm of K/n.
theory::SpectralMoments read_sums(hid_t group) {
  const double norm = h5::read_real(group, "frobenius");
  return {h5::read_real(group, "trace"), norm * norm};
}

}  // namespace

theory::TheoryInputs read_theory_inputs(const Job& job, const std::string& name,
                                        const store::KernelReader& kernel, hid_t spectrum,
                                        const Labels& labels) {
  const std::string place = "/" + name + "/centred";
  require(
      h5::exists(spectrum, place + "/eigenvalues"), ExitCode::usage,
      "the spectrum file has no centred spectrum of {} (theory works on the centred kernel) set "
      "spectrum.centre to \"both\" or \"centred\" and run `ntk spectrum`",
      name);
  theory::TheoryInputs inputs;
  inputs.rows_per_sample = kernel.rows_per_sample();
  inputs.samples = kernel.order() / std::max<std::int64_t>(1, inputs.rows_per_sample);
  inputs.seed = static_cast<std::uint64_t>(job.run.seed);
  inputs.law_draws = static_cast<std::size_t>(job.theory.law_draws);
  inputs.f0_kept = job.theory.f0 == "keep";
  inputs.training = training_of(job, kernel, inputs.samples);
  inputs.head_fitted_on_labels = kernel.attributes().value("head.fitted_samples", 0) > 0;
  inputs.eigenvalues = h5::read<double>(spectrum, place + "/eigenvalues");
  if (const std::string raw = "/" + name + "/raw/eigenvalues"; h5::exists(spectrum, raw)) {
    inputs.raw_eigenvalues = h5::read<double>(spectrum, raw);
    inputs.raw_sums = read_sums(h5::open_object(spectrum, "/" + name + "/raw"));
  }
  const h5::Handle group = h5::open_object(spectrum, place);
  inputs.floor = h5::read_real(group, "floor_independent");
  inputs.resolved = h5::read_integer(group, "resolved");
  inputs.sums = read_sums(group);
  const auto terms = spectrum::parse_sum(name, job.spectrum.kernels.at(name), kernel.groups());
  inputs.semidefinite =
      std::all_of(terms.begin(), terms.end(), [](const auto& term) { return term.weight >= 0; });

  if (job.theory.noise_variance == "data") {
    inputs.noise_source = theory::NoiseSource::data;
  } else if (job.theory.noise_variance == "estimate") {
    inputs.noise_source = theory::NoiseSource::estimate;
  } else {
    inputs.noise_source = theory::NoiseSource::number;
    inputs.noise_number = noise_number(job.theory.noise_variance);
  }
  const auto& samples = labels.samples;
  const std::string projections = place + "/" + labels.projections;
  const auto outputs = kernel.outputs();
  const auto fields =
      spectrum::fields_of(samples, outputs, kernel.output_columns(), kernel.rows_per_sample());
  inputs.labels = label_sets(job, samples, fields, spectrum, projections);
  if (h5::exists(spectrum, place + "/diagonal")) {
    const auto diagonal = h5::read<double>(spectrum, place + "/diagonal"),
               squares = h5::read<double>(spectrum, place + "/row_squares");
    for (auto& set : inputs.labels) {
      if (set.noise_variances.empty()) continue;
      set.noise_sums = theory::noise_moments(set.noise_variances, diagonal, squares);
    }
  }
  inputs.truth = class_truth(samples, samples, inputs.f0_kept ? outputs : std::vector<double>());

  const auto count = static_cast<std::size_t>(inputs.samples);
  const auto width = static_cast<std::size_t>(inputs.rows_per_sample);
  const auto measured = std::min(count, static_cast<std::size_t>(theory_measured_rows) / width);
  const auto drawn = theory::draw_split(count, {}, measured, 0, inputs.seed).train;
  for (const auto r : theory::rows_of_samples(drawn, width)) {
    inputs.subset.push_back(static_cast<std::int64_t>(r));
  }
  inputs.kernel = read_subset(kernel, terms, inputs.subset);
  inputs.group = samples.group;
  inputs.task = samples.task;
  inputs.tasks = samples.tasks;
  if (!samples.target.empty()) {
    inputs.reference = samples.reference;
    inputs.reference_variance = samples.reference_variance;
    if (inputs.reference_variance.empty())
      inputs.reference_variance.assign(inputs.reference.size(), 0);
    if (inputs.f0_kept && kernel.output_columns() == 1) subtract(inputs.reference, outputs);
  }
  inputs.evaluate = read_evaluation_sets(kernel, spectrum, place, terms, samples, inputs);
  return inputs;
}

json run_theory(MPI_Comm comm, const Job& job) {
  const std::string directory = job.run.directory, path = directory + "/theory.json";
  const std::string spectrum_path = directory + "/spectrum.h5",
                    folder = directory + "/theory.points";
  const json settings{{"f0", job.theory.f0},
                      {"noise_variance", job.theory.noise_variance},
                      {"law_draws", job.theory.law_draws},
                      {"sizes", job.theory.sizes},
                      {"seeds", job.theory.seeds},
                      {"test_samples", job.theory.test_samples},
                      {"learning_rate", job.theory.learning_rate},
                      {"batch_size", job.theory.batch_size},
                      {"momentum", job.theory.momentum},
                      {"schedule", job.theory.schedule},
                      {"loss", job.theory.loss},
                      {"optimiser", job.theory.optimiser},
                      {"draw", job.theory.draw},
                      {"seed", job.run.seed},
                      {"kernels", job.spectrum.kernels}};
  std::optional<store::KernelReader> kernel;
  std::optional<h5::Handle> spectrum;
  Labels labels;
  std::string mark;
  json theory;
  parallel::collectively(comm, [&] {
    require(store::file_exists(spectrum_path), ExitCode::usage,
            "{} is missing (theory reads the spectrum) run `ntk spectrum` first", spectrum_path);
    kernel.emplace(directory + "/kernel.h5");
    spectrum.emplace(h5::open_file(spectrum_path));
    labels = labels_in_force(job, *kernel);
    const json inputs{{"spectrum", h5::read_attribute(*spectrum, "fingerprint")},
                      {"settings", settings},
                      {"targets", labels.sha256},
                      {"version", theory_format_version}};
    mark = sha256_text(inputs.dump());
    theory = stored_theory(path, mark);
  });
  if (parallel::all_min(comm, theory.is_null() ? 0 : 1) == 1) {
    log::info("{} is complete and up to date", path);
    for (const auto& line : theory_table(theory)) log::write_plain(line);
    theory["reused"] = true;
    return theory;
  }
  theory = {{"format", theory_format}, {"format_version", theory_format_version},
            {"fingerprint", mark},     {"settings", settings},
            {"targets", nullptr},      {"kernels", json::object()}};
  if (!labels.file.empty()) {
    theory["targets"] = {{"file", labels.file}, {"sha256", labels.sha256}};
  }
  for (const auto& [name, sum] : job.spectrum.kernels) {
    std::optional<theory::TheoryInputs> inputs;
    parallel::collectively(
        comm, [&] { inputs = read_theory_inputs(job, name, *kernel, *spectrum, labels); });
    json curves = learning_curves(comm, job, name, *inputs, {folder, mark});
    parallel::on_first(comm, [&] {
      json report = theory::theory_summary(*inputs);
      if (const auto why = curves.find("limit"); why != curves.end()) {
        report["limits"].push_back(*why);
        curves = nullptr;
      }
      report["learning_curves"] = std::move(curves);
      theory["kernels"][name] = std::move(report);
    });
  }
  parallel::on_first(comm, [&] {
    store::replace_file(path, theory.dump(1) + "\n");
    std::filesystem::remove_all(folder);
    for (const auto& line : theory_table(theory)) log::write_plain(line);
  });
  theory["reused"] = false;
  return theory;
}

}  // namespace ntk::app
