#include "model/head.hpp"

#include "base/error.hpp"
#include "model/normal.hpp"

namespace ntk::model {

Head random_head(std::int64_t outputs, std::int64_t hidden, double std, std::int64_t seed) {
  Head head{outputs, {}, std::vector<float>(static_cast<std::size_t>(outputs), 0.0f)};
  Normal normal(static_cast<std::uint64_t>(seed));
  head.weight.resize(static_cast<std::size_t>(outputs * hidden));
  for (auto& w : head.weight) w = static_cast<float>(std * normal());
  return head;
}

Head read_head(const std::string& path, std::int64_t hidden) {
  const SafetensorsFile file(path);
  const auto& weight = file.shape("weight");
  const auto& bias = file.shape("bias");
  require(weight.size() == 2 && weight[0] >= 1 && weight[1] == hidden && bias.size() == 1 &&
              bias[0] == weight[0],
          ExitCode::input,
          "head {} has weight [{}] and bias [{}] (this model needs weight [C, {}] and bias [C]) "
          "give a head made for this model",
          path, fmt::join(weight, ", "), fmt::join(bias, ", "), hidden);
  const auto record = file.metadata().find("probe");
  return {weight[0], file.read<float>("weight"), file.read<float>("bias"),
          record == file.metadata().end() ? "" : record->second};
}

void write_head(const std::string& path, const Head& head, std::int64_t hidden) {
  std::map<std::string, std::string> metadata;
  if (!head.record.empty()) metadata["probe"] = head.record;
  write_safetensors(
      path,
      {{"weight", {{head.outputs, hidden}, head.weight}}, {"bias", {{head.outputs}, head.bias}}},
      metadata);
}

}  // namespace ntk::model
