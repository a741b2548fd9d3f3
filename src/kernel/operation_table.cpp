#include "kernel/operation_table.hpp"

#include <algorithm>
#include <set>

#include "kernel/task_runner.hpp"

namespace ntk::kernel {
namespace {

// Passes through one segment of one panel.
struct SegmentWork {
  double linear = 0;                         // products, once forward
  double attention = 0, attention_back = 0;  // the latter over all outputs
};

class Counter {
 public:
  Counter(const KernelInputs& inputs, int ranges)
      : inputs_(inputs), settings_(inputs.settings), ranges_(ranges) {
    for (int p = 0; p < static_cast<int>(inputs.panels.all().size()); ++p)
      passes_.push_back(passes(p));
  }

  void add(const Task& task, bool keeps, OperationTable& table) const {
    const auto [first, end] = segments_of(inputs_.model.architecture, ranges_, task.range);
    for (int p : task.panels) {
      const auto& segments = passes_[static_cast<std::size_t>(p)];
      for (int s = 0; s < static_cast<int>(segments.size()); ++s) {
        const SegmentWork& work = segments[static_cast<std::size_t>(s)];
        const double forward = work.linear + work.attention;
        table.forward += forward;
        if (s < first || first == end) continue;
        if (!keeps) table.recompute += forward;
        table.backward += settings_.copies * work.linear + work.attention_back;
      }
    }
    for (std::size_t i = 0; i < inputs_.model.architecture.parameters.size(); ++i) {
      const auto& p = inputs_.model.architecture.parameters[i];
      if (p.selected && p.segment >= first && p.segment < end)
        contract(static_cast<int>(i), task, table);
    }
  }

 private:
  // Passes through each segment of a panel.
  std::vector<SegmentWork> passes(int panel) const {
    const auto& model = inputs_.model;
    const Panel& at = inputs_.panels.at(panel);
    std::vector<SegmentWork> work(model.architecture.segments.size());
    std::vector<char> one_row(work.size(), 0);  // queries of one token a sample
    for (const auto& p : model.architecture.parameters) {
      if (!p.is_linear()) continue;
      const auto s = static_cast<std::size_t>(p.segment);
      if (p.pooled) one_row[s] = 1;
      work[s].linear += 2.0 * static_cast<double>(rows(p, at)) * static_cast<double>(p.count());
    }
    const auto& offsets = inputs_.panels.sets()[static_cast<std::size_t>(at.set)].tokens.offsets;
    double squares = 0;
    for (std::int64_t i = at.first; i < at.first + at.samples; ++i) {
      const auto length = static_cast<double>(offsets[static_cast<std::size_t>(i) + 1] -
                                              offsets[static_cast<std::size_t>(i)]);
      squares += length * length;
    }
    const auto width = static_cast<double>(model.config.hidden_size);
    for (std::int64_t layer = 1; layer <= model.config.num_hidden_layers; ++layer) {
      auto& of = work[static_cast<std::size_t>(layer)];
      const double pairs =
          one_row[static_cast<std::size_t>(layer)] ? static_cast<double>(at.tokens) : squares;
      // Scores and mixing; backward the scores again, and for each output four maps.
      of.attention = 4.0 * pairs * width;
      of.attention_back = (2.0 + 8.0 * settings_.copies) * pairs * width;
    }
    return work;
  }

  static std::int64_t rows(const model::ParameterInfo& p, const Panel& panel) {
    return p.pooled ? panel.samples : panel.tokens;
  }

  void contract(int parameter, const Task& task, OperationTable& table) const {
    const auto& p = inputs_.model.architecture.parameters[static_cast<std::size_t>(parameter)];
    std::set<int> formed;
    for (const auto& unit : task.units) {
      const auto [row, column] = inputs_.panels.of_tile(unit.set, unit.tile);
      const Panel &a = inputs_.panels.at(row), &b = inputs_.panels.at(column);
      const bool linear = p.is_linear();
      const jacobian::SitePair site{linear ? p.shape[1] : 1,
                                    linear ? p.shape[0] : p.shape.back(),
                                    rows(p, a),
                                    rows(p, b),
                                    a.samples,
                                    b.samples,
                                    settings_.copies,
                                    settings_.class_diagonal,
                                    row == column};
      if (!linear) {
        (p.is_table ? table.lookups : table.vectors) += jacobian::explicit_operations(site);
      } else if (settings_.method(parameter, site) == jacobian::Method::structured) {
        table.structured += jacobian::structured_operations(site);
      } else {
        table.explicit_ += jacobian::explicit_operations(site);
        formed.insert({row, column});
      }
    }
    for (int panel : formed) {
      table.forming += 2.0 * settings_.copies *
                       static_cast<double>(rows(p, inputs_.panels.at(panel))) *
                       static_cast<double>(p.count());
    }
  }

  const KernelInputs& inputs_;
  const jacobian::Settings& settings_;
  int ranges_;
  std::vector<std::vector<SegmentWork>> passes_;  // [panel][segment]
};

}  // namespace

double useful_contraction(const Panels& panels, const Operations& operations,
                          const std::vector<store::Unit>& units, int ranges) {
  double sum = 0;
  for (const auto& unit : units) {
    const auto [p, q] = panels.of_tile(unit.set, unit.tile);
    sum += operations.contraction(p, q) / ranges;
  }
  return sum;
}

double least_passes(const std::vector<Task>& tasks, const Operations& operations) {
  std::set<int> touched;
  for (const auto& task : tasks) touched.insert(task.panels.begin(), task.panels.end());
  double sum = 0;
  for (int p : touched) sum += operations.once(p);
  return sum;
}

OperationTable count_operations(const KernelInputs& inputs, int ranges,
                                const std::vector<Task>& tasks,
                                const std::function<bool(const Task&)>& keeps) {
  const Counter counter(inputs, ranges);
  OperationTable table;
  for (const Task& task : tasks) counter.add(task, keeps(task), table);
  return table;
}

}  // namespace ntk::kernel
