// When a run has to end by itself: its own limit, and what Slurm says of the job.
#include "app/deadline.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

namespace ntk::app {
namespace {

class Deadline : public testing::Test {
 protected:
  Deadline() {
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_JOB_END_TIME");
    job_.run.directory = "runs/a";
  }
  ~Deadline() override { unsetenv("SLURM_JOB_END_TIME"); }
  static void slurm_ends_in(double seconds) {
    const auto end = static_cast<long long>(static_cast<double>(std::time(nullptr)) + seconds);
    setenv("SLURM_JOB_END_TIME", std::to_string(end).c_str(), 1);
  }
  Job job_;
};

TEST_F(Deadline, SlurmsTimes) {
  setenv("TZ", "UTC", 1);
  tzset();
  EXPECT_EQ(slurm_time("2026-01-31T23:59:59"), 1769903999);
  for (const char* other : {"", "N/A", "Unknown", "2026-01-31", "2026-01-31T23:59:59x"}) {
    EXPECT_FALSE(slurm_time(other)) << other;
  }
}

TEST_F(Deadline, NoneUnlessAskedFor) {
  const auto limits = find_limits(job_);
  EXPECT_TRUE(std::isinf(limits.seconds));
  EXPECT_EQ(limits.stop_file, "runs/a/STOP");
}

TEST_F(Deadline, OwnLimitLessOnePercent) {
  job_.run.max_hours = 2;
  EXPECT_DOUBLE_EQ(find_limits(job_).seconds, 0.99 * 7200);
  EXPECT_EQ(find_limits(job_).reason, stop::Reason::max_hours);
}

TEST_F(Deadline, LeavesTimeBeforeTheJobsEnd) {
  for (const auto& [rest, left] : {std::pair{100'000.0, 60.0}, {400.0, 40.0}, {100.0, 25.0}}) {
    slurm_ends_in(rest);
    EXPECT_NEAR(find_limits(job_).seconds, rest - left, 1.5);
    EXPECT_EQ(find_limits(job_).reason, stop::Reason::job_end);
  }
  slurm_ends_in(-5);
  EXPECT_EQ(find_limits(job_).seconds, 0);
}

TEST_F(Deadline, AsksSlurmForThisTaskOfAnArray) {
  // squeue -h -o %e -j JOB: knows job 7 and task 7_3, which end an hour apart.
  const auto folder = std::filesystem::temp_directory_path() / "ntk-squeue";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "squeue") << "#!/bin/sh\ncase $5 in\n"
                                      "7) date -d '+1 hour' +%Y-%m-%dT%H:%M:%S ;;\n"
                                      "7_3) date -d '+2 hours' +%Y-%m-%dT%H:%M:%S ;;\nesac\n";
  std::filesystem::permissions(folder / "squeue", std::filesystem::perms::owner_all);
  const std::string path = std::getenv("PATH");
  setenv("PATH", (folder.string() + ":" + path).c_str(), 1);
  setenv("SLURM_JOB_ID", "7", 1);
  EXPECT_NEAR(find_limits(job_).seconds, 3600 - 60, 5);
  setenv("SLURM_ARRAY_JOB_ID", "7", 1);
  setenv("SLURM_ARRAY_TASK_ID", "3", 1);
  EXPECT_NEAR(find_limits(job_).seconds, 7200 - 60, 5);
  setenv("SLURM_JOB_ID", "x; exit", 1);
  EXPECT_TRUE(std::isinf(find_limits(job_).seconds));
  for (const char* name : {"SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"}) {
    unsetenv(name);
  }
  setenv("PATH", path.c_str(), 1);
  std::filesystem::remove_all(folder);
}

TEST_F(Deadline, TheEarlierOneCounts) {
  job_.run.max_hours = 0.01;
  slurm_ends_in(3600);
  EXPECT_EQ(find_limits(job_).reason, stop::Reason::max_hours);
  job_.run.max_hours = 10;
  EXPECT_EQ(find_limits(job_).reason, stop::Reason::job_end);
}

}  // namespace
}  // namespace ntk::app
