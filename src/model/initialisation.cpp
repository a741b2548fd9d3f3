#include "model/initialisation.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/sha256.hpp"
#include "model/normal.hpp"

namespace ntk::model {
namespace {

std::uint64_t seed_of(const ParameterInfo& parameter, std::int64_t seed) {
  return std::stoull(sha256_text(fmt::format("{} {}", seed, parameter.name)).substr(0, 16), nullptr,
                     16);
}

}  // namespace

void mark_drawn(Architecture& architecture, const std::string& initialisation,
                std::int64_t layers) {
  const auto is_layer = [](const std::string& segment) { return segment.starts_with("layer."); };
  const auto& segments = architecture.segments;
  const std::int64_t all = std::count_if(segments.begin(), segments.end(), is_layer);
  require(initialisation != "mixed" || (layers >= 1 && layers <= all), ExitCode::usage,
          "model.reinitialised_layers = {} with model.initialisation = \"mixed\" ({}) give 1 to {}",
          layers, layers < 1 ? "nothing would be drawn anew" : "the model has fewer layers", all);
  const auto first_layer = std::find_if(segments.begin(), segments.end(), is_layer);
  const auto first_drawn = first_layer - segments.begin() + all - layers;
  for (auto& p : architecture.parameters) {
    const bool last = is_layer(p.layer) && p.segment >= first_drawn;
    p.drawn =
        p.layer != "head" && (initialisation == "random" || (initialisation == "mixed" && last));
  }
}

std::vector<float> drawn_values(const ParameterInfo& parameter, double std, std::int64_t seed) {
  using Fresh = ParameterInfo::Fresh;
  const auto count = static_cast<std::size_t>(parameter.count());
  if (parameter.fresh != Fresh::normal) {
    return std::vector<float>(count, parameter.fresh == Fresh::ones ? 1.0f : 0.0f);
  }
  std::vector<float> values(count);
  Normal normal(seed_of(parameter, seed));
  for (auto& v : values) v = static_cast<float>(std * normal());
  if (parameter.padding_row >= 0) {
    const auto row = values.begin() + parameter.padding_row * parameter.shape[1];
    std::fill(row, row + parameter.shape[1], 0.0f);
  }
  return values;
}

}  // namespace ntk::model
