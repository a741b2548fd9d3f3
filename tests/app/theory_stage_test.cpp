// The theory stage on files: what it writes, keeps, prints and refuses.
#include "app/theory_stage.hpp"

#include <set>

#include "app/theory_example.hpp"
#include "app/theory_report.hpp"
#include "theory/learning_study.hpp"

namespace ntk::app {
namespace {

using namespace test_theory;  // rows, Example, value

using TheoryStage = TheoryExample;

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
