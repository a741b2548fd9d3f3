// The memory a rank may take, from made-up /proc and /sys trees.
#include "base/memory.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "support/files.hpp"

namespace ntk {
namespace {

class AvailableMemory : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) {
    const auto file = root() + path;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file) << text;
  }
  std::string root() const { return folder_.path(); }

 private:
  test::TemporaryFolder folder_;
};

constexpr std::size_t kib = 1024;

TEST_F(AvailableMemory, IsThatOfTheNodeWithoutControlGroups) {
  EXPECT_EQ(available_memory(root()), 0u);
  put("/proc/meminfo", "MemTotal:  9000 kB\nMemAvailable:   800 kB\nCached: 5 kB\n");
  EXPECT_EQ(available_memory(root()), 800 * kib);
}

TEST_F(AvailableMemory, IsWhatAGroupOfVersion2HasLeft) {
  put("/proc/meminfo", "MemAvailable: 800 kB\n");
  put("/proc/self/cgroup", "0::/slurm/job_7/step_0\n");
  put("/sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
  put("/sys/fs/cgroup/slurm/job_7/step_0/memory.current", "1000\n");
  EXPECT_EQ(available_memory(root()), 800 * kib);
  // The limit of the job holds for its steps; cached file pages can be taken back.
  put("/sys/fs/cgroup/slurm/job_7/memory.max", "500000\n");
  put("/sys/fs/cgroup/slurm/job_7/memory.current", "200000\n");
  put("/sys/fs/cgroup/slurm/job_7/memory.stat", "anon 150000\nfile 50000\n");
  EXPECT_EQ(available_memory(root()), 350000u);
}

TEST_F(AvailableMemory, IsWhatAGroupOfVersion1HasLeft) {
  put("/proc/meminfo", "MemAvailable: 800 kB\n");
  put("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/slurm/job_7\n0::/y\n");
  put("/sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes", "100000\n");
  put("/sys/fs/cgroup/memory/slurm/job_7/memory.usage_in_bytes", "120000\n");
  EXPECT_EQ(available_memory(root()), 0u) << "above its limit";
  put("/sys/fs/cgroup/memory/slurm/job_7/memory.stat", "total_cache 90000\n");
  EXPECT_EQ(available_memory(root()), 70000u);
}

TEST(PeakResidentMemory, GrowsWithWhatIsTouched) {
  const std::size_t before = peak_resident_memory();
  EXPECT_GT(before, 0u);
  const std::vector<char> touched(before + (64 << 20), 1);
  EXPECT_GE(peak_resident_memory(), before + (64 << 20)) << static_cast<int>(touched.back());
}

}  // namespace
}  // namespace ntk
