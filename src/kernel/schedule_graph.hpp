// Undone units as a graph: panels are nodes, units are links between two of them.
#pragma once

#include <functional>
#include <vector>

#include "kernel/operations.hpp"
#include "kernel/panels.hpp"
#include "kernel/schedule_partition.hpp"

namespace ntk::kernel {

// Costs are weighted operations. Every range of segments has nodes of its own: panel p in range r
// is node r * panels + p.
struct ScheduleGraph {
  std::vector<store::Unit> units;
  std::vector<Link> links;         // of each unit
  std::vector<double> node_costs;  // building the panel
  double work = 0;                 // of all links
  double mean_link = 0;            // of links between two nodes
  double mean_node = 0;

  ScheduleGraph(const Panels& panels, const Operations& operations,
                const std::function<bool(const store::Unit&)>& undone, int ranges);

  // Of all tiles between so many panels, building included.
  double clique_cost(double panels) const {
    return panels * mean_node + panels * panels / 2 * mean_link;
  }
};

// The graph seen from further away: `size` neighbouring panels of a set as one node, all units
// between two such nodes as one link.
struct CoarseGraph {
  std::vector<double> node_costs;
  std::vector<Link> links;
  std::vector<int> link_of;  // of each link of the graph

  CoarseGraph(const ScheduleGraph& graph, const Panels& panels, int size);
};

}  // namespace ntk::kernel
