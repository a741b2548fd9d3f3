#include "kernel/task_runner.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "device/timed.hpp"

namespace ntk::kernel {

using device::Array;
using model::Buffer;

std::pair<int, int> segments_of(const model::Architecture& architecture, int ranges, int range) {
  std::vector<int> with_work;  // ascending
  for (int s = 0; s < static_cast<int>(architecture.segments.size()); ++s) {
    const auto& all = architecture.parameters;
    if (std::any_of(all.begin(), all.end(),
                    [s](const auto& p) { return p.selected && p.segment == s; })) {
      with_work.push_back(s);
    }
  }
  const auto count = static_cast<int>(with_work.size());
  const int first = count * range / ranges, last = count * (range + 1) / ranges;
  if (first == last) return {0, 0};
  return {with_work[static_cast<std::size_t>(first)],
          with_work[static_cast<std::size_t>(last) - 1] + 1};
}

// One panel while its task runs.
template <class Real>
struct TaskRunner<Real>::Slot {
  int panel = 0;
  std::unique_ptr<model::Batch<Real>> batch;
  // What a segment starts from, and its record once it is made.
  struct State {
    model::LayoutPtr<Real> layout;
    std::int64_t width = 0;
    Buffer<Real> data;  // the input; empty when the previous segment's record has it
    const Real* input = nullptr;
    std::unique_ptr<model::Tape<Real>> tape;
    model::Value in = -1, out = -1;
  };
  std::vector<State> states;                // of each segment
  std::vector<Real> logits;                 // (samples, C)
  std::shared_ptr<Buffer<Real>> cotangent;  // of the current segment's output
  std::vector<model::Factor<Real>> factors;
};

template <class Real>
struct TaskRunner<Real>::Tile {
  jacobian::PairTile pair;
  std::int64_t rows = 0, columns = 0;      // internal
  std::vector<Array<double, Real>> parts;  // by group; the whole when none are kept apart
  std::vector<std::unique_ptr<device::HostCopy>> copies;  // of the finished parts
};

template <class Real>
TaskRunner<Real>::TaskRunner(device::Backend<Real>& backend, const model::Model<Real>& model,
                             const jacobian::Settings& settings, const OutputMode& outputs,
                             const Groups& groups, int ranges)
    : backend_(backend),
      model_(model),
      settings_(settings),
      outputs_(outputs),
      groups_(groups),
      ranges_(ranges) {}

template <class Real>
void TaskRunner<Real>::forward(Slot& slot, int first_needed, bool keep_records,
                               const jacobian::Pause& pause) {
  slot.states.resize(static_cast<std::size_t>(model_.segments()));
  for (int s = 0; s < model_.segments(); ++s) {
    auto& state = slot.states[static_cast<std::size_t>(s)];
    auto tape = std::make_unique<model::Tape<Real>>(model_.tape());
    state.in = s == 0 ? -1 : tape->input(state.layout, state.width, state.input);
    state.out = model_.forward(s, *tape, *slot.batch, state.in);
    const std::int64_t count = tape->rows(state.out) * tape->width(state.out);
    if (s + 1 == model_.segments()) {
      slot.logits.resize(static_cast<std::size_t>(count));
      backend_.download(slot.logits.data(), tape->data(state.out),
                        slot.logits.size() * sizeof(Real));
    } else {
      auto& next = slot.states[static_cast<std::size_t>(s) + 1];
      next.layout = tape->layout(state.out);
      next.width = tape->width(state.out);
      if (!keep_records) next.data = tape->take(state.out);
      next.input = keep_records ? tape->data(state.out) : next.data.data();
    }
    if (keep_records) state.tape = std::move(tape);
    if (s < first_needed) state.data.reset();
    pause();
  }
}

template <class Real>
void TaskRunner<Real>::backward(Slot& slot, int segment) {
  auto& state = slot.states[static_cast<std::size_t>(segment)];
  if (!state.tape) {
    state.tape = std::make_unique<model::Tape<Real>>(model_.tape());
    state.in = segment == 0 ? -1 : state.tape->input(state.layout, state.width, state.input);
    state.out = model_.forward(segment, *state.tape, *slot.batch, state.in);
  }
  model::Cotangents<Real> cotangents(*state.tape, outputs_.copies());
  cotangents.set(state.out, std::move(slot.cotangent));
  state.tape->backward(cotangents);
  slot.cotangent = segment == 0 ? nullptr : cotangents.of(state.in);
  slot.factors = std::move(cotangents.factors);
  for (const auto& f : slot.factors) {
    const auto& p = model_.architecture().parameters[static_cast<std::size_t>(f.parameter)];
    ensure(p.segment == segment, "parameter {} is used in several segments", p.name);
  }
}

template <class Real>
void TaskRunner<Real>::contract_segment(int segment, std::vector<Slot>& slots,
                                        std::vector<Tile>& tiles, WorkTimes& times,
                                        const jacobian::Pause& pause) {
  const auto& parameters = model_.architecture().parameters;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    if (!parameters[p].selected || parameters[p].segment != segment) continue;
    std::vector<const model::Factor<Real>*> factors;
    for (const auto& slot : slots) {
      const auto mine = [p](const auto& f) { return f.parameter == static_cast<int>(p); };
      const auto found = std::find_if(slot.factors.begin(), slot.factors.end(), mine);
      ensure(std::count_if(slot.factors.begin(), slot.factors.end(), mine) == 1,
             "parameter {} is used at several sites of a segment or at none", parameters[p].name);
      factors.push_back(&*found);
    }
    const auto part = static_cast<std::size_t>(std::max(0, groups_.of_parameter[p]));
    std::vector<jacobian::PairTile> pairs;
    for (auto& tile : tiles) {
      pairs.push_back(tile.pair);
      pairs.back().data = tile.parts[part].data();
    }
    jacobian::contract_parameter<Real>(backend_, settings_, factors, pairs, times.jacobian, pause);
  }
}

template <class Real>
std::vector<double> TaskRunner<Real>::in_file_order(const Panels& panels, const Slot& p,
                                                    const Slot& q, const Tile& tile,
                                                    device::HostCopy& part) {
  const std::int64_t sp = panels.at(p.panel).samples, sq = panels.at(q.panel).samples;
  const std::int64_t c = outputs_.rows_per_sample;
  const auto* data = static_cast<const double*>(part.data());
  std::vector<double> raw(data, data + tile.rows * tile.columns);
  if (tile.pair.symmetric) jacobian::symmetrise(tile.rows, raw.data());
  std::vector<double> out(raw.size());
  for (std::int64_t a = 0; a < c; ++a) {
    for (std::int64_t i = 0; i < sp; ++i) {
      const double* row = raw.data() + (a * sp + i) * tile.columns;
      double* to = out.data() + (i * c + a) * tile.columns;
      for (std::int64_t b = 0; b < c; ++b) {
        for (std::int64_t j = 0; j < sq; ++j) to[j * c + b] = outputs_.scale * row[b * sq + j];
      }
    }
  }
  require(std::all_of(out.begin(), out.end(), [](double x) { return std::isfinite(x); }),
          ExitCode::numerical,
          "a kernel entry of samples {}-{} x {}-{} is not finite (the gradients overflow in this "
          "precision) use kernel.precision = \"fp64\" or check the weights",
          panels.at(p.panel).first, panels.at(p.panel).first + sp - 1, panels.at(q.panel).first,
          panels.at(q.panel).first + sq - 1);
  return out;
}

template <class Real>
void TaskRunner<Real>::start_copies(Tile& tile) {
  for (const auto& part : tile.parts) {
    tile.copies.push_back(
        backend_.copy_out(part.data(), static_cast<std::size_t>(part.size()) * sizeof(double)));
  }
}

template <class Real>
store::TileData TaskRunner<Real>::finish(const Panels& panels, const Slot& p, const Slot& q,
                                         Tile& tile) {
  store::TileData data;
  for (std::size_t part = 0; part < tile.parts.size(); ++part) {
    std::vector<double> values = in_file_order(panels, p, q, tile, *tile.copies[part]);
    tile.copies[part].reset();
    tile.parts[part].reset();
    if (data.total.empty()) {
      data.total = values;
    } else {
      for (std::size_t e = 0; e < values.size(); ++e) data.total[e] += values[e];
    }
    if (data.groups.size() < groups_.names.size()) data.groups.push_back(std::move(values));
  }
  return data;
}

// f itself on the row panel; functionals of f (sum, difference) are stored as such.
template <class Real>
std::vector<double> TaskRunner<Real>::outputs_of(const Slot& slot, std::int64_t samples) const {
  const auto classes = static_cast<std::int64_t>(model_.architecture().outputs);
  std::vector<double> outputs;
  for (std::int64_t i = 0; i < samples; ++i) {
    for (std::int64_t k = 0; k < outputs_.output_columns; ++k) {
      double f = 0;
      for (std::int64_t c = 0; c < classes; ++c) {
        f += outputs_.cotangents[static_cast<std::size_t>(k)][static_cast<std::size_t>(c)] *
             static_cast<double>(slot.logits[static_cast<std::size_t>(i * classes + c)]);
      }
      outputs.push_back(f);
    }
  }
  return outputs;
}

template <class Real>
typename TaskRunner<Real>::Slot TaskRunner<Real>::start_panel(const Panels& panels, int panel,
                                                              int first_needed, bool keep_records,
                                                              const jacobian::Pause& pause) {
  Slot slot;
  slot.panel = panel;
  slot.batch = std::make_unique<model::Batch<Real>>(model_.batch(panels.tokens(panel)));
  forward(slot, first_needed, keep_records, pause);
  const Panel& at = panels.at(panel);
  require(
      std::all_of(slot.logits.begin(), slot.logits.end(), [](Real x) { return std::isfinite(x); }),
      ExitCode::numerical,
      "the model's output is not finite on samples {}-{} of {} (overflow in the forward pass) "
      "use kernel.precision = \"fp64\" or check the weights",
      at.first, at.first + at.samples - 1,
      at.set == 0 ? "the training set" : panels.sets()[static_cast<std::size_t>(at.set)].name);
  std::vector<Real> start;
  for (const auto& cotangent : outputs_.cotangents) {
    for (std::int64_t i = 0; i < at.samples; ++i)
      start.insert(start.end(), cotangent.begin(), cotangent.end());
  }
  slot.cotangent = std::make_shared<Buffer<Real>>(backend_, std::span<const Real>(start));
  return slot;
}

template <class Real>
void TaskRunner<Real>::run(const Panels& panels, const Task& task, bool keep_records,
                           WorkTimes& times, const Tick& tick, const Sink& sink) {
  const auto [first_segment, end_segment] = segments_of(model_.architecture(), ranges_, task.range);
  const auto slot_of = [&](int panel) {
    return static_cast<int>(std::lower_bound(task.panels.begin(), task.panels.end(), panel) -
                            task.panels.begin());
  };
  double done = 0;
  const auto pause = [&] { tick(done); };
  std::vector<Slot> slots;
  for (int panel : task.panels) {
    device::timed(backend_, times.forward, [&] {
      slots.push_back(start_panel(panels, panel, first_segment, keep_records, pause));
    });
  }
  std::vector<Tile> tiles;
  for (const auto& unit : task.units) {
    const auto [p, q] = panels.of_tile(unit.set, unit.tile);
    Tile& tile = tiles.emplace_back();
    tile.pair = {slot_of(p), slot_of(q), p == q, nullptr};
    tile.rows = settings_.tile_rows(panels.at(p).samples);
    tile.columns = settings_.tile_rows(panels.at(q).samples);
    for (std::size_t g = 0; g < std::max<std::size_t>(1, groups_.names.size()); ++g) {
      tile.parts.emplace_back(backend_, tile.rows * tile.columns);
      tile.parts.back().zero();
    }
  }

  for (int s = model_.segments() - 1; s >= first_segment && first_segment < end_segment; --s) {
    device::timed(backend_, times.backward, [&] {
      for (auto& slot : slots) {
        backward(slot, s);
        pause();
      }
    });
    if (s < end_segment) contract_segment(s, slots, tiles, times, pause);
    for (auto& slot : slots) {
      slot.factors.clear();
      slot.states[static_cast<std::size_t>(s)] = {};
    }
    if (s < end_segment) {
      done = static_cast<double>(end_segment - s) / (end_segment - first_segment);
    }
    pause();
  }

  start_copies(tiles.front());
  for (std::size_t t = 0; t < tiles.size(); ++t) {
    if (t + 1 < tiles.size()) start_copies(tiles[t + 1]);  // under way while this one is stored
    const Slot& p = slots[static_cast<std::size_t>(tiles[t].pair.p)];
    const Slot& q = slots[static_cast<std::size_t>(tiles[t].pair.q)];
    store::TileData data = finish(panels, p, q, tiles[t]);
    const auto& unit = task.units[t];
    if (store::carries_outputs(panels.grid(unit.set, 1), unit)) {
      data.outputs = outputs_of(p, panels.at(p.panel).samples);
    }
    sink(unit, data);
  }
}

template class TaskRunner<float>;
template class TaskRunner<double>;

}  // namespace ntk::kernel
