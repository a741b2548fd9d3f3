#include "base/job.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/job_table.hpp"
#include "support/files.hpp"

namespace ntk {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string minimal =
    "[run]\ndirectory = \"runs/a\"\n[model]\npath = \"m\"\n[data]\ntrain = \"d.h5\"\n";

class JobFile : public testing::Test {
 protected:
  Job read(const std::string& text, const std::vector<std::string>& overrides = {}) {
    return read_job(folder_.write("study.toml", text), overrides);
  }
  Job with(const std::vector<std::string>& overrides) { return read(minimal, overrides); }
  std::string error(const std::string& text, const std::vector<std::string>& overrides = {}) {
    return test::error_of(ExitCode::usage, [&] { read(text, overrides); });
  }
  std::string error_with(const std::string& override_text) {
    return error(minimal, {override_text});
  }
  test::TemporaryFolder folder_;
};

TEST_F(JobFile, MinimalFileHasDefaults) {
  const Job job = read(minimal);
  EXPECT_EQ(job.run.directory, "runs/a");
  EXPECT_EQ(job.run.seed, 1);
  EXPECT_EQ(job.model.head, "random");
  EXPECT_EQ(job.model.pooling, "");
  EXPECT_THAT(job.model.include, ElementsAre("*"));
  EXPECT_THAT(job.model.exclude, ElementsAre("*embeddings.weight"));
  EXPECT_EQ(job.data.samples, 1024);
  EXPECT_EQ(job.kernel.mirror, Job::Kernel::Mirror::automatic);
  EXPECT_EQ(job.spectrum.kernels.at("total"), "all");
  EXPECT_FALSE(job.has_spectrum);
  EXPECT_FALSE(job.has_theory);
}

TEST_F(JobFile, EveryValueIsRead) {
  const Job job = read(R"(
[run]
directory = "r"
seed = 7
threads = 2
max_hours = 1.5
[model]
path = "m"
head = "some/head.safetensors"
head_std = 1
head_seed = 3
pooling = "mean"
parameters = { include = ["*.weight", "head.*"], exclude = [] }
[data]
train = "d.h5"
evaluate = ["x/tweets.h5", "y/nyt.h5"]
samples = 0
evaluate_samples = 12
overlong = "drop"
[kernel]
outputs = "sum"
precision = "fp64"
device = "cpu"
groups = "layer"
storage = "fp32"
batch_samples = 64
tile_samples = 16
slice_columns = 4096
ranges = 2
memory_gib = 0.5
mirror = false
allow_other_hardware = true
[spectrum]
method = "leading"
device = "cpu"
centre = "raw"
vectors = "all"
leading = 5
kernels = { total = "all", half = "head + 0.25 * body" }
[theory]
f0 = "keep"
noise_variance = 0.97
targets = "data/labels.h5"
)");
  EXPECT_EQ(job.run.seed, 7);
  EXPECT_EQ(job.run.threads, 2);
  EXPECT_EQ(job.run.max_hours, 1.5);
  EXPECT_EQ(job.model.head, "some/head.safetensors");
  EXPECT_EQ(job.model.head_std, 1.0);
  EXPECT_EQ(job.model.head_seed, 3);
  EXPECT_EQ(job.model.pooling, "mean");
  EXPECT_THAT(job.model.include, ElementsAre("*.weight", "head.*"));
  EXPECT_TRUE(job.model.exclude.empty());
  EXPECT_THAT(job.data.evaluate, ElementsAre("x/tweets.h5", "y/nyt.h5"));
  EXPECT_EQ(job.data.samples, 0);
  EXPECT_EQ(job.data.evaluate_samples, 12);
  EXPECT_EQ(job.data.overlong, "drop");
  EXPECT_EQ(job.kernel.outputs, "sum");
  EXPECT_EQ(job.kernel.precision, "fp64");
  EXPECT_EQ(job.kernel.device, "cpu");
  EXPECT_EQ(job.kernel.groups, "layer");
  EXPECT_EQ(job.kernel.storage, "fp32");
  EXPECT_EQ(job.kernel.batch_samples, 64);
  EXPECT_EQ(job.kernel.tile_samples, 16);
  EXPECT_EQ(job.kernel.slice_columns, 4096);
  EXPECT_EQ(job.kernel.ranges, 2);
  EXPECT_EQ(job.kernel.memory_gib, 0.5);
  EXPECT_EQ(job.kernel.mirror, Job::Kernel::Mirror::off);
  EXPECT_TRUE(job.kernel.allow_other_hardware);
  EXPECT_EQ(job.spectrum.method, "leading");
  EXPECT_EQ(job.spectrum.device, "cpu");
  EXPECT_EQ(job.spectrum.centre, "raw");
  EXPECT_EQ(job.spectrum.vectors, -1);
  EXPECT_EQ(job.spectrum.leading, 5);
  EXPECT_EQ(job.spectrum.kernels.size(), 2u);
  EXPECT_EQ(job.spectrum.kernels.at("half"), "head + 0.25 * body");
  EXPECT_EQ(job.theory.f0, "keep");
  EXPECT_EQ(job.theory.noise_variance, "0.97");
  EXPECT_EQ(job.theory.targets, "data/labels.h5");
  EXPECT_TRUE(job.has_spectrum);
  EXPECT_TRUE(job.has_theory);

  const std::string written = to_toml(job);
  EXPECT_EQ(to_toml(read(written)), written);
  for (const JobKey& key : job_keys()) EXPECT_THAT(written, HasSubstr("\n" + key.name + " = "));
}

TEST_F(JobFile, WrittenTextReadsBackTheSame) {
  for (const std::vector<std::string>& overrides :
       {std::vector<std::string>{},
        {"spectrum.vectors=3"},
        {"theory.noise_variance=estimate"},
        {"model.parameters=attention", "kernel.mirror=true"},
        {"run.directory=runs/\"q\\ü", "run.max_hours=1e-5"},
        {"run.directory=\"a\\nb\\u0001'c\"", "run.max_hours=1e16"}}) {
    const Job job = with(overrides);
    const Job again = read(to_toml(job));
    EXPECT_EQ(to_toml(again), to_toml(job));
    EXPECT_EQ(again.run.directory, job.run.directory);
    EXPECT_EQ(again.run.max_hours, job.run.max_hours);
    EXPECT_EQ(again.model.include, job.model.include);
    EXPECT_EQ(again.model.exclude, job.model.exclude);
    EXPECT_EQ(again.model.parameters_preset, job.model.parameters_preset);
    EXPECT_EQ(again.kernel.mirror, job.kernel.mirror);
    EXPECT_EQ(again.has_spectrum, job.has_spectrum);
    EXPECT_EQ(again.has_theory, job.has_theory);
  }
}

TEST_F(JobFile, DefaultTextIsAJobFileWithEveryKey) {
  const std::string text = default_job_text();
  const Job job = read(text);
  EXPECT_EQ(job.model.pooling, "");
  EXPECT_EQ(job.kernel.mirror, Job::Kernel::Mirror::automatic);
  EXPECT_EQ(job.kernel.tile_samples, 256);
  for (const JobKey& key : job_keys()) {
    EXPECT_THAT(text, HasSubstr(key.name + " = "));
    EXPECT_THAT(text, HasSubstr("# " + key.comment));
  }
}

TEST_F(JobFile, Presets) {
  const Job all = with({"model.parameters=all"});
  EXPECT_EQ(all.model.parameters_preset, "all");
  EXPECT_THAT(all.model.include, ElementsAre("*"));
  EXPECT_TRUE(all.model.exclude.empty());
  EXPECT_THAT(with({"model.parameters=no_embeddings"}).model.exclude,
              ElementsAre("*embeddings.weight"));
  EXPECT_THAT(with({"model.parameters=attention"}).model.include,
              ElementsAre("*attention.self*", "*attention.output.dense*", "*attn*"));
  EXPECT_THAT(error_with("model.parameters=al"), HasSubstr("did you mean \"all\""));
}

TEST_F(JobFile, ParametersGivenInPart) {
  const Job included = with({"model.parameters={include=[\"*embeddings*\"]}"});
  EXPECT_THAT(included.model.include, ElementsAre("*embeddings*"));
  EXPECT_TRUE(included.model.exclude.empty());
  EXPECT_TRUE(with({"model.parameters.include=[\"*\"]"}).model.exclude.empty());
  const Job both = with({"model.parameters={exclude=[\"a\"], include=[\"b\"]}"});
  EXPECT_THAT(both.model.exclude, ElementsAre("a"));
  const Job excluded = with({"model.parameters={exclude=[\"*bias\"]}"});
  EXPECT_THAT(excluded.model.include, ElementsAre("*"));
  EXPECT_THAT(excluded.model.exclude, ElementsAre("*bias"));
}

TEST_F(JobFile, OverridesTakeTomlAndBareWords) {
  const Job job = with({"run.seed=5", "run.directory = runs/my run", "kernel.precision=\"fp64\"",
                        "data.evaluate=[\"a.h5\"]", "model.parameters.exclude=[\"*bias\"]",
                        "spectrum.kernels.probe=head", "kernel.mirror=true", "run.seed=6"});
  EXPECT_EQ(job.run.seed, 6);  // the last one counts
  EXPECT_EQ(job.run.directory, "runs/my run");
  EXPECT_EQ(job.kernel.precision, "fp64");
  EXPECT_THAT(job.data.evaluate, ElementsAre("a.h5"));
  EXPECT_THAT(job.model.include, ElementsAre("*"));
  EXPECT_THAT(job.model.exclude, ElementsAre("*bias"));
  EXPECT_EQ(job.spectrum.kernels.at("probe"), "head");
  EXPECT_TRUE(job.has_spectrum);
  EXPECT_EQ(job.kernel.mirror, Job::Kernel::Mirror::on);
}

TEST_F(JobFile, BadOverrides) {
  EXPECT_THAT(error_with("seed=5"), HasSubstr("write --set section.key=value"));
  EXPECT_THAT(error_with("run.seed"), HasSubstr("write --set section.key=value"));
  EXPECT_THAT(error_with("run..seed=5"), HasSubstr("write --set section.key=value"));
  EXPECT_THAT(error_with("data.evaluate=[1"), HasSubstr("not valid TOML"));
  EXPECT_THAT(error_with("data.evaluate=[t\x1a"), HasSubstr("saw 't?'"));
  EXPECT_THAT(error_with("run.sed=5"), AllOf(HasSubstr("run.seed"), HasSubstr("--set run.sed=5")));
  EXPECT_THAT(error_with("run.seed=1\nx = 2"), HasSubstr("is not an integer"));
  EXPECT_THAT(error_with("run.directory="), HasSubstr("is empty"));
}

TEST_F(JobFile, UnknownNamesSuggestTheNearest) {
  EXPECT_THAT(error(minimal + "sample = 3\n"),
              AllOf(HasSubstr("unknown key data.sample"), HasSubstr("study.toml line 7"),
                    HasSubstr("did you mean data.samples?")));
  EXPECT_THAT(error(minimal + "tile_samples = 3\n"),
              HasSubstr("did you mean kernel.tile_samples?"));  // right key, wrong table
  EXPECT_THAT(error(minimal + "[kernal]\n"), HasSubstr("did you mean [kernel]?"));
  EXPECT_THAT(error("seed = 1\n" + minimal), HasSubstr("unknown key seed"));
  EXPECT_THAT(error("kernel = 1\n" + minimal), HasSubstr("is not a table"));
  EXPECT_THAT(error_with("model.parameters={includes=[\"*\"]}"), HasSubstr("did you mean include"));
}

TEST_F(JobFile, RequiredKeys) {
  for (const auto& [line, name] : {std::pair{"directory = \"runs/a\"\n", "run.directory"},
                                   {"path = \"m\"\n", "model.path"},
                                   {"train = \"d.h5\"\n", "data.train"}}) {
    std::string text = minimal;
    text.erase(text.find(line), std::string(line).size());
    EXPECT_THAT(error(text), HasSubstr(std::string("lacks ") + name));
  }
  EXPECT_THAT(error(""), HasSubstr("lacks run.directory"));
}

TEST_F(JobFile, WrongTypesRangesAndChoices) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"run.seed=many", "is not an integer"},
      {"run.seed=1.5", "is not an integer"},
      {"run.seed=-1", "out of range"},
      {"run.threads=5000", "an integer from 0 to 4096"},
      {"run.max_hours=-1", "a number, 0 or more"},
      {"run.max_hours=nan", "out of range"},
      {"run.max_hours=inf", "out of range"},
      {"run.max_hours=2024-01-01", "is not a number"},
      {"run.directory=3", "is not text"},
      {"model.head=randm", "did you mean \"random\""},
      {"model.head=true", "is not text"},
      {"model.head_std=0", "a number above 0"},
      {"model.pooling=clss", "did you mean \"cls\""},
      {"model.parameters=3", "neither a table nor a preset"},
      {"model.parameters.include=[]", "includes nothing"},
      {"model.parameters.include=[1]", "something else than text"},
      {"model.parameters.exclude=\"*\"", "is not a list"},
      {"data.evaluate=a.h5", "is not a list"},
      {"data.evaluate=[\"a/x.h5\", \"b/x.h5\"]", "names the set x twice"},
      {"data.evaluate=[\"a/..\"]", "without a file name"},
      {"data.samples=-1", "out of range"},
      {"data.samples=3000000000", "out of range"},
      {"data.overlong=cut", "\"refuse\" or \"drop\""},
      {"kernel.precision=fp16", "\"fp64\" or \"fp32\" or \"tf32\" or \"bf16x2\" or \"bf16x3\""},
      {"kernel.outputs=logit", "did you mean \"logits\""},
      {"kernel.device=gpu", "\"auto\" or \"cpu\" or \"cuda\""},
      {"spectrum.device=gpu", "\"auto\" or \"cpu\" or \"cuda\""},
      {"kernel.groups=layers", "did you mean \"layer\""},
      {"kernel.storage=fp16", "is not a choice"},
      {"kernel.batch_samples=0", "out of range"},
      {"kernel.tile_samples=0", "out of range"},
      {"kernel.tile_samples=100", "does not divide kernel.batch_samples = 1024"},
      {"kernel.tile_samples=2048", "does not divide kernel.batch_samples = 1024"},
      {"kernel.ranges=0", "out of range"},
      {"kernel.memory_gib=-2", "out of range"},
      {"kernel.mirror=yes", "true or false"},
      {"kernel.allow_other_hardware=1", "is not a truth value"},
      {"spectrum.vectors=some", "did you mean \"all\""},
      {"spectrum.vectors=-1", "out of range"},
      {"spectrum.leading=0", "out of range"},
      {"spectrum.method=eigen", "is not a choice"},
      {"spectrum.centre=centered", "did you mean \"centred\""},
      {"spectrum.kernels=all", "is not a table"},
      {"spectrum.kernels={}", "is empty"},
      {"spectrum.kernels={groups=\"all\"}", "cannot be used"},
      {"spectrum.kernels={\"a/b\"=\"all\"}", "cannot be used"},
      {"spectrum.kernels={a=1}", "is not text"},
      {"theory.f0=drop", "\"subtract\" or \"keep\""},
      {"theory.noise_variance=dat", "did you mean \"data\""},
      {"theory.noise_variance=-0.1", "out of range"},
      {"theory.noise_variance=true", "neither text nor a number"},
  };
  for (const auto& [override_text, message] : cases) {
    EXPECT_THAT(error_with(override_text), HasSubstr(message)) << override_text;
  }
}

TEST_F(JobFile, FilesThatCannotBeRead) {
  const auto error_at = [](const std::string& path) {
    return test::error_of(ExitCode::usage, [&] { read_job(path, {}); });
  };
  EXPECT_THAT(error_at(folder_.path("none.toml")), HasSubstr("no job file"));
  EXPECT_THAT(error_at(folder_.path()), HasSubstr("it is a folder"));
  EXPECT_THAT(error(minimal + "train ="), AllOf(HasSubstr("not valid TOML"), HasSubstr("line 7")));
  EXPECT_THAT(error(minimal + "train = \"other.h5\"\n"), HasSubstr("not valid TOML"));
  EXPECT_THAT(error("\xff\xfe" + minimal), HasSubstr("not valid TOML"));
  EXPECT_THAT(error("a = t\x1a"), AllOf(HasSubstr("not valid TOML"), HasSubstr("saw 't?'")));
}

}  // namespace
}  // namespace ntk
