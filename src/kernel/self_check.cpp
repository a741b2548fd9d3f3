#include "kernel/self_check.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "data/draw.hpp"
#include "kernel/task_runner.hpp"

namespace ntk::kernel {

double unit_roundoff(const std::string& precision) {
  return precision == "fp64" ? 0x1.0p-53 : 0x1.0p-24;
}

std::vector<std::int64_t> check_samples(const KernelInputs& inputs, std::int64_t seed) {
  const std::int64_t wanted = std::max<std::int64_t>(1, 64 / inputs.outputs.copies());
  auto drawn = data::draw_samples(inputs.panels.sets()[0].samples(), wanted, seed + 1);
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

std::vector<double> recompute(const KernelInputs& inputs, const std::vector<std::int64_t>& samples,
                              int threads) {
  const auto& from = inputs.panels.sets()[0].tokens;
  SampleSet set;
  for (auto i : samples) {
    const auto first = from.offsets[static_cast<std::size_t>(i)];
    const auto last = from.offsets[static_cast<std::size_t>(i) + 1];
    auto& t = set.tokens;
    t.tokens.insert(t.tokens.end(), from.tokens.begin() + first, from.tokens.begin() + last);
    t.types.insert(t.types.end(), from.types.begin() + first, from.types.begin() + last);
    t.offsets.push_back(static_cast<std::int64_t>(t.tokens.size()));
  }
  const auto count = static_cast<std::int64_t>(samples.size());
  std::vector<SampleSet> sets;
  sets.push_back(std::move(set));
  const Panels panels(std::move(sets), {{0, count}});
  auto backend = device::make_cpu_backend<double>(threads, 0);
  const model::Model<double> model(*backend, inputs.model);
  const Groups whole{{}, std::vector<int>(inputs.model.architecture.parameters.size(), -1)};
  TaskRunner<double> runner(*backend, model, inputs.settings, inputs.outputs, whole, 1);
  WorkTimes times;
  return runner.run(panels, {{{0, 0, 0}}, {0}, 0, 0}, true, times, [] {}).front().total;
}

store::MeasuredError measure_error(const std::vector<std::int64_t>& samples,
                                   const std::vector<double>& stored,
                                   const std::vector<double>& exact, double roundoff) {
  ensure(stored.size() == exact.size() && !exact.empty(), "self-check of {} against {} entries",
         stored.size(), exact.size());
  store::MeasuredError e;
  e.samples = samples;
  double deviations = 0, squares = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double d = std::abs(stored[i] - exact[i]);
    deviations += d * d;
    squares += exact[i] * exact[i];
    e.largest = std::max(e.largest, d);
  }
  const auto count = static_cast<double>(exact.size());
  e.rms = std::sqrt(squares / count);
  e.delta = std::max(std::sqrt(deviations / count), roundoff * e.rms);
  return e;
}

}  // namespace ntk::kernel
