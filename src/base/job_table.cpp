#include "base/job_table.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"

namespace ntk {
namespace {

using Strings = std::vector<std::string>;

const Strings embedding_tables = {"*embeddings.weight"};

// Presets of model.parameters: the patterns each stands for.
struct Preset {
  std::string name;
  Strings include, exclude;
};
const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = {
      {"all", {"*"}, {}},
      {"no_embeddings", {"*"}, embedding_tables},
      {"attention", {"*attention.self*", "*attention.output.dense*", "*attn*"}, {}},
  };
  return all;
}

JobKey required(JobKey key, std::string example) {
  key.required = true;
  key.example = std::move(example);
  return key;
}

JobKey head_key() {
  const Strings names = {"random", "probe", "checkpoint"};
  JobKey key = text_key("model", "head",
                        "random | probe | checkpoint (the model's own) | a "
                        ".safetensors file with weight [C, H] and bias [C]",
                        [](Job& job) -> std::string& { return job.model.head; });
  key.allowed = choices_text(names) + " or the path of a .safetensors file";
  key.set = [names, set = key.set](Job& job, const toml::node& value) -> std::string {
    const std::string text = value.value_exact<std::string>().value_or("");
    if (text.empty() || text.ends_with(".safetensors") ||
        std::ranges::find(names, text) != names.end()) {
      return set(job, value);
    }
    return fmt::format("is not a choice, did you mean \"{}\"", nearest(text, names));
  };
  return key;
}

JobKey parameters_key() {
  JobKey key{"model", "parameters", ""};
  Strings names;
  for (const Preset& preset : presets()) names.push_back(preset.name);
  key.comment =
      "patterns (* and ?) over tensor names, the head's being head.weight and head.bias; "
      "or a preset: " +
      join(names, " | ");
  key.allowed = "{ include = [patterns], exclude = [patterns] } or " + choices_text(names);
  key.set = [names](Job& job, const toml::node& value) -> std::string {
    if (const auto name = value.value_exact<std::string>()) {
      const auto preset = std::ranges::find(presets(), *name, &Preset::name);
      if (preset == presets().end()) {
        return fmt::format("is not a preset, did you mean \"{}\"", nearest(*name, names));
      }
      job.model.parameters_preset = preset->name;
      job.model.include = preset->include;
      job.model.exclude = preset->exclude;
      return {};
    }
    const toml::table* table = value.as_table();
    if (table == nullptr) return "is neither a table nor a preset";
    // Who names what to include gets just that, without the default's exclusions.
    if (table->contains("include")) job.model.exclude.clear();
    for (const auto& [part, patterns] : *table) {
      const bool include = part.str() == "include";
      if (!include && part.str() != "exclude") {
        return fmt::format("has the unknown key {}, did you mean {}", printable(part.str()),
                           nearest(part.str(), {"include", "exclude"}));
      }
      const std::string wrong =
          read_texts(patterns, include ? job.model.include : job.model.exclude);
      if (!wrong.empty()) return fmt::format("has an {} that {}", part.str(), wrong);
    }
    if (job.model.include.empty()) return "includes nothing";
    return {};
  };
  key.get = [](Job& job) {
    if (!job.model.parameters_preset.empty()) return toml_text(job.model.parameters_preset);
    return fmt::format("{{ include = {}, exclude = {} }}", toml_text(job.model.include),
                       toml_text(job.model.exclude));
  };
  return key;
}

// Sets are named by their file stems, which become names inside HDF5 files: distinct, not dots.
JobKey evaluate_key() {
  JobKey key{"data", "evaluate", "train x evaluate kernels; a set's name is its file stem",
             "a list of data files whose names without folder and ending differ"};
  key.set = [](Job& job, const toml::node& value) -> std::string {
    Strings files, stems;
    if (std::string wrong = read_texts(value, files); !wrong.empty()) return wrong;
    for (const auto& file : files) {
      const std::string stem = std::filesystem::path(file).stem().string();
      if (stem.empty() || stem == "." || stem == "..") return "holds a path without a file name";
      if (std::ranges::find(stems, stem) != stems.end()) {
        return fmt::format("names the set {} twice", printable(stem));
      }
      stems.push_back(stem);
    }
    job.data.evaluate = files;
    return {};
  };
  key.get = [](Job& job) { return toml_text(job.data.evaluate); };
  return key;
}

JobKey mirror_key() {
  using Mirror = Job::Kernel::Mirror;
  JobKey key{"kernel", "mirror", "full matrices on completion; unset = up to 32 GiB of kernel file",
             "true or false"};
  key.example = "true";
  key.set = [](Job& job, const toml::node& value) -> std::string {
    const auto flag = value.value_exact<bool>();
    if (!flag) return "is not a truth value";
    job.kernel.mirror = *flag ? Mirror::on : Mirror::off;
    return {};
  };
  key.get = [](Job& job) -> std::string {
    if (job.kernel.mirror == Mirror::automatic) return {};
    return job.kernel.mirror == Mirror::on ? "true" : "false";
  };
  return key;
}

JobKey vectors_key() {
  JobKey key = integer_key<std::int64_t>(
      "spectrum", "vectors", "how many eigenvectors are kept; or \"all\"",
      [](Job& job) -> std::int64_t& { return job.spectrum.vectors; }, 0);
  key.allowed += " or \"all\"";
  key.set = [set = key.set](Job& job, const toml::node& value) -> std::string {
    const auto text = value.value_exact<std::string>();
    if (!text) return set(job, value);
    if (*text != "all") return "is not a choice, did you mean \"all\"";
    job.spectrum.vectors = -1;
    return {};
  };
  key.get = [get = key.get](Job& job) { return job.spectrum.vectors < 0 ? "\"all\"" : get(job); };
  return key;
}

// Names become groups of spectrum.h5, beside its own group `groups`.
JobKey kernels_key() {
  JobKey key{
      "spectrum", "kernels",
      "spectra wanted: named weighted sums of stored groups, e.g. half = \"head + 0.25 * body\"",
      "a table such as { total = \"all\", probe = \"head\" } whose names are of letters, "
      "digits, _ and -, and not groups"};
  key.set = [](Job& job, const toml::node& value) -> std::string {
    const toml::table* table = value.as_table();
    if (table == nullptr) return "is not a table";
    if (table->empty()) return "is empty";
    std::map<std::string, std::string> kernels;
    for (const auto& [name, sum] : *table) {
      const auto text = sum.value_exact<std::string>();
      const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; };
      if (name.str().empty() || name.str() == "groups" || !std::ranges::all_of(name.str(), plain)) {
        return fmt::format("has the name \"{}\", which cannot be used", printable(name.str()));
      }
      if (!text || text->empty()) return fmt::format("has a {} that is not text", name.str());
      kernels.emplace(name.str(), *text);
    }
    job.spectrum.kernels = kernels;
    return {};
  };
  key.get = [](Job& job) {
    Strings items;
    for (const auto& [name, sum] : job.spectrum.kernels) {
      items.push_back(fmt::format("{} = {}", name, toml_text(sum)));
    }
    return fmt::format("{{ {} }}", join(items));
  };
  return key;
}

JobKey noise_key() {
  const Strings names = {"data", "estimate"};
  JobKey key{"theory", "noise_variance",
             "data (when the file carries it) | estimate | a number (variance of a label)",
             choices_text(names) + " or a number, 0 or more"};
  key.set = [names](Job& job, const toml::node& value) -> std::string {
    if (const auto text = value.value_exact<std::string>()) {
      if (std::ranges::find(names, *text) == names.end()) {
        return fmt::format("is not a choice, did you mean \"{}\"", nearest(*text, names));
      }
      job.theory.noise_variance = *text;
      return {};
    }
    if (!value.is_number()) return "is neither text nor a number";
    const double number = value.value<double>().value_or(std::nan(""));
    if (!std::isfinite(number) || number < 0) return "is out of range";
    job.theory.noise_variance = fmt::format("{}", number);
    return {};
  };
  key.get = [names](Job& job) {
    const std::string& text = job.theory.noise_variance;
    return std::ranges::find(names, text) == names.end() ? text : toml_text(text);
  };
  return key;
}

#define NTK_FIELD(type, member) [](Job& job) -> type& { return job.member; }

std::vector<JobKey> make_keys() {
  using I = std::int64_t;
  using S = std::string;
  JobKey pooling = text_key("model", "pooling",
                            "cls (raw last hidden state) | mean | last; unset = "
                            "by family",
                            NTK_FIELD(S, model.pooling), {"cls", "mean", "last"});
  pooling.example = "\"cls\"";
  JobKey targets = text_key(
      "theory", "targets",
      "a data file, with or without tokens, whose labels are used; unset: the kernel's own",
      NTK_FIELD(S, theory.targets));
  targets.example = "\"data/labels.h5\"";
  return {
      required(
          text_key("run", "directory", "everything this job writes", NTK_FIELD(S, run.directory)),
          "\"runs/movies\""),
      integer_key<I>("run", "seed", "sample draw", NTK_FIELD(I, run.seed), 0),
      integer_key<int>("run", "threads", "a rank; 0 = CPUs in its affinity mask",
                       NTK_FIELD(int, run.threads), 0, 4096),
      real_key("run", "max_hours", "0 = until done; then exit 85, to be continued",
               NTK_FIELD(double, run.max_hours), true),
      real_key("run", "watchdog_minutes",
               "without progress, before a hang is taken for granted; 0 = as the work warrants",
               NTK_FIELD(double, run.watchdog_minutes), true),

      required(text_key("model", "path", "Hugging Face directory: config.json, model.safetensors",
                        NTK_FIELD(S, model.path)),
               "\"models/all-MiniLM-L6-v2\""),
      head_key(),
      real_key("model", "head_std", "for random", NTK_FIELD(double, model.head_std), false),
      integer_key<I>("model", "head_seed", "for random", NTK_FIELD(I, model.head_seed), 0),
      text_key("model", "probe_on",
               "for probe: disjoint (rows that share no group with the kernel's) | train (those)",
               NTK_FIELD(S, model.probe_on), {"disjoint", "train"}),
      integer_key<I>("model", "probe_rows",
                     "of disjoint ones; 0 = as many as the kernel has samples, at most all",
                     NTK_FIELD(I, model.probe_rows), 0),
      text_key("model", "initialisation",
               "of the body: pretrained | random | mixed (pretrained, but for its last layers)",
               NTK_FIELD(S, model.initialisation), {"pretrained", "random", "mixed"}),
      integer_key<I>("model", "reinitialised_layers", "last layers drawn anew, for mixed",
                     NTK_FIELD(I, model.reinitialised_layers), 0),
      integer_key<I>("model", "initialisation_seed", "for random and mixed",
                     NTK_FIELD(I, model.initialisation_seed), 0),
      pooling,
      parameters_key(),

      required(text_key("data", "train", "data file made by jobs/prepare_data.py",
                        NTK_FIELD(S, data.train)),
               "\"data/movies.h5\""),
      evaluate_key(),
      integer_key<I>("data", "samples", "0 = all; more than there are = all, said so",
                     NTK_FIELD(I, data.samples), 0),
      integer_key<I>("data", "evaluate_samples", "of each set; 0 = all",
                     NTK_FIELD(I, data.evaluate_samples), 0),
      text_key("data", "overlong", "refuse | drop: samples longer than the model's positions",
               NTK_FIELD(S, data.overlong), {"refuse", "drop"}),

      text_key("kernel", "outputs", "logits | mean_diagonal | sum | difference",
               NTK_FIELD(S, kernel.outputs), {"logits", "mean_diagonal", "sum", "difference"}),
      text_key("kernel", "precision", "fp64 | fp32 | tf32 | bf16x2 | bf16x3 (of the contraction)",
               NTK_FIELD(S, kernel.precision), {"fp64", "fp32", "tf32", "bf16x2", "bf16x3"}),
      text_key("kernel", "device", "auto | cpu | cuda", NTK_FIELD(S, kernel.device),
               {"auto", "cpu", "cuda"}),
      text_key("kernel", "groups", "stored apart: none | split (head, body) | layer | part",
               NTK_FIELD(S, kernel.groups), {"none", "split", "layer", "part"}),
      text_key("kernel", "storage", "fp64 | fp32", NTK_FIELD(S, kernel.storage), {"fp64", "fp32"}),
      integer_key<I>("kernel", "batch_samples", "samples sorted by length together",
                     NTK_FIELD(I, kernel.batch_samples), 1),
      integer_key<I>("kernel", "tile_samples", "side of a tile; divides batch_samples",
                     NTK_FIELD(I, kernel.tile_samples), 1),
      integer_key<I>("kernel", "slice_columns",
                     "gradient columns formed at once; 0 = chosen from the model's shape",
                     NTK_FIELD(I, kernel.slice_columns), 0),
      integer_key<int>("kernel", "ranges", "more and smaller tasks, each over a range of segments",
                       NTK_FIELD(int, kernel.ranges), 1, 4096),
      real_key("kernel", "memory_gib", "a rank; 0 = its share of the node",
               NTK_FIELD(double, kernel.memory_gib), true),
      real_key(
          "kernel", "task_seconds",
          "work journalled at once, at the GEMM rate: what a killed rank loses at most; 0 = 120, "
          "or more where much would be built again and again",
          NTK_FIELD(double, kernel.task_seconds), true),
      mirror_key(),
      flag_key("kernel", "allow_other_hardware",
               "continue a kernel that was begun on another device or BLAS",
               NTK_FIELD(bool, kernel.allow_other_hardware)),
      flag_key("kernel", "share_gpu", "let several ranks compute on one GPU",
               NTK_FIELD(bool, kernel.share_gpu)),

      text_key("spectrum", "method",
               "full | leading (k pairs, exact trace and norm) | auto, by order",
               NTK_FIELD(S, spectrum.method), {"full", "leading", "auto"}),
      text_key("spectrum", "device",
               "auto (one rank takes a GPU that has the memory) | cpu | cuda (method full only)",
               NTK_FIELD(S, spectrum.device), {"auto", "cpu", "cuda"}),
      text_key("spectrum", "centre", "raw | centred | both", NTK_FIELD(S, spectrum.centre),
               {"raw", "centred", "both"}),
      vectors_key(),
      integer_key<I>("spectrum", "leading", "k of method = \"leading\"",
                     NTK_FIELD(I, spectrum.leading), 1),
      kernels_key(),

      text_key("theory", "f0", "subtract: learn f - f0, labels are y | keep: labels are y - f0",
               NTK_FIELD(S, theory.f0), {"subtract", "keep"}),
      noise_key(),
      integer_key<I>("theory", "law_draws",
                     "spectra drawn from a law of decay to judge it; 0 = laws are not judged",
                     NTK_FIELD(I, theory.law_draws), 0),
      integers_key("theory", "sizes",
                   "training samples of learning curves; [] = halves of half the rows that are not "
                   "for testing",
                   NTK_FIELD(std::vector<I>, theory.sizes), 20),
      integer_key<I>("theory", "seeds", "training sets of each size", NTK_FIELD(I, theory.seeds),
                     1),
      integer_key<I>("theory", "test_samples",
                     "of learning curves, the same for all sets; 0 = a quarter, at most 1024",
                     NTK_FIELD(I, theory.test_samples), 0),
      real_key("theory", "learning_rate",
               "of a training that stopping times are converted to; 0 = none",
               NTK_FIELD(double, theory.learning_rate), true),
      integer_key<I>("theory", "batch_size", "samples a step of it; 0 = all",
                     NTK_FIELD(I, theory.batch_size), 0),
      real_key("theory", "momentum", "of it (heavy ball), below 1",
               NTK_FIELD(double, theory.momentum), true),
      text_key("theory", "schedule", "of its learning rate: constant | linear (decay to zero)",
               NTK_FIELD(S, theory.schedule), {"constant", "linear"}),
      text_key("theory", "loss",
               "squared, mean over samples and outputs | summed over outputs | with 1/2 in front | "
               "cross_entropy (not converted)",
               NTK_FIELD(S, theory.loss),
               {"mean", "sum_outputs", "half_mean", "half_sum_outputs", "cross_entropy"}),
      text_key("theory", "optimiser", "sgd | adam (not converted)", NTK_FIELD(S, theory.optimiser),
               {"sgd", "adam"}),
      targets,
      text_key("theory", "draw",
               "training sets: whole groups | single rows (none shares a group with the test set)",
               NTK_FIELD(S, theory.draw), {"groups", "rows"}),
  };
}

#undef NTK_FIELD

}  // namespace

const std::vector<JobKey>& job_keys() {
  static const std::vector<JobKey> keys = make_keys();
  return keys;
}

Job default_job() {
  Job job;
  job.model.exclude = embedding_tables;
  return job;
}

}  // namespace ntk
