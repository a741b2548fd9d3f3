#include "kernel/merge.hpp"

#include <algorithm>
#include <set>

#include "base/log.hpp"
#include "store/disk.hpp"
#include "store/kernel_layout.hpp"

namespace ntk::kernel {

namespace {
constexpr std::size_t shares_told = 20;
}

HeldShares::HeldShares(const std::string& directory) {
  for (const auto& files : share_files(directory)) {
    auto lock = std::make_unique<store::RunLock>();
    try {
      lock->take(directory, files.share.file());
    } catch (const Error& error) {
      if (error.code() != ExitCode::usage) throw;
      log::warn("{} is left out: {}", files.share.name(), error.what());
      continue;
    }
    locks_.push_back(std::move(lock));
    files_.push_back(files);
  }
}

std::vector<std::string> HeldShares::paths() const {
  std::vector<std::string> all;
  for (const auto& files : files_) all.insert(all.end(), files.paths.begin(), files.paths.end());
  return all;
}

void HeldShares::remove(const store::KernelSpec& spec) const {
  for (const auto& path : paths()) {
    try {
      const auto kin = store::kinship(store::h5::open_file(path), path, spec);
      require(kin == store::Kinship::same || kin == store::Kinship::smaller, ExitCode::usage,
              "it is of another job");
    } catch (const Error& error) {
      log::warn("{} is not removed: {}", path, error.what());
      continue;
    }
    store::remove_file(path);
  }
}

std::string missing_shares(const std::string& directory, const KernelInputs& inputs, int ranges,
                           const store::KernelWriter& writer) {
  std::set<int> divisions;
  for (const auto& files : share_files(directory)) divisions.insert(files.share.of);
  const Operations operations(inputs.model.architecture, inputs.model.config, inputs.settings,
                              inputs.panels);
  std::vector<std::string> told;
  for (const int of : divisions) {
    const auto shares = divide(inputs.panels, operations, ranges, of);
    for (int k = 1; k <= of; ++k) {
      const auto& units = shares[static_cast<std::size_t>(k - 1)];
      const auto missing = std::count_if(units.begin(), units.end(),
                                         [&](const auto& unit) { return !writer.done(unit); });
      if (missing > 0) told.push_back(fmt::format("{} of {}", missing, Share{k, of}.name()));
    }
  }
  const bool more = told.size() > shares_told;
  if (more) told.resize(shares_told);
  return fmt::format("{}{}", fmt::join(told, ", "), more ? ", ..." : "");
}

}  // namespace ntk::kernel
