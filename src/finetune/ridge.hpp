// Ridge regression with an intercept, in closed form for any penalty from one eigendecomposition.
#pragma once

#include <vector>

#include "finetune/examples.hpp"

namespace ntk::finetune {

// Minimises (1/2n) sum (y_i - w.x_i - b)^2 + (penalty/2) |w|^2 over w and b, x unit features
// (Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 3.4.1).
class RidgePath {
 public:
  // Of examples with targets. Error(input) where all features are alike.
  explicit RidgePath(const Examples& examples);

  // On unit features.
  LinearMap at(double penalty) const;
  // |gradient| of the objective with respect to (w, b) there.
  double gradient_norm(const LinearMap& map, double penalty) const;
  const UnitFeatures& features() const { return features_; }

 private:
  std::size_t rows_, width_;
  UnitFeatures features_;
  std::vector<double> target_;  // minus its mean
  double target_mean_ = 0;
  std::vector<double> values_, vectors_;  // of the features' covariance; one vector a row
  std::vector<double> projected_;         // covariance with the target, along the vectors
};

}  // namespace ntk::finetune
