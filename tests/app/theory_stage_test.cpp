// The theory stage on a small made-up kernel that went through the real store and spectrum stages.
#include "app/theory_stage.hpp"

#include <gtest/gtest.h>
#include <mpi.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "app/theory_report.hpp"
#include "base/error.hpp"
#include "spectrum/stage.hpp"
#include "support/files.hpp"
#include "theory/learning_study.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/task_vectors.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::app {
namespace {

using nlohmann::json;

constexpr std::size_t rows = 96, features = 300;

// K = head + body over Gaussian features, targets, references and noise of known variance.
struct Example {
  Example() {
    theory::test::Draw draw(71);
    const auto z = theory::test::power_features(rows, features, 1.5, draw);
    body = theory::test::gram(z, rows, features);
    head.assign(rows * rows, 0.0);
    for (std::size_t i = 0; i < rows; ++i) {
      head[i * rows + i] = theory::test::power_tail(features, 1.5);
      double truth = 2;
      for (std::size_t k = 0; k < features; ++k) {
        truth += z[i * features + k] * std::pow(static_cast<double>(k + 1), -0.35);
      }
      samples.source_row.push_back(static_cast<std::int64_t>(i));
      samples.tokens.push_back(5);
      samples.target.push_back(truth + 0.1 * draw.normal());
      samples.reference.push_back(truth);
      samples.reference_variance.push_back(0);
      samples.noise_variance.push_back(0.01);
      samples.group.push_back(static_cast<std::int64_t>(i / 3));
      outputs.push_back(3 * draw.normal());
    }
    samples.label_sets = 1;
  }
  std::vector<double> total() const {
    auto k = body;
    for (std::size_t i = 0; i < k.size(); ++i) k[i] += head[i];
    return k;
  }
  // The targets' signs as two classes, which come without reference and noise.
  void make_classes() {
    samples.classes = {"low", "high"};
    for (const double t : samples.reference) samples.label.push_back(t > 2);
    samples.target.clear();
    samples.label_sets = 0;
    samples.reference.clear();
    samples.reference_variance.clear();
    samples.noise_variance.clear();
  }
  std::vector<double> head, body, outputs;
  std::int64_t output_columns = 1;
  store::SampleTable samples;
};

class TheoryStage : public testing::Test {
 protected:
  test::TemporaryFolder folder;

  TheoryStage() { job.run.directory = folder.path(); }

  void write_kernel(const Example& example) {
    store::KernelSpec spec;
    spec.identity = {{"run.seed", 1}};
    spec.provenance = {{"program", "test"}};
    spec.groups = {"head", "body"};
    spec.output_columns = example.output_columns;
    store::KernelSet set;
    set.grid.row_starts = {0, 50, rows};
    set.grid.column_starts = set.grid.row_starts;
    set.samples = example.samples;
    spec.sets = {set};
    store::KernelWriter writer(MPI_COMM_SELF, job.run.directory, spec);
    const auto total = example.total();
    for (std::int64_t tile = 0; tile < set.grid.tile_count(); ++tile) {
      const auto [p, q] = set.grid.panels_of(tile);
      const auto from = [&](const std::vector<double>& matrix) {
        std::vector<double> block;
        for (auto i = set.grid.row_starts[p]; i < set.grid.row_starts[p + 1]; ++i) {
          for (auto j = set.grid.row_starts[q]; j < set.grid.row_starts[q + 1]; ++j) {
            block.push_back(
                matrix[static_cast<std::size_t>(i) * rows + static_cast<std::size_t>(j)]);
          }
        }
        return block;
      };
      store::TileData data{from(total), {from(example.head), from(example.body)}, {}};
      if (p == q) {
        const auto columns = example.output_columns;
        data.outputs.assign(example.outputs.begin() + set.grid.row_starts[p] * columns,
                            example.outputs.begin() + set.grid.row_starts[p + 1] * columns);
      }
      writer.write({0, tile, 0}, data);
    }
    writer.finish(true, {}, {});
  }
  void make_spectrum() {
    spectrum::run_spectrum(MPI_COMM_SELF, job.spectrum, true, job.run.directory + "/kernel.h5",
                           job.run.directory + "/spectrum.h5");
  }
  json theory_of(const Example& example) {
    write_kernel(example);
    make_spectrum();
    return run_theory(MPI_COMM_SELF, job);
  }

  // For another example in the same directory.
  void forget() {
    for (const char* name : {"kernel.h5", "spectrum.h5", "theory.json"}) {
      std::filesystem::remove(job.run.directory + "/" + name);
    }
  }

  Job job;
};

double value(const json& j) {
  return j.at("value").get<double>();
}

TEST_F(TheoryStage, SaysTheSameAsTheArraysBehindTheFiles) {
  const Example example;
  const auto theory = theory_of(example);
  const auto& report = theory.at("kernels").at("total");

  theory::TheoryInputs direct;
  direct.samples = rows;
  auto centred = example.total();
  theory::centre_kernel(centred, rows);
  const auto e = theory::test::scaled_eigen(centred, rows);
  direct.eigenvalues = e.values;
  direct.labels = {{"target", example.samples.target, project(e, example.samples.target),
                    example.samples.noise_variance,
                    project_variances(e, example.samples.noise_variance)}};
  direct.reference = example.samples.reference;
  direct.reference_variance = example.samples.reference_variance;
  direct.group = example.samples.group;
  direct.kernel = example.total();
  for (std::size_t i = 0; i < rows; ++i) direct.subset.push_back(static_cast<std::int64_t>(i));
  const auto expected = theory_summary(direct);

  ASSERT_EQ(report.at("labels").size(), 1u);
  const auto &a = report.at("labels")[0], &b = expected.at("labels")[0];
  for (const char* key : {"label_variance", "noise_variance", "effective_noise", "rkhs_norm2"}) {
    EXPECT_NEAR(value(a.at(key)), value(b.at(key)), 1e-9 * std::abs(value(b.at(key)))) << key;
  }
  EXPECT_NEAR(value(a.at("growth")), value(b.at("growth")), 1e-9);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(a.at("plug_in").at("curve")[i].at("risk").get<double>(),
                b.at("plug_in").at("curve")[i].at("risk").get<double>(), 1e-9);
  }
  EXPECT_EQ(report.at("limits"), expected.at("limits"));
  ASSERT_EQ(report.at("limits").size(), 1u) << report.at("limits");
  EXPECT_NE(report.at("limits")[0].get<std::string>().find("no source exponent"),
            std::string::npos);
}

// The curves of the arrays behind the files, point by point.
TEST_F(TheoryStage, LearningCurvesAreThoseOfTheArrays) {
  const Example example;
  job.theory.sizes = {20, 30};
  job.theory.seeds = 3;
  job.theory.test_samples = 30;
  const auto curves = theory_of(example).at("kernels").at("total").at("learning_curves");
  theory::StudyRows study;
  study.kernel = example.total();
  study.group = example.samples.group;
  study.labels = {{"target", example.samples.target, example.samples.noise_variance,
                   example.samples.reference, example.samples.reference_variance}};
  const auto plan = theory::plan_study(theory::draw_study_split(study, 30, 1), {20, 30}, 3, 1);
  std::vector<json> points;
  for (const auto& point : theory::study_points(plan)) {
    points.push_back(theory::study_point(study, plan, point));
  }
  const auto expected = theory::study_report(study, plan, points);
  EXPECT_EQ(curves.at("sizes"), expected.at("sizes"));
  const auto &a = curves.at("labels")[0].at("rules"), &b = expected.at("labels")[0].at("rules");
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t r = 0; r < a.size(); ++r) {
    for (std::size_t s = 0; s < 2; ++s) {
      EXPECT_NEAR(a[r]["risk"][s], b[r]["risk"][s], 1e-9) << a[r]["rule"];
      EXPECT_NEAR(a[r]["high"][s], b[r]["high"][s], 1e-9) << a[r]["rule"];
    }
  }
}

// Two label sets with their names and noises: each says what it says alone.
TEST_F(TheoryStage, LabelSetsHaveNamesAndNoisesOfTheirOwn) {
  Example example;
  job.theory.sizes = {20, 30};
  job.theory.seeds = 3;
  job.theory.test_samples = 30;
  const auto alone = theory_of(example).at("kernels").at("total");
  forget();
  auto& samples = example.samples;
  theory::test::Draw draw(73);
  std::vector<double> targets, noises;
  for (std::size_t i = 0; i < rows; ++i) {
    const double noise = i % 2 ? 0.5 : 1.5;
    targets.insert(targets.end(),
                   {samples.reference[i] + std::sqrt(noise) * draw.normal(), samples.target[i]});
    noises.insert(noises.end(), {noise, samples.noise_variance[i]});
  }
  samples.target = targets;
  samples.noise_variance = noises;
  samples.label_sets = samples.noise_sets = 2;
  samples.target_names = {"q1", "q100"};
  const auto both = theory_of(example).at("kernels").at("total");
  const auto &labels = both.at("labels"), &curves = both.at("learning_curves").at("labels");
  for (const auto* list : {&labels, &curves}) {
    ASSERT_EQ(list->size(), 2u);
    EXPECT_EQ(list->at(0).at("name"), "q1");
    EXPECT_EQ(list->at(1).at("name"), "q100");
  }
  EXPECT_NEAR(value(labels.at(0).at("noise_variance")), 1, 1e-12);
  EXPECT_NEAR(value(labels.at(1).at("noise_variance")), 0.01, 1e-12);
  const auto& set = alone.at("labels")[0];
  for (const char* key : {"signal_variance", "rkhs_norm2"}) {
    EXPECT_NEAR(value(labels.at(1).at(key)), value(set.at(key)), 1e-9 * value(set.at(key))) << key;
  }
  const auto &a = curves.at(1).at("rules"), &b = alone.at("learning_curves").at("labels")[0];
  ASSERT_EQ(a.size(), b.at("rules").size());
  for (std::size_t r = 0; r < a.size(); ++r) {
    EXPECT_NEAR(a[r]["risk"][1], b.at("rules")[r]["risk"][1], 1e-9) << a[r]["rule"];
  }
  EXPECT_GT(curves.at(0).at("rules")[0]["risk"][1], 2 * a[0]["risk"][1].get<double>());
}

TEST_F(TheoryStage, TasksOfTheDataAreCompared) {
  Example example;
  job.theory.seeds = 2;
  EXPECT_FALSE(theory_of(example).at("kernels").at("total").contains("tasks"));
  forget();
  example.samples.tasks = {"films", "books"};
  for (std::size_t i = 0; i < rows; ++i) {
    example.samples.task.push_back(static_cast<std::int32_t>(i / 3 % 2));
  }
  const auto theory = theory_of(example);
  const auto& tasks = theory.at("kernels").at("total").at("tasks");
  ASSERT_EQ(tasks.size(), 1u);
  const theory::TaskRows direct{example.total(),
                                example.samples.task,
                                example.samples.tasks,
                                example.samples.group,
                                example.samples.target,
                                example.samples.reference,
                                example.samples.reference_variance};
  const auto expected = theory::tasks_report(direct, 1);
  EXPECT_NEAR(value(tasks[0].at("additivity_error")), value(expected.at("additivity_error")), 1e-9);
  EXPECT_NEAR(tasks[0].at("tasks")[1].at("sum"), expected.at("tasks")[1].at("sum"), 1e-9);
  std::string table;
  for (const auto& line : theory_table(theory)) table += line + "\n";
  for (const char* word : {"alignment films/books", "books: risk", "best coefficient"}) {
    EXPECT_NE(table.find(word), std::string::npos) << word << "\n" << table;
  }

  // Too few rows of a task are a limit, said in words.
  forget();
  std::fill(example.samples.task.begin() + 30, example.samples.task.end(), 0);
  const auto few = theory_of(example).at("kernels").at("total");
  EXPECT_TRUE(few.at("tasks").empty());
  EXPECT_NE(few.at("limits").dump().find("task books has 15 rows"), std::string::npos)
      << few.at("limits");
}

TEST_F(TheoryStage, KeepsThePointsOfAStoppedRun) {
  write_kernel(Example());
  make_spectrum();
  job.theory.seeds = 4;
  const std::string points = job.run.directory + "/theory.points";
  const auto whole = run_theory(MPI_COMM_SELF, job);
  EXPECT_FALSE(std::filesystem::exists(points));
  std::filesystem::remove(job.run.directory + "/theory.json");
  // One point from before that nobody measured, and one of other settings: only the first counts.
  std::filesystem::create_directories(points);
  const auto size = whole.at("kernels").at("total").at("learning_curves").at("sizes")[0];
  const auto write = [&](int draw, const std::string& mark, double risk) {
    json rules = json::array();
    for (const auto& rule :
         whole.at("kernels").at("total").at("learning_curves").at("labels")[0].at("rules")) {
      rules.push_back({{"rule", rule.at("rule")},
                       {"eta", 1.0},
                       {"risk", risk},
                       {"in_sample", risk},
                       {"parts", std::vector<double>(8, risk)}});
    }
    const json point{{"n", size},
                     {"draw", draw},
                     {"labels", {{{"noise", 1.0}, {"norm2", 1.0}, {"rules", rules}}}}};
    std::ofstream(points + "/total." + size.dump() + "." + std::to_string(draw) + ".json")
        << json{{"fingerprint", mark}, {"point", point}}.dump();
  };
  write(0, whole.at("fingerprint"), 1e6);
  write(1, "another", 1e9);
  const auto again = run_theory(MPI_COMM_SELF, job);
  const double risk = again.at("kernels")
                          .at("total")
                          .at("learning_curves")
                          .at("labels")[0]
                          .at("rules")[0]
                          .at("risk")[0];
  EXPECT_GT(risk, 1e5);
  EXPECT_LT(risk, 1e6);
}

TEST_F(TheoryStage, RefusesSizesThatDoNotFit) {
  write_kernel(Example());
  make_spectrum();
  job.theory.sizes = {20, 60};
  try {
    run_theory(MPI_COMM_SELF, job);
    ADD_FAILURE() << "60 of 96 rows";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_NE(std::string(error.what()).find("at most half of the"), std::string::npos);
  }
}

TEST_F(TheoryStage, WritesItsFileOnceAndPrintsATable) {
  const auto first = theory_of(Example());
  EXPECT_FALSE(first.at("reused").get<bool>());
  std::ifstream file(job.run.directory + "/theory.json");
  auto stored = json::parse(file);
  EXPECT_EQ(stored.at("kernels"), first.at("kernels"));
  EXPECT_TRUE(run_theory(MPI_COMM_SELF, job).at("reused").get<bool>());
  job.theory.noise_variance = "0.5";
  const auto other = run_theory(MPI_COMM_SELF, job);
  EXPECT_FALSE(other.at("reused").get<bool>());
  EXPECT_EQ(value(other.at("kernels").at("total").at("labels")[0].at("noise_variance")), 0.5);

  std::string table;
  for (const auto& line : theory_table(first)) table += line + "\n";
  for (const char* word :
       {"alpha", "predicted", "n = 96", "worst case", "RWY", "GCV", "oracle", "never", "rkhs_norm2",
        " ± ", "label noise makes", "k_fold", "rows alone the prediction is"}) {
    EXPECT_NE(table.find(word), std::string::npos) << word << "\n" << table;
  }

  // Nothing is said twice.
  std::set<std::string> lines;
  for (const auto& line : theory_table(first)) {
    EXPECT_TRUE(lines.insert(line).second) << line;
  }
  for (const auto& caveat : first.at("kernels").at("total").at("caveats")) {
    const auto words = caveat.get<std::string>().substr(0, 25);
    const auto at = table.find(words);
    EXPECT_TRUE(at == std::string::npos || table.find(words, at + 1) == std::string::npos) << words;
  }

  // What cannot be measured is not compared with its limit.
  auto& growth = stored["kernels"]["total"]["labels"][0]["growth"];
  growth["value"] = nullptr;
  growth["target_in_rkhs"] = nullptr;
  for (const auto& line : theory_table(stored)) {
    EXPECT_EQ(line.find("norm grows"), std::string::npos) << line;
  }
}

TEST_F(TheoryStage, ConvertsStopsToTheTrainingOfTheJob) {
  job.theory.learning_rate = 0.02;
  job.theory.batch_size = 24;
  job.theory.momentum = 0.5;
  job.theory.schedule = "linear";
  job.theory.loss = "half_sum_outputs";
  job.theory.law_draws = 0;
  job.theory.seeds = 1;
  const auto report = theory_of(Example()).at("kernels").at("total");
  const auto& gcv = report.at("labels")[0].at("stopping").at("gcv");
  EXPECT_NEAR(value(gcv.at("training_steps")), value(gcv) / (0.02 / 0.5 / 2), 1e-6 * value(gcv));
  EXPECT_NEAR(value(gcv.at("epochs")) * rows / 24 / value(gcv.at("training_steps")), 1, 1e-12);
  EXPECT_TRUE(report.at("training").at("stable_raw"));
  job.theory.optimiser = "adam";
  const auto refused = run_theory(MPI_COMM_SELF, job).at("kernels").at("total");
  EXPECT_TRUE(refused.at("training").is_null());
  EXPECT_NE(refused.at("limits").dump().find("Adam"), std::string::npos);
}

TEST_F(TheoryStage, WeightedKernelsHaveTheirOwnReport) {
  job.spectrum.kernels = {{"total", "all"}, {"quarter", "head + 0.25 * body"}};
  const auto theory = theory_of(Example());
  const auto &all = theory.at("kernels").at("total"), &part = theory.at("kernels").at("quarter");
  EXPECT_GT(value(all.at("spectrum").at("centred").at("trace")),
            2 * value(part.at("spectrum").at("centred").at("trace")));
  EXPECT_NE(part.at("learning_curves").at("labels")[0].at("rules")[0].at("risk"),
            all.at("learning_curves").at("labels")[0].at("rules")[0].at("risk"));
}

TEST_F(TheoryStage, KeepsOrSubtractsTheOutputs) {
  const Example example;
  const auto subtracted = theory_of(example);
  job.theory.f0 = "keep";
  const auto kept = run_theory(MPI_COMM_SELF, job);
  double mean = 0, square = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    const double v = example.samples.target[i] - example.outputs[i];
    mean += v / rows;
    square += v * v / rows;
  }
  const auto& labels = kept.at("kernels").at("total").at("labels")[0];
  EXPECT_NEAR(value(labels.at("label_variance")), square - mean * mean, 1e-9);
  // What the outputs add is no function of the features: the risk grows.
  const auto oracle = [](const json& theory) {
    const auto& curves = theory.at("kernels").at("total").at("learning_curves");
    return curves.at("labels")[0].at("rules")[0].at("risk").back().get<double>();
  };
  EXPECT_GT(oracle(kept), 5 * oracle(subtracted));
}

TEST_F(TheoryStage, ClassesAreIndicatorsWithEstimatedNoise) {
  Example example;
  example.make_classes();
  const auto report = theory_of(example).at("kernels").at("total");
  ASSERT_EQ(report.at("labels").size(), 2u);
  EXPECT_EQ(report.at("labels")[1].at("name"), "class high");
  EXPECT_EQ(report.at("label_means").at("label_sets"), 2);
  const auto& noise = report.at("labels")[0].at("noise_variance");
  EXPECT_NE(noise.at("rule").get<std::string>().find("estimate"), std::string::npos);
  EXPECT_EQ(report.at("learning_curves").at("labels")[1].at("judged_by"), "labels");
}

TEST_F(TheoryStage, KeepsOutputsOfClassesOnlyWhereEachHasItsOwn) {
  Example example;  // one functional of the outputs, as kernel.outputs = "difference" stores
  example.make_classes();
  job.theory.f0 = "keep";
  try {
    theory_of(example);
    ADD_FAILURE() << "two class indicators minus one output";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::usage);
    EXPECT_NE(std::string(e.what()).find("\"subtract\""), std::string::npos) << e.what();
  }

  std::filesystem::remove(job.run.directory + "/kernel.h5");
  example.output_columns = 2;  // as with "mean_diagonal": an output for each class
  theory::test::Draw draw(72);
  example.outputs = draw.normals(2 * rows);
  const auto labels = theory_of(example).at("kernels").at("total").at("labels");
  ASSERT_EQ(labels.size(), 2u);
  for (std::size_t c = 0; c < 2; ++c) {
    double mean = 0, square = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      const double v =
          (example.samples.label[i] == static_cast<int>(c)) - example.outputs[2 * i + c];
      mean += v / rows;
      square += v * v / rows;
    }
    EXPECT_NEAR(value(labels[c].at("label_variance")), square - mean * mean, 1e-9);
  }
}

TEST_F(TheoryStage, ErrorsNameWhatIsMissing) {
  write_kernel(Example());
  const auto code = [&] {
    try {
      run_theory(MPI_COMM_SELF, job);
    } catch (const Error& e) {
      return e.code();
    }
    return ExitCode::complete;
  };
  EXPECT_EQ(code(), ExitCode::usage);  // no spectrum
  job.spectrum.centre = "raw";
  make_spectrum();
  EXPECT_EQ(code(), ExitCode::usage);  // no centred one
  job.spectrum.centre = "centred";
  make_spectrum();
  job.theory.noise_variance = "some";
  EXPECT_EQ(code(), ExitCode::usage);
  job.theory.noise_variance = "-1";
  EXPECT_EQ(code(), ExitCode::usage);
  job.theory.noise_variance = "data";
  EXPECT_EQ(code(), ExitCode::complete);
  spectrum::run_spectrum(MPI_COMM_SELF, job.spectrum, false, job.run.directory + "/kernel.h5",
                         job.run.directory + "/other.h5");
  std::filesystem::rename(job.run.directory + "/other.h5", job.run.directory + "/spectrum.h5");
  std::filesystem::remove(job.run.directory + "/theory.json");
  EXPECT_EQ(code(), ExitCode::io);  // a spectrum without projections
}

}  // namespace
}  // namespace ntk::app
