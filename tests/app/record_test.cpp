// What a run directory remembers of the commands that made its files: summary.json, run.toml.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/kept_job.hpp"
#include "app/summary.hpp"
#include "support/files.hpp"

namespace ntk::app {
namespace {

using nlohmann::json;

const json earlier_summary = {
    {"ranks", 4},
    {"timings", {{"kernel", 99.5}, {"kernel_with_setup", 101.0}, {"theory", 2.0}}},
    {"kernel", {{"share", 0.8}, {"made", {{"ranks", 4}}}}},
    {"theory", {{"kernels", 1}}}};

TEST(Summary, StagesThatDidNothingKeepTheirNumbers) {
  const auto merged = merge_summaries(
      earlier_summary,
      {{"ranks", 1}, {"timings", {{"kernel", 0.1}}}, {"kernel", {{"reused", true}}}});
  EXPECT_EQ(merged.at("ranks"), 1);
  EXPECT_EQ(merged.at("kernel"),
            json({{"share", 0.8}, {"made", {{"ranks", 4}}}, {"reused", true}}));
  EXPECT_EQ(merged.at("timings"), earlier_summary.at("timings"));
  EXPECT_EQ(merged.at("theory"), earlier_summary.at("theory"));
}

TEST(Summary, WhatANewKernelOutdatesIsForgotten) {
  const auto merged = merge_summaries(
      earlier_summary, {{"timings", {{"kernel", 50.0}}}, {"kernel", {{"share", 0.7}}}});
  EXPECT_EQ(merged.at("kernel"), json({{"share", 0.7}}));
  EXPECT_EQ(merged.at("timings"), json({{"kernel", 50.0}}));
  EXPECT_FALSE(merged.contains("theory"));
}

TEST(Summary, LaterStagesLeaveEarlierOnes) {
  const auto merged = merge_summaries(
      earlier_summary, {{"timings", {{"spectrum", 3.0}}}, {"spectrum", {{"order", 5}}}});
  EXPECT_EQ(merged.at("kernel"), earlier_summary.at("kernel"));
  EXPECT_EQ(merged.at("timings"),
            json({{"kernel", 99.5}, {"kernel_with_setup", 101.0}, {"spectrum", 3.0}}));
  EXPECT_FALSE(merged.contains("theory"));
}

TEST(Summary, DamagedEarlierOnesAreIgnored) {
  const json now = {{"timings", json::object()}, {"kernel", {{"reused", true}}}};
  for (const json& earlier : {json::object(), json({{"kernel", 3}, {"timings", "none"}})}) {
    EXPECT_EQ(merge_summaries(earlier, now), now);
  }
}

TEST(Summary, JobsOfOneKernel) {
  const std::string job = "[run]\ndirectory = 'a'\nseed = 1\n[model]\npath = 'm'\n";
  EXPECT_TRUE(same_kernel(job,
                          "[run]\ndirectory = 'b'\nseed = 1\nthreads = 3\n[model]\n"
                          "path = 'm'\n[spectrum]\nvectors = 3\n"));
  EXPECT_FALSE(same_kernel(job, "[run]\ndirectory = 'a'\nseed = 2\n[model]\npath = 'm'\n"));
  EXPECT_FALSE(same_kernel(job, "[run]\ndirectory = 'a'\nseed = 1\n[model]\npath = 'n'\n"));
  EXPECT_FALSE(same_kernel(job, "no TOML"));
}

TEST(KeptJob, AStageAnswersForItsTables) {
  Job kernel, other;
  kernel.run.directory = "here";
  kernel.kernel.precision = "fp64";
  other.run.directory = "moved";
  other.spectrum.vectors = 7;
  other.theory.f0 = "keep";
  const Job kernels_own = kept_job(nullptr, kernel, Stage::kernel);
  EXPECT_EQ(to_toml(kernels_own), to_toml(kernel));

  const Job second = kept_job(&kernels_own, other, Stage::spectrum);
  EXPECT_EQ(second.kernel.precision, "fp64");
  EXPECT_EQ(second.run.directory, "moved");
  EXPECT_EQ(second.spectrum.vectors, 7);
  EXPECT_TRUE(second.has_spectrum);
  EXPECT_FALSE(second.has_theory);

  const Job third = kept_job(&second, other, Stage::theory);
  EXPECT_TRUE(third.has_theory);
  EXPECT_EQ(third.theory.f0, "keep");

  // The kernel again, by a job file without the later tables: they stay.
  const Job fourth = kept_job(&third, kernel, Stage::kernel);
  EXPECT_EQ(fourth.run.directory, "here");
  EXPECT_EQ(fourth.spectrum.vectors, 7);
  EXPECT_TRUE(fourth.has_theory);
}

TEST(Record, MessagesNeedNotBeUtf8) {
  const test::TemporaryFolder folder;
  write_summary(folder.path(), "summary.json", {{"job", "x = 1"}}, ExitCode::input,
                "no file m\xf6vies.h5", 0);
  const json summary = json::parse(std::ifstream(folder.path("summary.json")));
  EXPECT_EQ(summary.at("error"), "no file m\uFFFDvies.h5");
}

TEST(Record, AFullDiskIsAWarning) {
  const test::TemporaryFolder folder;
  Job job;
  job.run.directory = folder.path();
  const auto content = [&](const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(folder.path(name)).rdbuf();
    return text.str();
  };
  const auto record = [&](const char* word) {
    job.model.head = word;
    write_summary(folder.path(), "summary.json", {{"job", to_toml(job)}, {"word", word}},
                  ExitCode::complete, "", 0);
    keep_job(job, Stage::kernel);
  };
  record("random");
  const std::string summary = content("summary.json"), kept = content("run.toml");
  EXPECT_EQ(json::parse(summary).at("word"), "random");
  EXPECT_EQ(kept, to_toml(job));
  for (const char* name : {"summary.json", "run.toml"}) {
    std::filesystem::create_symlink("/dev/full", folder.path(name + std::string(".partial")));
  }
  testing::internal::CaptureStderr();
  record("checkpoint");
  const std::string said = testing::internal::GetCapturedStderr();
  for (const char* name : {"summary.json", "run.toml"}) {
    EXPECT_THAT(said, testing::HasSubstr(folder.path(name)));
  }
  EXPECT_THAT(said, testing::HasSubstr("No space left on device"));
  EXPECT_EQ(content("summary.json"), summary);
  EXPECT_EQ(content("run.toml"), kept);
}

}  // namespace
}  // namespace ntk::app
