// What `ntk merge` does beside taking tiles: which files it takes them from, what is missing, and
// what becomes of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel/inputs.hpp"
#include "kernel/shares.hpp"
#include "store/kernel_file.hpp"
#include "store/run_lock.hpp"

namespace ntk::kernel {

// First rank: the share files of a run directory that no job writes to, held until this goes.
class HeldShares {
 public:
  // Says which shares are left out because they are in use. Error(usage) when there are none at
  // all.
  explicit HeldShares(const std::string& directory);
  std::vector<std::string> paths() const;
  // Removes those that are of this job.
  void remove(const store::KernelSpec& spec) const;

 private:
  std::vector<ShareFiles> files_;
  std::vector<std::unique_ptr<store::RunLock>> locks_;
};

// Names the shares that have units missing in `writer`, by the divisions that `directory` has files
// of: "12 of share 3/8, 7 of share 4/8".
std::string missing_shares(const std::string& directory, const KernelInputs& inputs, int ranges,
                           const store::KernelWriter& writer);

}  // namespace ntk::kernel
