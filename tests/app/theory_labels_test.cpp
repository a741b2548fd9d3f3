// Labels of the theory stage: label sets, tasks, outputs taken off or left, classes.
#include <set>

#include "app/theory_example.hpp"
#include "app/theory_report.hpp"
#include "theory/learning_study.hpp"
#include "theory/task_vectors.hpp"

namespace ntk::app {
namespace {

using namespace test_theory;  // rows, Example, value

using TheoryLabels = TheoryExample;

// Two label sets with their names and noises: each says what it says alone.
TEST_F(TheoryLabels, LabelSetsHaveNamesAndNoisesOfTheirOwn) {
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

TEST_F(TheoryLabels, TasksOfTheDataAreCompared) {
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

TEST_F(TheoryLabels, KeepsOrSubtractsTheOutputs) {
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

TEST_F(TheoryLabels, ClassesAreIndicatorsWithEstimatedNoise) {
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

TEST_F(TheoryLabels, KeepsOutputsOfClassesOnlyWhereEachHasItsOwn) {
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

}  // namespace
}  // namespace ntk::app
