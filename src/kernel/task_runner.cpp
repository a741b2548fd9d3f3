#include "kernel/task_runner.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/stopwatch.hpp"

namespace ntk::kernel {

using device::Array;
using model::Buffer;

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
  std::int64_t rows = 0, columns = 0;  // internal
  Array<double, Real> total;
  std::vector<Array<double, Real>> kept;     // by group
  std::vector<Array<double, Real>> segment;  // by group of the current segment
};

namespace {

// Every group that has parameters in this segment, in order of first use; -1 = "not kept apart".
template <class Pred>
std::vector<int> segment_groups(const std::vector<model::ParameterInfo>& parameters,
                                const Groups& groups, Pred in_segment) {
  std::vector<int> found;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    if (!parameters[p].selected || !in_segment(parameters[p])) continue;
    const int g = groups.of_parameter[p];
    if (std::find(found.begin(), found.end(), g) == found.end()) found.push_back(g);
  }
  return found;
}

void add_to(std::int64_t count, const double* from, double* to) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
}

}  // namespace

template <class Real>
TaskRunner<Real>::TaskRunner(device::Backend<Real>& backend, const model::Model<Real>& model,
                             const jacobian::Settings& settings, const OutputMode& outputs,
                             const Groups& groups, int ranges)
    : backend_(backend),
      model_(model),
      settings_(settings),
      outputs_(outputs),
      groups_(groups),
      ranges_(ranges) {
  for (int s = 0; s < model.segments(); ++s) {
    const auto& all = model.architecture().parameters;
    if (std::any_of(all.begin(), all.end(),
                    [s](const auto& p) { return p.selected && p.segment == s; })) {
      work_segments_.push_back(s);
    }
  }
}

template <class Real>
std::pair<int, int> TaskRunner<Real>::segments_of(int range) const {
  const auto count = static_cast<int>(work_segments_.size());
  const int first = count * range / ranges_, last = count * (range + 1) / ranges_;
  if (first == last) return {0, 0};
  return {work_segments_[static_cast<std::size_t>(first)],
          work_segments_[static_cast<std::size_t>(last) - 1] + 1};
}

template <class Real>
void TaskRunner<Real>::forward(Slot& slot, int first_needed, bool keep_records) {
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
                                        std::vector<Tile>& tiles, WorkTimes& times) {
  const auto& parameters = model_.architecture().parameters;
  const auto groups = segment_groups(parameters, groups_,
                                     [segment](const auto& p) { return p.segment == segment; });
  for (auto& tile : tiles) {
    tile.segment.clear();
    for (std::size_t g = 0; g < groups.size(); ++g) {
      tile.segment.emplace_back(backend_, tile.rows * tile.columns);
      tile.segment.back().zero();
    }
  }
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
    const auto g = static_cast<std::size_t>(
        std::find(groups.begin(), groups.end(), groups_.of_parameter[p]) - groups.begin());
    std::vector<jacobian::PairTile> pairs;
    for (auto& tile : tiles) {
      pairs.push_back(tile.pair);
      pairs.back().data = tile.segment[g].data();
    }
    jacobian::contract_parameter<Real>(backend_, settings_, factors, pairs, times.jacobian);
  }
  for (auto& tile : tiles) {
    const std::int64_t count = tile.rows * tile.columns;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      add_to(count, tile.segment[g].data(), tile.total.data());
      if (groups[g] >= 0) {
        add_to(count, tile.segment[g].data(),
               tile.kept[static_cast<std::size_t>(groups[g])].data());
      }
    }
    tile.segment.clear();
  }
}

template <class Real>
store::TileData TaskRunner<Real>::finish(const Panels& panels, const Slot& p, const Slot& q,
                                         const Tile& tile) {
  const std::int64_t sp = panels.at(p.panel).samples, sq = panels.at(q.panel).samples;
  const std::int64_t c = outputs_.rows_per_sample;
  const auto to_file_order = [&](const Array<double, Real>& from) {
    std::vector<double> raw(static_cast<std::size_t>(from.size()));
    backend_.download(raw.data(), from.data(), raw.size() * sizeof(double));
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
  };
  store::TileData data;
  data.total = to_file_order(tile.total);
  for (const auto& kept : tile.kept) data.groups.push_back(to_file_order(kept));
  return data;
}

template <class Real>
std::vector<store::TileData> TaskRunner<Real>::run(const Panels& panels, const Task& task,
                                                   bool keep_records, WorkTimes& times,
                                                   const std::function<void()>& tick) {
  const auto [first_segment, end_segment] = segments_of(task.range);
  const int classes = static_cast<int>(model_.architecture().outputs);
  std::vector<Slot> slots(task.panels.size());
  for (std::size_t s = 0; s < slots.size(); ++s) {
    Stopwatch watch(times.forward);
    Slot& slot = slots[s];
    slot.panel = task.panels[s];
    slot.batch = std::make_unique<model::Batch<Real>>(model_.batch(panels.tokens(slot.panel)));
    forward(slot, first_segment, keep_records);
    require(std::all_of(slot.logits.begin(), slot.logits.end(),
                        [](Real x) { return std::isfinite(x); }),
            ExitCode::numerical,
            "the model's output is not finite on samples {}-{} of {} (overflow in the forward "
            "pass) use kernel.precision = \"fp64\" or check the weights",
            panels.at(slot.panel).first,
            panels.at(slot.panel).first + panels.at(slot.panel).samples - 1,
            panels.at(slot.panel).set == 0
                ? "the training set"
                : panels.sets()[static_cast<std::size_t>(panels.at(slot.panel).set)].name);
    const std::int64_t samples = panels.at(slot.panel).samples;
    std::vector<Real> start;
    for (const auto& cotangent : outputs_.cotangents) {
      for (std::int64_t i = 0; i < samples; ++i)
        start.insert(start.end(), cotangent.begin(), cotangent.end());
    }
    slot.cotangent = std::make_shared<Buffer<Real>>(backend_, std::span<const Real>(start));
    tick();
  }

  std::vector<Tile> tiles;
  for (const auto& unit : task.units) {
    const auto [p, q] = panels.of_tile(unit.set, unit.tile);
    const auto slot_of = [&](int panel) {
      return static_cast<int>(std::lower_bound(task.panels.begin(), task.panels.end(), panel) -
                              task.panels.begin());
    };
    Tile& tile = tiles.emplace_back();
    tile.pair = {slot_of(p), slot_of(q), p == q, nullptr};
    tile.rows = settings_.tile_rows(panels.at(p).samples);
    tile.columns = settings_.tile_rows(panels.at(q).samples);
    const auto zeros = [&] {
      Array<double, Real> a(backend_, tile.rows * tile.columns);
      a.zero();
      return a;
    };
    tile.total = zeros();
    for (std::size_t g = 0; g < groups_.names.size(); ++g) tile.kept.push_back(zeros());
  }

  for (int s = model_.segments() - 1; s >= first_segment && first_segment < end_segment; --s) {
    for (auto& slot : slots) {
      Stopwatch watch(times.backward);
      backward(slot, s);
    }
    if (s < end_segment) contract_segment(s, slots, tiles, times);
    for (auto& slot : slots) {
      slot.factors.clear();
      slot.states[static_cast<std::size_t>(s)] = {};
    }
    tick();
  }

  std::vector<store::TileData> done;
  for (std::size_t t = 0; t < tiles.size(); ++t) {
    const Slot& p = slots[static_cast<std::size_t>(tiles[t].pair.p)];
    const Slot& q = slots[static_cast<std::size_t>(tiles[t].pair.q)];
    done.push_back(finish(panels, p, q, tiles[t]));
    const auto& unit = task.units[t];
    if (!store::carries_outputs(panels.grid(unit.set, 1), unit)) continue;
    // Functionals of f (sum, difference) are stored as such; otherwise f itself.
    for (std::int64_t i = 0; i < panels.at(p.panel).samples; ++i) {
      for (std::int64_t k = 0; k < outputs_.output_columns; ++k) {
        double f = 0;
        for (int c = 0; c < classes; ++c) {
          f += outputs_.cotangents[static_cast<std::size_t>(k)][static_cast<std::size_t>(c)] *
               static_cast<double>(p.logits[static_cast<std::size_t>(i * classes + c)]);
        }
        done.back().outputs.push_back(f);
      }
    }
  }
  return done;
}

template class TaskRunner<float>;
template class TaskRunner<double>;

}  // namespace ntk::kernel
