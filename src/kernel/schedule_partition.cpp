// Parts are grown one after another from a node, always by the node that brings most open links
// (cliques, as long as there are any), and then improved by moving single links (threshold
// accepting: a move may worsen the sum by less than a threshold that falls to zero).
#include "kernel/schedule_partition.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <utility>

namespace ntk::kernel {
namespace {

// What a part costs beyond its target counts this many times more, and more and more.
constexpr double pressure = 2;

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

class Parts {
 public:
  Parts(const std::vector<double>& node_costs, const std::vector<Link>& links,
        const PartitionLimits& limits)
      : nodes_(node_costs),
        links_(links),
        limits_(limits),
        random_(static_cast<std::uint64_t>(limits.seed)),
        part_of_(links.size(), -1),
        with_(node_costs.size()),
        links_of_(node_costs.size()),
        open_(node_costs.size(), -1),
        gain_(node_costs.size()),
        open_links_(node_costs.size()),
        inside_(node_costs.size()) {
    for (std::size_t i = 0; i < links.size(); ++i) {
      for (int node : {links[i].p, links[i].q}) {
        open_[at(node)] = std::max(0.0, open_[at(node)]) + links[i].cost;
        ++open_links_[at(node)];
      }
      links_of_[at(links[i].p)].push_back(static_cast<int>(i));
      if (links[i].p != links[i].q) links_of_[at(links[i].q)].push_back(static_cast<int>(i));
      largest_ = std::max(largest_, links[i].cost + both(links[i]));
    }
    target_ = expected();
  }

  void grow();
  void start_from(const std::vector<int>& parts);
  void improve();
  const std::vector<int>& result() const { return part_of_; }

 private:
  struct Member {
    int node, links, place;  // links of the part that need it; where with_[node] has the part
  };
  struct Part {
    std::vector<Member> members;
    double cost = 0;
    int links = 0;
  };

  // Members are in ascending order.
  std::vector<Member>::iterator place_of(int part, int node) {
    auto& members = parts_[at(part)].members;
    return std::lower_bound(members.begin(), members.end(), node,
                            [](const Member& m, int n) { return m.node < n; });
  }
  Member* find(int part, int node) {
    const auto place = place_of(part, node);
    const bool found = place != parts_[at(part)].members.end() && place->node == node;
    return found ? &*place : nullptr;
  }
  double both(const Link& l) const {
    return nodes_[at(l.p)] + (l.p == l.q ? 0.0 : nodes_[at(l.q)]);
  }
  double cost(int part) const { return parts_[at(part)].cost; }
  // What the part would cost more with the link, or infinity where limits forbid it.
  double price(int link, int part);
  // What it would cost less without it.
  double relief(int link, int part);
  void put(int link, int part);
  void take(int link);
  void need(int part, int node);
  void release(int part, int node);
  int new_part() {
    parts_.emplace_back();
    empty_.push_back(static_cast<int>(parts_.size()) - 1);
    stamps_.push_back(0);
    return static_cast<int>(parts_.size()) - 1;
  }
  // What a part of that cost adds to the sum that is made small.
  double weight(double cost) const {
    const double over = std::max(0.0, cost - target_);
    return cost + over * (pressure + over / largest_);
  }
  double expected() const;
  std::vector<int> cluster(double wanted);
  void place_anywhere(int link);
  int other_part(int link);
  void set_target();
  int draw(std::size_t count) {  // uniform but for 2^-32
    return static_cast<int>(((random_() >> 32) * count) >> 32);
  }

  const std::vector<double>& nodes_;
  const std::vector<Link>& links_;
  const PartitionLimits& limits_;
  std::mt19937_64 random_;
  std::vector<int> part_of_;
  std::vector<std::vector<int>> with_;  // parts that touch a node
  std::vector<Part> parts_;
  std::vector<int> empty_;             // parts; the last one is filled first
  std::vector<std::uint64_t> stamps_;  // of parts, for `other_part`
  std::uint64_t stamp_ = 0;
  std::vector<std::vector<int>> links_of_;  // links of a node
  // While parts grow: cost and number of a node's links that are in no part (cost -1: none), cost
  // of those to the nodes inside the growing part.
  std::vector<double> open_, gain_;
  std::vector<int> open_links_;
  std::vector<bool> inside_;
  double largest_ = 0;  // cost of the largest link with its nodes
  double target_ = 0;
};

double Parts::price(int link, int part) {
  const Link& l = links_[at(link)];
  const Part& to = parts_[at(part)];
  double sum = l.cost;
  int more = 0;
  if (!find(part, l.p)) sum += nodes_[at(l.p)], ++more;
  if (l.q != l.p && !find(part, l.q)) sum += nodes_[at(l.q)], ++more;
  const bool fits =
      to.links == 0 || (to.cost + sum <= limits_.largest_cost &&
                        static_cast<int>(to.members.size()) + more <= limits_.largest_nodes);
  return fits ? sum : HUGE_VAL;
}

double Parts::relief(int link, int part) {
  const Link& l = links_[at(link)];
  double sum = l.cost;
  if (find(part, l.p)->links == 1) sum += nodes_[at(l.p)];
  if (l.q != l.p && find(part, l.q)->links == 1) sum += nodes_[at(l.q)];
  return sum;
}

void Parts::need(int part, int node) {
  auto& of = parts_[at(part)];
  const auto place = place_of(part, node);
  if (place != of.members.end() && place->node == node) {
    ++place->links;
    return;
  }
  auto& with = with_[at(node)];
  of.members.insert(place, {node, 1, static_cast<int>(with.size())});
  of.cost += nodes_[at(node)];
  with.push_back(part);
}

void Parts::release(int part, int node) {
  auto& of = parts_[at(part)];
  const auto member = place_of(part, node);
  if (--member->links > 0) return;
  auto& with = with_[at(node)];
  const int last = with.back();
  with[at(member->place)] = last;
  find(last, node)->place = member->place;
  with.pop_back();
  of.cost -= nodes_[at(node)];
  of.members.erase(member);
}

void Parts::put(int link, int part) {
  const Link& l = links_[at(link)];
  if (parts_[at(part)].links++ == 0) empty_.pop_back();  // which was this part
  part_of_[at(link)] = part;
  parts_[at(part)].cost += l.cost;
  need(part, l.p);
  if (l.q != l.p) need(part, l.q);
}

void Parts::take(int link) {
  const Link& l = links_[at(link)];
  const int part = part_of_[at(link)];
  release(part, l.p);
  if (l.q != l.p) release(part, l.q);
  parts_[at(part)].cost -= l.cost;
  if (--parts_[at(part)].links == 0) {
    parts_[at(part)].cost = 0;
    empty_.push_back(part);
  }
}

// What a part will cost about, when parts are cliques.
double Parts::expected() const {
  double work = 0, nodes = 0;
  std::size_t used = 0;
  for (const auto& l : links_) work += l.cost;
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    if (!links_of_[n].empty()) nodes += nodes_[n], ++used;
  }
  const double share = work / limits_.parts;
  const double pairs = static_cast<double>(links_.size()) / limits_.parts;
  const double side = std::min(static_cast<double>(used), std::sqrt(2 * pairs) + 0.5);
  return std::min(limits_.largest_cost, share + side * nodes / static_cast<double>(used));
}

// What parts should cost at most: little more than their mean, or the largest single link.
void Parts::set_target() {
  double sum = 0;
  for (const auto& part : parts_) sum += part.cost;
  target_ = std::max(largest_, sum / limits_.parts + limits_.allowance);
}

// Into the part whose weight grows least, of those that have one of its nodes or none at all.
void Parts::place_anywhere(int link) {
  const Link& l = links_[at(link)];
  int best = -1;
  double least = HUGE_VAL;
  for (int node : {l.p, l.q}) {
    for (int part : with_[at(node)]) {
      const double more = weight(cost(part) + price(link, part)) - weight(cost(part));
      if (more < least) least = more, best = part;
    }
  }
  put(link, best >= 0 ? best : new_part());
}

// The nodes of a new part: from the node with most open work, always by the one that brings most
// of it to those inside, as long as the part costs no more than `wanted`. Returns the open links
// between them, those of one node last.
std::vector<int> Parts::cluster(double wanted) {
  int next = static_cast<int>(std::max_element(open_.begin(), open_.end()) - open_.begin());
  std::vector<int> members, reached, found;
  double sum = 0;
  while (next >= 0 && static_cast<int>(members.size()) < limits_.largest_nodes) {
    sum += nodes_[at(next)] + gain_[at(next)];
    if (sum > wanted && members.size() >= 2) break;
    inside_[at(next)] = true;
    members.push_back(next);
    for (int link : links_of_[at(next)]) {
      const Link& l = links_[at(link)];
      const int other = l.p == next ? l.q : l.p;
      if (part_of_[at(link)] >= 0) continue;
      if (inside_[at(other)]) {
        found.push_back(link);
      } else {
        if (gain_[at(other)] == 0) reached.push_back(other);
        gain_[at(other)] += l.cost;
      }
    }
    next = -1;
    for (int node : reached) {
      if (inside_[at(node)]) continue;
      const auto key = [&](int n) { return std::pair(gain_[at(n)], open_[at(n)]); };
      if (next < 0 || key(node) > key(next)) next = node;
    }
  }
  for (int node : members) inside_[at(node)] = false;
  for (int node : reached) gain_[at(node)] = 0;
  std::stable_partition(found.begin(), found.end(),
                        [&](int link) { return links_[at(link)].p != links_[at(link)].q; });
  return found;
}

void Parts::grow() {
  const double wanted = target_;
  std::size_t open = links_.size();
  for (int made = 0; made < limits_.parts && open > 0; ++made) {
    const std::vector<int> found = cluster(wanted);
    const int part = new_part();
    for (int link : found) {
      const double more = price(link, part);
      if (parts_[at(part)].links > 0 && cost(part) + more > wanted) continue;
      put(link, part);
      --open;
      for (int node : {links_[at(link)].p, links_[at(link)].q}) {
        open_[at(node)] =
            --open_links_[at(node)] == 0 ? -1 : open_[at(node)] - links_[at(link)].cost;
      }
    }
  }
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (part_of_[i] < 0) place_anywhere(static_cast<int>(i));
  }
  while (static_cast<int>(parts_.size()) < limits_.parts) new_part();
}

// A part that the link may move to, or its own: mostly one that has both nodes where there is one,
// else one that has one of them; now and then an empty one.
int Parts::other_part(int link) {
  const int from = part_of_[at(link)];
  const Link& l = links_[at(link)];
  if (!empty_.empty() && parts_[at(from)].links > 1 && draw(16) == 0) return empty_.back();
  const bool swap = draw(2) == 1;
  const auto& with = with_[at(swap ? l.q : l.p)];
  const int start = draw(with.size());
  const bool near = draw(4) != 0;
  if (near && l.p != l.q) {
    ++stamp_;
    for (int part : with_[at(swap ? l.p : l.q)]) stamps_[at(part)] = stamp_;
    for (std::size_t i = 0; i < with.size(); ++i) {
      const std::size_t k = at(start) + i;
      const int part = with[k < with.size() ? k : k - with.size()];
      if (part != from && stamps_[at(part)] == stamp_) return part;
    }
  }
  return with[at(start)];
}

void Parts::improve() {
  const double first = limits_.threshold * std::accumulate(nodes_.begin(), nodes_.end(), 0.0) /
                       static_cast<double>(nodes_.size());
  const auto round = static_cast<long long>(links_.size());
  for (long long move = 0; move < limits_.moves; ++move) {
    if (move % round == 0) set_target();
    const double threshold =
        first * (1 - static_cast<double>(move) / static_cast<double>(limits_.moves));
    const int link = draw(links_.size());
    const int from = part_of_[at(link)], to = other_part(link);
    if (from == to) continue;
    const double more = price(link, to), less = relief(link, from);
    const double change = weight(cost(to) + more) - weight(cost(to)) +
                          (weight(cost(from) - less) - weight(cost(from)));
    if (change < threshold) {
      take(link);
      put(link, to);
    }
  }
}

void Parts::start_from(const std::vector<int>& parts) {
  const int count = std::max(limits_.parts, *std::max_element(parts.begin(), parts.end()) + 1);
  std::vector<std::vector<int>> links(at(count));
  for (std::size_t i = 0; i < parts.size(); ++i) links[at(parts[i])].push_back(static_cast<int>(i));
  for (const auto& of : links) {
    const int part = new_part();
    for (int link : of) put(link, part);
  }
}

}  // namespace

std::vector<int> partition(const std::vector<double>& node_costs, const std::vector<Link>& links,
                           const PartitionLimits& limits) {
  Parts parts(node_costs, links, limits);
  parts.grow();
  parts.improve();
  return parts.result();
}

std::vector<int> improve(const std::vector<double>& node_costs, const std::vector<Link>& links,
                         const PartitionLimits& limits, const std::vector<int>& parts) {
  Parts start(node_costs, links, limits);
  start.start_from(parts);
  start.improve();
  return start.result();
}

}  // namespace ntk::kernel
