#include "kernel/shares.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>

#include "kernel/schedule.hpp"

namespace ntk::kernel {
namespace {

// Numbers of tasks in an array have few digits; none begins with 0.
std::optional<int> parse_number(std::string_view& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 1 || text.front() == '0') return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

// "K/OF" or, with other words between, the same.
std::optional<Share> parse(std::string_view& text, std::string_view between) {
  const auto k = parse_number(text);
  if (!k || !take(text, between)) return std::nullopt;
  const auto of = parse_number(text);
  if (!of || *k > *of) return std::nullopt;
  return Share{*k, *of};
}

}  // namespace

std::string Share::name() const {
  return fmt::format("share {}/{}", k, of);
}

std::string Share::file() const {
  return fmt::format("share-{}-of-{}.h5", k, of);
}

std::string Share::summary_file() const {
  return fmt::format("share-{}-of-{}.json", k, of);
}

Share parse_share(std::string_view text) {
  std::string_view rest = text;
  const auto share = parse(rest, "/");
  require(share && rest.empty(), ExitCode::usage,
          "--share {} (a share is K/N with 1 <= K <= N) give for example --share 3/8", text);
  return *share;
}

std::optional<Share> share_of_file(std::string_view name) {
  if (!take(name, "share-")) return std::nullopt;
  const auto share = parse(name, "-of-");
  if (!share || !take(name, ".h5")) return std::nullopt;
  if (name.empty() || name == ".partial" || name.starts_with(".smaller-")) return share;
  return std::nullopt;
}

std::vector<ShareFiles> share_files(const std::string& directory) {
  std::map<Share, std::vector<std::string>> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (const auto share = share_of_file(entry.path().filename().string()))
      found[*share].push_back(entry.path().string());
  }
  std::vector<ShareFiles> files;
  for (auto& [share, paths] : found) {
    std::sort(paths.begin(), paths.end());
    files.push_back({share, std::move(paths)});
  }
  std::sort(files.begin(), files.end(), [](const ShareFiles& a, const ShareFiles& b) {
    return std::pair(a.share.of, a.share.k) < std::pair(b.share.of, b.share.k);
  });
  return files;
}

std::vector<std::vector<store::Unit>> divide(const Panels& panels, const Operations& operations,
                                             int ranges, int of) {
  // Without the limits of memory and time: those are of the machine, and cut a share's own tasks.
  ScheduleLimits limits;
  limits.ranks = of;
  limits.ranges = ranges;
  const auto tasks = make_tasks(
      panels, operations, [](const store::Unit&) { return true; }, limits);
  std::vector<std::vector<store::Unit>> shares(static_cast<std::size_t>(of));
  std::vector<double> costs(shares.size(), 0.0);
  for (const Task& task : tasks) {
    const auto least = std::min_element(costs.begin(), costs.end()) - costs.begin();
    costs[static_cast<std::size_t>(least)] += task.cost;
    auto& units = shares[static_cast<std::size_t>(least)];
    units.insert(units.end(), task.units.begin(), task.units.end());
  }
  return shares;
}

}  // namespace ntk::kernel
