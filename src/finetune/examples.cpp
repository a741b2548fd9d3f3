#include "finetune/examples.hpp"

#include <cblas.h>

#include <cmath>

#include "base/error.hpp"

namespace ntk::finetune {

Examples pick(const Examples& from, std::span<const std::size_t> rows) {
  Examples to;
  to.rows = rows.size();
  to.width = from.width;
  to.classes = from.classes;
  const auto copy = [&](const auto& values, auto& out, std::size_t width) {
    if (values.empty()) return;
    for (const auto row : rows) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row * width);
      out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(width));
    }
  };
  copy(from.features, to.features, from.width);
  copy(from.target, to.target, 1);
  copy(from.label, to.label, 1);
  copy(from.group, to.group, 1);
  return to;
}

std::vector<double> outputs_of(const LinearMap& map, std::span<const double> features,
                               std::size_t rows) {
  const std::size_t outputs = map.bias.size(), width = map.weight.size() / outputs;
  ensure(features.size() == rows * width, "{} features of {} rows", features.size(), rows);
  std::vector<double> values;
  values.reserve(rows * outputs);
  for (std::size_t i = 0; i < rows; ++i) {
    values.insert(values.end(), map.bias.begin(), map.bias.end());
  }
  if (rows == 0) return values;
  const auto m = static_cast<int>(rows), n = static_cast<int>(outputs), k = static_cast<int>(width);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.0, features.data(), k,
              map.weight.data(), k, 1.0, values.data(), n);
  return values;
}

UnitFeatures unit_features(const Examples& examples) {
  const std::size_t width = examples.width;
  const auto rows = static_cast<double>(examples.rows);
  UnitFeatures c{examples.features, std::vector<double>(width, 0.0), 0};
  for (std::size_t i = 0; i < c.values.size(); ++i) c.mean[i % width] += c.values[i] / rows;
  double size = 0;
  for (std::size_t i = 0; i < c.values.size(); ++i) {
    size += c.values[i] * c.values[i] / rows;
    c.values[i] -= c.mean[i % width];
    c.scale += c.values[i] * c.values[i] / rows;
  }
  require(
      c.scale > 1e-24 * size, ExitCode::input,
      "the features of all {} rows are the same (a linear probe has nothing to go by) check the "
      "model and the data",
      examples.rows);
  for (double& x : c.values) x /= std::sqrt(c.scale);
  return c;
}

LinearMap UnitFeatures::on_features(LinearMap map) const {
  for (std::size_t i = 0; i < map.weight.size(); ++i) {
    map.weight[i] /= std::sqrt(scale);
    map.bias[i / mean.size()] -= map.weight[i] * mean[i % mean.size()];
  }
  return map;
}

}  // namespace ntk::finetune
