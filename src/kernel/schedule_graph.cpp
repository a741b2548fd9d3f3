#include "kernel/schedule_graph.hpp"

#include <map>
#include <utility>

namespace ntk::kernel {

ScheduleGraph::ScheduleGraph(const Panels& panels, const Operations& operations,
                             const std::function<bool(const store::Unit&)>& undone, int ranges) {
  const int count = static_cast<int>(panels.all().size());
  for (int range = 0; range < ranges; ++range) {
    for (int p = 0; p < count; ++p) node_costs.push_back(operations.build(p));
  }
  for (const double cost : node_costs) mean_node += cost / static_cast<double>(node_costs.size());
  double pairs = 0;
  for (int set = 0; set < static_cast<int>(panels.sets().size()); ++set) {
    const store::TileGrid grid = panels.grid(set, 1);
    for (std::int64_t row = 0; row < grid.row_panels(); ++row) {
      const std::int64_t columns = grid.symmetric ? row + 1 : grid.column_panels();
      for (std::int64_t column = 0; column < columns; ++column) {
        const int p = panels.first_of(set) + static_cast<int>(row), q = static_cast<int>(column);
        double cost = -1;  // asked for once, and only where it is needed
        for (int range = 0; range < ranges; ++range) {
          const store::Unit unit{set, grid.tile_index(row, column), range};
          if (!undone(unit)) continue;
          if (cost < 0) cost = operations.weighted_contraction(p, q) / ranges;
          units.push_back(unit);
          links.push_back({range * count + p, range * count + q, cost});
          work += cost;
          pairs += p == q ? 0.5 : 1;  // symmetric work is done once
        }
      }
    }
  }
  if (pairs > 0) mean_link = work / pairs;
}

CoarseGraph::CoarseGraph(const ScheduleGraph& graph, const Panels& panels, int size) {
  const int count = static_cast<int>(panels.all().size());
  std::vector<int> group;  // of each node
  for (std::size_t n = 0; n < graph.node_costs.size(); ++n) {
    const int panel = static_cast<int>(n) % count;
    if ((panel - panels.first_of(panels.at(panel).set)) % size == 0) node_costs.push_back(0);
    node_costs.back() += graph.node_costs[n];
    group.push_back(static_cast<int>(node_costs.size()) - 1);
  }
  std::map<std::pair<int, int>, int> known;
  for (const auto& link : graph.links) {
    const int p = group[static_cast<std::size_t>(link.p)];
    const int q = group[static_cast<std::size_t>(link.q)];
    const auto [found, made] = known.try_emplace({p, q}, static_cast<int>(links.size()));
    if (made) links.push_back({p, q, 0});
    links[static_cast<std::size_t>(found->second)].cost += link.cost;
    link_of.push_back(found->second);
  }
}

}  // namespace ntk::kernel
