#include "model/family.hpp"

#include "base/error.hpp"
#include "model/families/encoder.hpp"

namespace ntk::model {

Architecture make_architecture(const ModelConfig& config, const Checkpoint& checkpoint,
                               const Choices& choices) {
  ensure(families::is_encoder(config.model_type), "no family for {}", config.model_type);
  return families::encoder_architecture(config, checkpoint, choices);
}

template <class Real>
std::unique_ptr<Family<Real>> make_family(const ModelConfig& config, const Choices& choices,
                                          const Architecture& architecture) {
  ensure(families::is_encoder(config.model_type), "no family for {}", config.model_type);
  return families::make_encoder<Real>(config, choices, architecture);
}

template std::unique_ptr<Family<float>> make_family(const ModelConfig&, const Choices&,
                                                    const Architecture&);
template std::unique_ptr<Family<double>> make_family(const ModelConfig&, const Choices&,
                                                     const Architecture&);

}  // namespace ntk::model
