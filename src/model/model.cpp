#include "model/model.hpp"

#include <algorithm>
#include <type_traits>

#include "base/error.hpp"
#include "base/glob.hpp"
#include "model/initialisation.hpp"

namespace ntk::model {

void select_parameters(Architecture& architecture, const std::vector<std::string>& include,
                       const std::vector<std::string>& exclude, bool preset) {
  const auto matches = [&](const std::string& pattern) {
    return std::any_of(architecture.parameters.begin(), architecture.parameters.end(),
                       [&](const auto& p) { return glob_match(pattern, p.name); });
  };
  for (const auto* list : {&include, &exclude}) {
    for (const auto& pattern : *list) {
      require(preset || matches(pattern), ExitCode::usage,
              "pattern \"{}\" in model.parameters matches no tensor (names look like {} or {}) "
              "correct the pattern",
              pattern, architecture.parameters.front().name,
              architecture.parameters[architecture.parameters.size() / 2].name);
    }
  }
  const auto any = [](const std::vector<std::string>& patterns, const std::string& name) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const auto& pattern) { return glob_match(pattern, name); });
  };
  bool some = false;
  for (auto& p : architecture.parameters) {
    p.selected = any(include, p.name) && !any(exclude, p.name);
    some = some || p.selected;
  }
  require(some, ExitCode::usage,
          "model.parameters selects nothing (every tensor that \"include\" names is excluded) "
          "loosen \"exclude\"");
}

template <class Real>
Model<Real>::Model(device::Backend<Real>& backend, const ModelDescription& description,
                   Contents contents)
    : backend_(backend),
      description_(description),
      family_(
          make_family<Real>(description.config, description.choices, description.architecture)) {
  const auto adopt = [&](std::span<const Real> host) {
    owned_.emplace_back(backend_, host);
    return owned_.back().data();
  };
  const auto load = [&](const ParameterInfo& p) -> const Real* {
    if (p.source.empty()) {
      const auto& values = p.shape.size() == 2 ? description.head.weight : description.head.bias;
      const std::vector<Real> converted(values.begin(), values.end());
      return adopt(converted);
    }
    if (p.drawn) {
      const auto values =
          drawn_values(p, description.config.initializer_range, description.initialisation_seed);
      return adopt(std::vector<Real>(values.begin(), values.end()));
    }
    if constexpr (std::is_same_v<Real, float>) {
      if (description.checkpoint->viewable_f32(p.source)) {
        const auto mapped = description.checkpoint->view_f32(p.source);
        return backend_.uses_host_memory() ? mapped.data() : adopt(mapped);
      }
    }
    return adopt(description.checkpoint->template read<Real>(p.source));
  };
  const auto make_room = [&](const ParameterInfo& p) -> const Real* {
    const bool in_place = std::is_same_v<Real, float> && backend_.uses_host_memory() &&
                          p.from_checkpoint() && description.checkpoint->viewable_f32(p.source);
    if (in_place) return nullptr;
    owned_.emplace_back(backend_, p.count());
    return owned_.back().data();
  };
  for (const auto& p : architecture().parameters) {
    weights_.data.push_back(contents == Contents::loaded ? load(p) : make_room(p));
    weights_.selected.push_back(p.selected ? 1 : 0);
  }
}

template class Model<float>;
template class Model<double>;

}  // namespace ntk::model
