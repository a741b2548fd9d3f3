#include "kernel/outputs.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"

namespace ntk::kernel {

OutputMode make_output_mode(const std::string& outputs, std::int64_t classes) {
  const auto c = static_cast<std::size_t>(classes);
  OutputMode mode;
  if (outputs == "sum") {
    mode.cotangents = {std::vector<double>(c, 1.0 / std::sqrt(static_cast<double>(classes)))};
    return mode;
  }
  if (outputs == "difference") {
    require(classes == 2, ExitCode::usage,
            "kernel.outputs = \"difference\" with {} outputs (it is f_1 - f_0 of two) use "
            "\"logits\", \"mean_diagonal\" or \"sum\"",
            classes);
    mode.cotangents = {{-1.0, 1.0}};
    return mode;
  }
  for (std::size_t k = 0; k < c; ++k) {
    mode.cotangents.emplace_back(c, 0.0);
    mode.cotangents.back()[k] = 1.0;
  }
  mode.output_columns = classes;
  mode.class_diagonal = outputs == "mean_diagonal";
  mode.scale = mode.class_diagonal ? 1.0 / static_cast<double>(classes) : 1.0;
  mode.rows_per_sample = mode.class_diagonal ? 1 : classes;
  return mode;
}

Groups make_groups(const std::string& groups, const model::Architecture& architecture) {
  Groups made;
  for (const auto& p : architecture.parameters) {
    if (groups == "none" || !p.selected) {
      made.of_parameter.push_back(-1);
      continue;
    }
    const std::string name = groups == "split"   ? (p.layer == "head" ? "head" : "body")
                             : groups == "layer" ? p.layer
                                                 : p.part;
    const auto found = std::find(made.names.begin(), made.names.end(), name);
    made.of_parameter.push_back(static_cast<int>(found - made.names.begin()));
    if (found == made.names.end()) made.names.push_back(name);
  }
  return made;
}

}  // namespace ntk::kernel
