// The links of a graph cut into parts so that few nodes are needed again and again: tiles are links
// between panels, parts become tasks. Pure numbers.
#pragma once

#include <vector>

namespace ntk::kernel {

// Work that needs two nodes, which may be the same one.
struct Link {
  int p = 0, q = 0;
  double cost = 0;
};

struct PartitionLimits {
  int parts = 1;            // wanted; more where the other limits need them, fewer where links end
  int largest_nodes = 0;    // of a part
  double largest_cost = 0;  // of a part of more than one link
  double allowance = 0;     // how much more than the mean a part may cost before that counts
  long long moves = 0;      // of single links, tried
  double threshold = 0;     // what a move may cost at first, in mean costs of a node
  int seed = 0;             // of the moves
};

// The part of every link. A part costs its links and every node that it touches; the sum over all
// parts is made small, and none is to cost much more than the mean. The same parts for the same
// numbers: nothing depends on time, addresses or the mathematical library.
std::vector<int> partition(const std::vector<double>& node_costs, const std::vector<Link>& links,
                           const PartitionLimits& limits);

// The same from given parts, which may break limits; no move breaks one.
std::vector<int> improve(const std::vector<double>& node_costs, const std::vector<Link>& links,
                         const PartitionLimits& limits, const std::vector<int>& parts);

}  // namespace ntk::kernel
