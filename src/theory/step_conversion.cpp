#include "theory/step_conversion.hpp"

#include <array>
#include <utility>

#include "base/error.hpp"

namespace ntk::theory {
namespace {

constexpr std::array loss_names{
    std::pair{"mean", Loss::mean}, std::pair{"sum_outputs", Loss::sum_outputs},
    std::pair{"half_mean", Loss::half_mean}, std::pair{"half_sum_outputs", Loss::half_sum_outputs},
    std::pair{"cross_entropy", Loss::cross_entropy}};
constexpr std::array optimiser_names{std::pair{"sgd", Optimiser::sgd},
                                     std::pair{"adam", Optimiser::adam}};
constexpr std::array schedule_names{std::pair{"constant", Schedule::constant},
                                    std::pair{"linear", Schedule::linear}};

template <class Names>
auto named(const Names& table, const std::string& name, const char* what) {
  for (const auto& [known, value] : table) {
    if (name == known) return value;
  }
  throw Error(ExitCode::usage,
              fmt::format("theory.{} = \"{}\" is not understood (it is none of the "
                          "names in the list) correct the job file",
                          what, name));
}

// a over lr.
double gain(Loss loss, double outputs) {
  switch (loss) {
    case Loss::mean:
      return 2;
    case Loss::sum_outputs:
      return 2 * outputs;
    case Loss::half_mean:
      return 1;
    case Loss::half_sum_outputs:
      return outputs;
    case Loss::cross_entropy:
      break;
  }
  return 0;
}

// eta of a step of a = 1, over the run.
double step_weight(const Training& training) {
  const auto why = conversion_obstacle(training);
  ensure(why.empty(), "a conversion of steps where {}", why);
  return (training.schedule == Schedule::linear ? 0.5 : 1.0) / (1 - training.momentum);
}

}  // namespace

std::string conversion_obstacle(const Training& training) {
  if (training.optimiser == Optimiser::adam) {
    return "Adam rescales the gradient of every parameter, so its steps follow another kernel";
  }
  if (training.loss == Loss::cross_entropy) {
    return "stopping times hold for the squared loss: the gradient of cross-entropy is not linear "
           "in the outputs";
  }
  if (!(training.momentum >= 0 && training.momentum < 1)) {
    return "the momentum is not in [0, 1), where heavy ball converges";
  }
  return "";
}

double step_size(const Training& training) {
  step_weight(training);  // refuses
  return gain(training.loss, training.outputs) * training.learning_rate;
}

double eta_of_steps(const Training& training, double steps) {
  return steps * step_size(training) * step_weight(training);
}

double steps_of_eta(const Training& training, double eta) {
  return eta / (step_size(training) * step_weight(training));
}

double steps_of_epochs(const Training& training, double epochs) {
  return training.batch > 0 ? epochs * training.samples / training.batch : epochs;
}

double epochs_of_steps(const Training& training, double steps) {
  return training.batch > 0 ? steps * training.batch / training.samples : steps;
}

double learning_rate_for(const Training& training, double eta, double epochs) {
  return eta / (steps_of_epochs(training, epochs) * gain(training.loss, training.outputs) *
                step_weight(training));
}

double largest_stable_step(const Training& training, double l_1) {
  step_weight(training);  // refuses
  return 2 * (1 + training.momentum) / l_1;
}

Loss loss_named(const std::string& name) {
  return named(loss_names, name, "loss");
}

Optimiser optimiser_named(const std::string& name) {
  return named(optimiser_names, name, "optimiser");
}

Schedule schedule_named(const std::string& name) {
  return named(schedule_names, name, "schedule");
}

}  // namespace ntk::theory
