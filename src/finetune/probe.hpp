// A linear probe: the head that fits labels best on the features of an unchanged body, its penalty
// chosen by cross-validation over whole groups.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "finetune/examples.hpp"

namespace ntk::finetune {

inline constexpr int probe_folds = 5;

// Penalties that are tried, of weights on unit features: 10 to 1e-6 in half powers of ten, falling.
std::vector<double> probe_penalties();

// The fold of each row, 0 to (number of folds - 1): whole groups in seeded random order, those with
// rare classes first, dealt out one by one; so that a class that has two groups is in two folds.
// `class_names` for messages. Throws Error(input) for fewer than two groups or classes, a class
// without rows, or one that has rows in a single fold alone: what is then left to train on would
// lack it.
std::vector<int> probe_fold_of(const Examples& examples,
                               const std::vector<std::string>& class_names, std::int64_t seed);

struct ProbeFit {
  LinearMap map;
  double scale = 0;               // mean squared distance of the features from their mean
  std::vector<double> penalties;  // probe_penalties()
  std::vector<double> scores;     // mean loss of the rows left out, for each penalty
  std::vector<std::vector<double>> fold_scores;  // [penalty][fold]: mean loss of the fold's rows
  std::vector<double> errors;                    // standard error of that, over folds
  std::size_t chosen = 0;    // of the penalties: least score, the largest of equal ones
  double gradient_norm = 0;  // of the objective at the map
  double train_loss = 0;     // without penalty
  bool at_edge() const { return chosen == 0 || chosen + 1 == penalties.size(); }
};

// The loss is the squared error for targets and -log of the class's probability for classes; the
// objectives stand in ridge.hpp and logistic.hpp. `fold_of` as probe_fold_of gives it. `pause` is
// called between fits. Serial; the same bits for the same examples on one BLAS thread. Throws
// Error(input) where all features are alike, Error(numerical) where no minimum is found.
ProbeFit fit_probe(const Examples& examples, const std::vector<int>& fold_of,
                   const std::function<void()>& pause);

}  // namespace ntk::finetune
