#include "data/split.hpp"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "base/error.hpp"
#include "data/draw.hpp"

namespace ntk::data {

Split split_by_group(std::int64_t rows, std::span<const std::int64_t> group, std::int64_t test_rows,
                     std::int64_t seed) {
  ensure(group.empty() || static_cast<std::int64_t>(group.size()) == rows,
         "{} group numbers for {} rows", group.size(), rows);
  std::map<std::int64_t, std::vector<std::int64_t>> members;  // by group number
  for (std::int64_t row = 0; row < rows; ++row) {
    members[group.empty() ? row : group[static_cast<std::size_t>(row)]].push_back(row);
  }
  std::vector<const std::vector<std::int64_t>*> groups;
  for (const auto& [number, its_rows] : members) groups.push_back(&its_rows);

  std::vector<bool> held_out(static_cast<std::size_t>(rows), false);
  std::int64_t out = 0;
  for (const std::int64_t drawn : permutation(static_cast<std::int64_t>(groups.size()), seed)) {
    if (out >= test_rows) break;
    for (const std::int64_t row : *groups[static_cast<std::size_t>(drawn)]) {
      held_out[static_cast<std::size_t>(row)] = true;
      ++out;
    }
  }
  require(out < rows, ExitCode::input,
          "cannot hold out {} of {} rows (they form {} groups, which stay whole, and none would be "
          "left) hold out fewer",
          test_rows, rows, groups.size());
  Split split;
  for (std::int64_t row = 0; row < rows; ++row) {
    (held_out[static_cast<std::size_t>(row)] ? split.test : split.train).push_back(row);
  }
  return split;
}

std::vector<std::int64_t> rows_apart(std::span<const std::int64_t> order,
                                     std::span<const std::int64_t> taken,
                                     std::span<const std::int64_t> group, std::int64_t wanted) {
  const auto group_of = [&](std::int64_t row) {
    return group.empty() ? row : group[static_cast<std::size_t>(row)];
  };
  const std::unordered_set<std::int64_t> rows_taken(taken.begin(), taken.end());
  std::unordered_set<std::int64_t> groups_taken;
  for (const std::int64_t row : taken) groups_taken.insert(group_of(row));
  std::vector<std::int64_t> apart;
  for (auto row = order.rbegin(); row != order.rend(); ++row) {
    if (static_cast<std::int64_t>(apart.size()) == wanted) break;
    if (!rows_taken.contains(*row) && !groups_taken.contains(group_of(*row))) apart.push_back(*row);
  }
  std::ranges::sort(apart);
  return apart;
}

}  // namespace ntk::data
