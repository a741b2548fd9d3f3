#include "finetune/features.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"

namespace ntk::finetune {
namespace {

// A layer's record then takes some 0.1 GiB at 768 hidden units.
constexpr std::int64_t batch_tokens = 2048;

model::TokenBatch part(const model::TokenBatch& all, std::int64_t first, std::int64_t last) {
  const auto begin = all.offsets[static_cast<std::size_t>(first)];
  const auto end = all.offsets[static_cast<std::size_t>(last)];
  model::TokenBatch samples;
  samples.tokens.assign(all.tokens.begin() + begin, all.tokens.begin() + end);
  samples.types.assign(all.types.begin() + begin, all.types.begin() + end);
  for (auto s = first; s < last; ++s) {
    samples.offsets.push_back(all.offsets[static_cast<std::size_t>(s) + 1] - begin);
  }
  return samples;
}

}  // namespace

std::vector<std::int64_t> feature_batches(std::span<const std::int64_t> offsets) {
  std::vector<std::int64_t> starts{0};
  const auto count = static_cast<std::int64_t>(offsets.size()) - 1;
  for (std::int64_t s = 0; s < count; ++s) {
    const auto begin = offsets[static_cast<std::size_t>(starts.back())];
    const bool full = offsets[static_cast<std::size_t>(s) + 1] - begin > batch_tokens;
    if (full && s > starts.back()) starts.push_back(s);
  }
  if (count > 0) starts.push_back(count);
  return starts;
}

std::vector<double> pooled_features(device::Backend<float>& backend,
                                    const model::Model<float>& model,
                                    const model::TokenBatch& samples, std::int64_t first,
                                    std::int64_t last) {
  const auto batch = model.batch(part(samples, first, last));
  // A segment's record goes as soon as the next one has its output.
  model::LayoutPtr<float> layout;
  model::Buffer<float> output;
  std::int64_t width = 0;
  for (int s = 0; s + 1 < model.segments(); ++s) {
    auto tape = model.tape();
    const auto in = s == 0 ? -1 : tape.input(layout, width, output.data());
    const auto out = model.forward(s, tape, batch, in);
    layout = tape.layout(out);
    width = tape.width(out);
    output = tape.take(out);
  }
  auto tape = model.tape();
  const auto features = model.features(tape, batch, tape.input(layout, width, output.data()));
  ensure(tape.rows(features) == last - first, "{} features of {} samples", tape.rows(features),
         last - first);
  const auto count = static_cast<std::size_t>(tape.rows(features) * tape.width(features));
  std::vector<float> host(count);
  backend.download(host.data(), tape.data(features), count * sizeof(float));
  require(
      std::all_of(host.begin(), host.end(), [](float x) { return std::isfinite(x); }),
      ExitCode::numerical,
      "the model's features are not finite on the samples a probe is fitted on (overflow in the "
      "forward pass) check the weights");
  return {host.begin(), host.end()};
}

}  // namespace ntk::finetune
