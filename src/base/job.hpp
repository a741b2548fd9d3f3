// The job file's values: every key a user can set, with its default and unit. Parsed and checked
// by read_job (job.cpp); docs/job-file.md is printed from the same table (`ntk job --defaults`).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ntk {

struct Job {
  struct Run {
    std::string directory;        // everything this job writes; required
    std::int64_t seed = 1;        // sample draw
    int threads = 0;              // a rank; 0 = CPUs in its affinity mask
    double max_hours = 0;         // 0 = until done
    double watchdog_minutes = 0;  // without progress; 0 = as the work at hand warrants
  } run;
  struct Model {
    std::string path;             // Hugging Face directory; required
    std::string head = "random";  // random | probe | checkpoint | path of a .safetensors file
    double head_std = 0.02;
    std::int64_t head_seed = 1;
    std::string probe_on = "disjoint";  // disjoint | train: the rows that a probe is fitted on
    std::int64_t probe_rows = 0;        // of disjoint ones; 0 = as many as the kernel has, at most
    std::string initialisation = "pretrained";  // pretrained | random | mixed
    std::int64_t reinitialised_layers = 0;      // of mixed: so many of the last ones
    std::int64_t initialisation_seed = 1;
    std::string pooling;                       // cls | mean | last; empty = by family
    std::vector<std::string> include = {"*"};  // model.parameters.include
    std::vector<std::string> exclude;          // model.parameters.exclude
    std::string parameters_preset;             // when model.parameters is a string; else empty
  } model;
  struct Data {
    std::string train;                  // required
    std::vector<std::string> evaluate;  // a set's name is its file stem
    std::int64_t samples = 1024;        // 0 = all
    std::int64_t evaluate_samples = 256;
    std::string overlong = "refuse";  // refuse | drop
  } data;
  struct Kernel {
    std::string outputs = "logits";  // logits | mean_diagonal | sum | difference
    std::string precision = "fp32";  // fp64 | fp32 | tf32 | bf16x2 | bf16x3
    std::string device = "auto";     // auto | cpu | cuda
    std::string groups = "split";    // none | split | layer | part
    std::string storage = "fp64";    // fp64 | fp32
    std::int64_t batch_samples = 1024;
    std::int64_t tile_samples = 256;
    std::int64_t slice_columns = 0;  // 0 = chosen from the model's shape
    int ranges = 1;
    double memory_gib = 0;    // a rank; 0 = its share of the node
    double task_seconds = 0;  // at the GEMM rate, of work that is journalled at once; 0 = chosen
    // Full matrices on completion. Empty = on up to 32 GiB of kernel file.
    enum class Mirror { automatic, on, off } mirror = Mirror::automatic;
    bool allow_other_hardware = false;
    bool share_gpu = false;  // several ranks on one GPU
  } kernel;
  struct Spectrum {
    std::string method = "auto";  // full | leading | auto
    std::string device = "auto";  // auto | cpu | cuda, for one rank
    std::string centre = "both";  // raw | centred | both
    std::int64_t vectors = 0;     // kept eigenvectors; -1 = "all"
    std::int64_t leading = 100;   // k of method = "leading"
    std::map<std::string, std::string> kernels = {{"total", "all"}};
  } spectrum;
  struct Theory {
    std::string f0 = "subtract";          // subtract | keep
    std::string noise_variance = "data";  // data | estimate | a number
    std::vector<std::int64_t> sizes;      // training samples of learning curves; empty = chosen
    std::int64_t law_draws = 39;          // spectra drawn from a law of decay to judge it
    std::int64_t seeds = 20;              // training sets a size
    std::int64_t test_samples = 0;        // 0 = a quarter, at most 1024
    // A training that stopping times are converted to; learning rate 0 = none.
    double learning_rate = 0, momentum = 0;
    std::int64_t batch_size = 0;        // 0 = all samples
    std::string optimiser = "sgd";      // sgd | adam
    std::string schedule = "constant";  // constant | linear
    std::string loss = "mean";  // mean | sum_outputs | half_mean | half_sum_outputs | cross_entropy
    std::string targets;        // a file of labels; empty = the kernel's own
    std::string draw = "groups";  // groups | rows: what training sets are drawn by
  } theory;
  bool has_spectrum = false;  // the table stands in the job file: `ntk run` does that stage
  bool has_theory = false;
};

// Reads a TOML job file and applies `overrides` ("section.key=value", value in TOML syntax, a bare
// word counting as a string) on top. Checks every key (an unknown one is an error naming the
// nearest valid key), type, range and choice. Relative paths stay relative to the working
// directory. Throws Error(usage).
Job read_job(const std::string& path, const std::vector<std::string>& overrides);

// The resolved job as TOML text, every key written out; read_job of it gives the same Job.
std::string to_toml(const Job& job);

// The value of "section.key" in TOML syntax, a text without its quotes; empty where nothing is set.
// Throws Error(usage) for an unknown key.
std::string job_value(const Job& job, const std::string& name);

// A full commented job file with every default.
std::string default_job_text();

}  // namespace ntk
