#include "kernel/inputs.hpp"

#include <algorithm>
#include <filesystem>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "data/data_file.hpp"
#include "data/draw.hpp"
#include "data/split.hpp"
#include "kernel/operations.hpp"
#include "model/initialisation.hpp"

namespace ntk::kernel {

namespace {

constexpr std::int64_t least_probe_rows = 20;

model::Pooling pooling_of(const Job& job, bool own_head) {
  const std::string& name = job.model.pooling;
  require(
      !own_head || name.empty() || name == "cls", ExitCode::usage,
      "model.pooling = \"{}\" with model.head = \"checkpoint\" (the model's own pooler reads the "
      "first token) remove model.pooling",
      name);
  if (name == "mean") return model::Pooling::mean;
  if (name == "last") return model::Pooling::last;
  return model::Pooling::cls;  // also the default of the families there are
}

// Labels are numbers: the checkpoint's outputs and the file's classes go together by position.
void warn_of_other_classes(const model::ModelConfig& config, const data::DataFile& train) {
  if (config.labels.empty() || train.classes.empty() || config.labels == train.classes) return;
  if (config.labels.front() == "LABEL_0") return;  // the library's names for classes without any
  log::warn(
      "the model's outputs are {} and the classes of {} are {} (they go together in this order) "
      "make sure that they mean the same",
      printable(join(config.labels)), train.path, printable(join(train.classes)));
}

model::ModelDescription read_model(const Job& job, const data::DataFile& train) {
  model::ModelDescription d;
  d.path = job.model.path;
  d.config = model::read_config(d.path);
  d.checkpoint = std::make_shared<model::Checkpoint>(d.path);
  const std::string& head = job.model.head;
  d.choices.own_head = head == "checkpoint";
  d.choices.pooling = pooling_of(job, d.choices.own_head);
  if (head == "random" || head == "probe") {
    d.choices.outputs = train.outputs();
  } else if (!d.choices.own_head) {
    d.head = model::read_head(head, d.config.hidden_size);
    d.choices.outputs = d.head.outputs;
  }
  d.architecture = model::make_architecture(d.config, *d.checkpoint, d.choices);
  require(d.architecture.outputs == train.outputs(), ExitCode::input,
          "the head has {} outputs and {} has {} (classes, or 1 for real targets) give a head for "
          "these labels",
          d.architecture.outputs, train.path, train.outputs());
  if (d.choices.own_head) warn_of_other_classes(d.config, train);
  model::mark_drawn(d.architecture, job.model.initialisation, job.model.reinitialised_layers);
  d.initialisation_seed = job.model.initialisation_seed;
  model::select_parameters(d.architecture, job.model.include, job.model.exclude,
                           !job.model.parameters_preset.empty());
  if (head == "random") {  // its size is config.json's word, which the architecture has checked
    d.head = model::random_head(train.outputs(), d.config.hidden_size, job.model.head_std,
                                job.model.head_seed);
  }
  if (head == "probe") {  // its place, until it is fitted
    const auto outputs = static_cast<std::size_t>(train.outputs());
    const auto hidden = static_cast<std::size_t>(d.config.hidden_size);
    d.head = {train.outputs(), std::vector<float>(outputs * hidden), std::vector<float>(outputs)};
  }
  if (d.choices.own_head) {  // kept beside the kernel like any other head
    const auto& parameters = d.architecture.parameters;
    d.head = {d.architecture.outputs,
              d.checkpoint->read<float>(parameters[parameters.size() - 2].source),
              d.checkpoint->read<float>(parameters.back().source)};
  }
  return d;
}

// Rows of `from` picked out, `width` entries each; nothing stays nothing.
template <class T>
std::vector<T> pick(const std::vector<T>& from, const std::vector<std::int64_t>& rows,
                    std::int64_t width = 1) {
  std::vector<T> out;
  if (from.empty()) return out;
  out.reserve(rows.size() * static_cast<std::size_t>(width));
  for (auto row : rows) {
    out.insert(out.end(), from.begin() + row * width, from.begin() + (row + 1) * width);
  }
  return out;
}

store::SampleTable table_of(const data::DataFile& file, const std::vector<std::int64_t>& rows) {
  store::SampleTable t;
  t.source_row = pick(file.source_row, rows);
  for (auto row : rows) t.tokens.push_back(static_cast<std::int32_t>(file.length(row)));
  t.label = pick(file.label, rows);
  t.classes = file.classes;
  t.target = pick(file.target, rows, file.target_sets);
  t.label_sets = file.target_sets;
  t.target_names = file.target_names;
  t.reference = pick(file.reference, rows);
  t.reference_variance = pick(file.reference_variance, rows);
  t.noise_variance = pick(file.noise_variance, rows, file.noise_sets);
  t.noise_sets = file.noise_sets;
  t.group = pick(file.group, rows);
  t.task = pick(file.task, rows);
  t.tasks = file.tasks;
  return t;
}

SampleSet samples_of(const std::string& name, const data::DataFile& file,
                     const std::vector<std::int64_t>& rows) {
  SampleSet set;
  set.name = name;
  for (auto row : rows) {
    const auto first = file.offsets[static_cast<std::size_t>(row)];
    const auto last = file.offsets[static_cast<std::size_t>(row) + 1];
    auto& t = set.tokens;
    t.tokens.insert(t.tokens.end(), file.tokens.begin() + first, file.tokens.begin() + last);
    if (file.token_type.empty()) {
      t.types.resize(t.tokens.size(), 0);
    } else {
      t.types.insert(t.types.end(), file.token_type.begin() + first,
                     file.token_type.begin() + last);
    }
    t.offsets.push_back(static_cast<std::int64_t>(t.tokens.size()));
  }
  return set;
}

// Rows of the training file for a probe: those of the kernel, or others that share no group with
// `taken`, all rows of the file that the job uses.
ProbeRows probe_rows(const Job& job, const data::DataFile& file,
                     const std::vector<std::int64_t>& usable,
                     const std::vector<std::int64_t>& samples,
                     const std::vector<std::int64_t>& taken) {
  std::vector<std::int64_t> rows = samples;
  const auto count = static_cast<std::int64_t>(samples.size());
  if (job.model.probe_on == "train") {
    require(count >= least_probe_rows, ExitCode::input,
            "{} samples are too few for a probe head (it is fitted on {} at least) use more "
            "data.samples, or model.head = \"random\"",
            count, least_probe_rows);
  } else {
    std::vector<std::int64_t> order;
    for (auto i : data::permutation(static_cast<std::int64_t>(usable.size()), job.run.seed)) {
      order.push_back(usable[static_cast<std::size_t>(i)]);
    }
    const std::int64_t asked = job.model.probe_rows;
    rows = data::rows_apart(order, taken, file.group, asked > 0 ? asked : count);
    const auto found = static_cast<std::int64_t>(rows.size());
    require(found >= std::max(asked, least_probe_rows), ExitCode::input,
            "{} rows of {} are free for the probe head, {} are wanted (of {} rows the kernel takes "
            "{}, and rows of their groups are not used either) use fewer data.samples, a smaller "
            "model.probe_rows, a larger data file, or model.probe_on = \"train\"",
            found, file.path, std::max(asked, least_probe_rows), usable.size(), count);
  }
  std::ranges::sort(rows);
  return {samples_of("probe", file, rows), table_of(file, rows)};
}

// One method a parameter. In reduced precision, mixing quantised gradients with quantised factors
// would cost the kernel its semi-definiteness. What decides is the mean length of all samples that
// the file offers, so that a kernel can grow.
std::vector<jacobian::Method> fixed_methods(const model::Architecture& architecture,
                                            const jacobian::Settings& settings,
                                            double mean_length) {
  constexpr std::int64_t samples = 1024;
  std::vector<jacobian::Method> methods;
  for (const auto& p : architecture.parameters) {
    if (!p.is_linear()) {
      methods.push_back(jacobian::Method::explicit_);
      continue;
    }
    const std::int64_t rows =
        p.pooled ? samples : static_cast<std::int64_t>(mean_length * static_cast<double>(samples));
    methods.push_back(
        jacobian::choose(settings.costs, {p.shape[1], p.shape[0], rows, rows, samples, samples,
                                          settings.copies, settings.class_diagonal, false}));
  }
  return methods;
}

double mean_length(const data::DataFile& file, const std::vector<std::int64_t>& rows) {
  double sum = 0;
  for (auto row : rows) sum += static_cast<double>(file.length(row));
  return sum / static_cast<double>(rows.size());
}

}  // namespace

KernelInputs read_kernel_inputs(const Job& job, const ComputeDevice& device) {
  std::vector<std::string> paths{job.data.train};
  paths.insert(paths.end(), job.data.evaluate.begin(), job.data.evaluate.end());
  model::ModelDescription model;
  std::vector<SampleSet> sets;
  std::vector<store::SampleTable> tables;
  nlohmann::json hashes = nlohmann::json::object();
  double usual_length = 0;
  const bool probe = job.model.head == "probe";
  data::DataFile train;                                      // kept for a probe
  std::vector<std::int64_t> train_rows, train_usable, used;  // used: by any set, of the same file
  for (std::size_t s = 0; s < paths.size(); ++s) {
    data::DataFile file = data::read_data(paths[s]);
    if (s == 0) model = read_model(job, file);
    require(file.outputs() == model.architecture.outputs, ExitCode::input,
            "{} has labels for {} outputs and {} for {} (their kernel needs the same) evaluate on "
            "data with the same classes",
            paths[s], file.outputs(), paths[0], model.architecture.outputs);
    const auto usable =
        data::check_against_model(file,
                                  {model.config.vocab_size, model.config.type_vocab_size,
                                   model.config.max_tokens(), model.config.pad_token_id},
                                  job.data.overlong);
    if (s == 0) usual_length = mean_length(file, usable);
    const std::int64_t wanted = s == 0 ? job.data.samples : job.data.evaluate_samples;
    const auto available = static_cast<std::int64_t>(usable.size());
    if (wanted > available) {
      log::info("{}: {} samples asked for, all {} taken", paths[s], wanted, available);
    }
    std::vector<std::int64_t> draw;
    for (auto i : data::draw_samples(available, wanted, job.run.seed)) {
      draw.push_back(usable[static_cast<std::size_t>(i)]);
    }
    const auto rows = data::order_in_batches(draw, file.lengths(), job.kernel.batch_samples);
    const std::string name = s == 0 ? "" : std::filesystem::path(paths[s]).stem().string();
    sets.push_back(samples_of(name, file, rows));
    tables.push_back(table_of(file, rows));
    hashes[name] = file.sha256;  // the training set's name is empty, which no other set's can be
    if (probe && file.sha256 == hashes[""]) used.insert(used.end(), rows.begin(), rows.end());
    if (probe && s == 0) {
      train_rows = rows;
      train_usable = usable;
      train = std::move(file);
    }
  }
  const OutputMode outputs = make_output_mode(job.kernel.outputs, model.architecture.outputs);
  const std::size_t real = device.precision == device::Precision::fp64 ? 8 : 4;
  const auto longest = longest_panel(model.architecture, outputs.copies(), device.kind, real);
  std::vector<std::vector<std::int64_t>> starts;
  for (const auto& set : sets) {
    starts.push_back(data::panel_starts(set.tokens.offsets, job.kernel.batch_samples,
                                        job.kernel.tile_samples, longest));
  }
  jacobian::Settings settings;
  settings.copies = outputs.copies();
  settings.class_diagonal = outputs.class_diagonal;
  settings.slice_columns = job.kernel.slice_columns;
  settings.set_device(device.kind, device.precision);
  if (device::facts(device.precision).tensor_cores) {
    settings.methods = fixed_methods(model.architecture, settings, usual_length);
  }
  Groups groups = make_groups(job.kernel.groups, model.architecture);
  KernelInputs inputs{std::move(model),  Panels(std::move(sets), starts),
                      std::move(tables), outputs,
                      std::move(groups), settings,
                      std::move(hashes)};
  if (probe) inputs.probe = probe_rows(job, train, train_usable, train_rows, used);
  return inputs;
}

}  // namespace ntk::kernel
