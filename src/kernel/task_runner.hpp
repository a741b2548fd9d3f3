// Makes the tiles of one task (design, decision 3): forward over all panels, then segment by
// segment from the last to the first: record, factors, cotangents, contraction.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "jacobian/contraction.hpp"
#include "kernel/outputs.hpp"
#include "kernel/panels.hpp"
#include "kernel/schedule.hpp"
#include "model/model.hpp"

namespace ntk::kernel {

// Seconds by kind of work.
struct WorkTimes {
  double forward = 0, backward = 0;
  jacobian::Times jacobian;
};

// Segments [first, last) of a range; ranges split the segments that have selected parameters.
std::pair<int, int> segments_of(const model::Architecture& architecture, int ranges, int range);

template <class Real>
class TaskRunner {
 public:
  TaskRunner(device::Backend<Real>& backend, const model::Model<Real>& model,
             const jacobian::Settings& settings, const OutputMode& outputs, const Groups& groups,
             int ranges);

  // `done`: the share of the task's contraction that is behind it. May throw to drop the task.
  using Tick = std::function<void(double done)>;
  using Sink = std::function<void(const store::Unit&, const store::TileData&)>;

  // Makes the task's tiles and gives them to `sink` one by one, in the file's row order. With
  // `keep_records` every segment's record stays from the forward pass; else it is made again on
  // the way back, for less memory and the same bits. `tick` is called every few seconds or more
  // often. Error(numerical) when an output or an entry is not finite.
  void run(const Panels& panels, const Task& task, bool keep_records, WorkTimes& times,
           const Tick& tick, const Sink& sink);

 private:
  struct Slot;  // one panel in the task
  struct Tile;  // one tile being summed
  Slot start_panel(const Panels& panels, int panel, int first_needed, bool keep_records,
                   const jacobian::Pause& pause);
  void forward(Slot& slot, int first_needed, bool keep_records, const jacobian::Pause& pause);
  void backward(Slot& slot, int segment);
  void contract_segment(int segment, std::vector<Slot>& slots, std::vector<Tile>& tiles,
                        WorkTimes& times, const jacobian::Pause& pause);
  std::vector<double> in_file_order(const Panels& panels, const Slot& p, const Slot& q,
                                    const Tile& tile, device::HostCopy& part);
  void start_copies(Tile& tile);
  store::TileData finish(const Panels& panels, const Slot& p, const Slot& q, Tile& tile);
  std::vector<double> outputs_of(const Slot& slot, std::int64_t samples) const;

  device::Backend<Real>& backend_;
  const model::Model<Real>& model_;
  const jacobian::Settings& settings_;
  const OutputMode& outputs_;
  const Groups& groups_;
  int ranges_;
};

}  // namespace ntk::kernel
