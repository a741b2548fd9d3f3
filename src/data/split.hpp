// Hold-out splits that keep groups whole. A pure function.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ntk::data {

struct Split {
  std::vector<std::int64_t> train, test;  // row numbers, ascending
};

// Holds out whole groups, drawn in an order fixed by the seed, until `test_rows` rows or more are
// out. `group` has one entry a row; when it is empty every row is a group of its own. The split
// depends on which rows share a group and on the groups' order by number, not on the order of rows.
// Throws Error(input) when no row would be left for training.
Split split_by_group(std::int64_t rows, std::span<const std::int64_t> group, std::int64_t test_rows,
                     std::int64_t seed);

// Rows of `order` that are not `taken` and share no group with a row that is, ascending: as many as
// are `wanted`, the last ones of the order, or all there are. Those of a kernel's samples come
// first in it, so that a kernel can grow for a while before it meets them. `group` by row, empty =
// every row its own.
std::vector<std::int64_t> rows_apart(std::span<const std::int64_t> order,
                                     std::span<const std::int64_t> taken,
                                     std::span<const std::int64_t> group, std::int64_t wanted);

}  // namespace ntk::data
