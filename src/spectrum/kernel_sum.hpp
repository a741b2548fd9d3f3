// Named kernels of [spectrum]: weighted sums of the stored groups, folded while loading.
#pragma once

#include <string>
#include <vector>

namespace ntk::spectrum {

struct Term {
  std::string dataset;  // "total" or a group
  double weight = 1;
  friend bool operator==(const Term&, const Term&) = default;
};

// Reads "all", "head", "head + 0.25 * body", "total - head": terms joined by + or -, each a name
// with an optional factor before or behind it. "all" and "total" are the whole kernel. Equal names
// are added up, in the order of first appearance. Throws Error(usage), naming `kernel` (its key in
// [spectrum] kernels) and the groups that exist.
std::vector<Term> parse_sum(const std::string& kernel, const std::string& text,
                            const std::vector<std::string>& groups);

}  // namespace ntk::spectrum
