// Operations of a kernel, counted from shapes alone (a multiply-add counts 2).
#pragma once

#include "jacobian/cost.hpp"
#include "jacobian/settings.hpp"
#include "kernel/panels.hpp"
#include "model/family.hpp"

namespace ntk::kernel {

class Operations {
 public:
  Operations(const model::Architecture& architecture, const model::ModelConfig& config,
             const jacobian::Settings& settings, const Panels& panels);

  // Making a panel ready in a task: forward (and again where its records are not kept), backward
  // for every output, forming.
  double build(int panel) const;
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
  // Numbers that a segment's record holds a token, for every segment.
  std::vector<double> record_widths(const Panel& panel) const;
  template <class F>
  double over_sites(int p, int q, F f) const;

  const model::Architecture& architecture_;
  const model::ModelConfig& config_;
  const jacobian::Settings& settings_;
  const Panels& panels_;
};

}  // namespace ntk::kernel
