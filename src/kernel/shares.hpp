// Shares of a kernel: parts of its tiles that jobs of their own compute, each into its own file in
// the run directory. `ntk merge` unites them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/operations.hpp"
#include "kernel/panels.hpp"

namespace ntk::kernel {

// The k-th of so many: 1 <= k <= of.
struct Share {
  int k = 1, of = 1;
  auto operator<=>(const Share&) const = default;
  std::string name() const;          // "share 3/8"
  std::string file() const;          // "share-3-of-8.h5"
  std::string summary_file() const;  // "share-3-of-8.json"
};

// "3/8". Error(usage) for anything else.
Share parse_share(std::string_view text);
// The share whose file has this name, partial or complete or set aside; none for other files.
std::optional<Share> share_of_file(std::string_view name);

// Files of shares that a run directory has, with their paths, by share.
struct ShareFiles {
  Share share;
  std::vector<std::string> paths;
};
std::vector<ShareFiles> share_files(const std::string& directory);

// The units of every one of `of` shares: those of tasks that share panels, dealt out by predicted
// cost. It follows from the job and `of` alone, whoever computes a share.
std::vector<std::vector<store::Unit>> divide(const Panels& panels, const Operations& operations,
                                             int ranges, int of);

}  // namespace ntk::kernel
