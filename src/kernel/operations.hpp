// Operations of a kernel, counted from shapes alone (a multiply-add counts 2).
#pragma once

#include "jacobian/cost.hpp"
#include "jacobian/settings.hpp"
#include "kernel/panels.hpp"
#include "model/family.hpp"

namespace ntk::kernel {

// Numbers that each segment's record holds a token, where pooled maps have `pooled_rows` rows for
// each.
std::vector<double> record_widths(const model::Architecture& architecture, double pooled_rows);

// Tokens of the longest panel: its largest record, in numbers of `real` bytes, takes no more than
// panel_record_bytes. So long texts and many outputs make smaller panels, by the job alone.
constexpr double panel_record_bytes(device::Kind kind) {
  return (kind == device::Kind::cuda ? 8.0 : 4.0) * (1 << 30);
}
std::int64_t longest_panel(const model::Architecture& architecture, int copies, device::Kind kind,
                           std::size_t real);

class Operations {
 public:
  Operations(const model::Architecture& architecture, const model::ModelConfig& config,
             const jacobian::Settings& settings, const Panels& panels);

  // Making a panel ready in a task: forward, backward for every output, forming; weighted by how
  // fast the operations run.
  double build(int panel) const;
  // The same in bare operations and at the most: with every record made again on the way back.
  double build_operations(int panel) const;
  // The least a panel costs once in a run: one forward and a backward an output.
  double once(int panel) const;
  // Contracting the tile of panels p and q by the cheapest method per site: bare operations.
  double contraction(int p, int q) const;
  // The same as the schedule sees it: weighted by how fast the operations run.
  double weighted_contraction(int p, int q) const;
  // Device bytes that a panel needs while it is in a task: numbers of `real` bytes, formed
  // gradients of `operand` bytes.
  double panel_bytes(int panel, std::size_t real, std::size_t operand) const;
  // Bytes more when the records of all segments are kept instead of made again on the way back.
  double kept_bytes(int panel, std::size_t real) const;

 private:
  double forward(const Panel& panel) const;
  double forming(const Panel& panel) const;  // for one output
  std::vector<double> record_widths(const Panel& panel) const;
  template <class F>
  double over_sites(int p, int q, F f) const;

  const model::Architecture& architecture_;
  const model::ModelConfig& config_;
  const jacobian::Settings& settings_;
  const Panels& panels_;
};

}  // namespace ntk::kernel
