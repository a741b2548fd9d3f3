// Multinomial logistic regression with an L2 penalty on the weights: objective, derivatives, and
// their minimum by PETSc's TAO.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "finetune/examples.hpp"

namespace ntk::finetune {

// L(W, b) = (1/n) sum_i -log softmax(W x_i + b)[label_i] + (penalty/2) |W|^2, x unit
// features. The intercepts b are free; adding one number to all of them changes nothing.
// Parameters: W (classes, width) row-major, then b (classes).
class LogisticLoss {
 public:
  // Of examples with classes. Error(input) where all features are alike.
  explicit LogisticLoss(const Examples& examples);

  std::size_t parameters() const { return classes_ * (width_ + 1); }
  const UnitFeatures& features() const { return features_; }
  // L, and its gradient (parameters).
  double at(std::span<const double> x, double penalty, std::span<double> gradient);
  // The Hessian of L where `at` was last called, times a direction (Boyd and Vandenberghe, Convex
  // Optimization, 7.1.1, for several classes).
  void hessian_times(std::span<const double> direction, double penalty,
                     std::span<double> result) const;
  // W x + b.
  LinearMap map_of(std::span<const double> x) const;

 private:
  // W X^T + b on the rows, (rows, classes).
  void apply(std::span<const double> x, std::vector<double>& scores) const;
  // (1/n) of cotangents^T X and their column sums, and the penalty's part.
  void pull_back(const std::vector<double>& cotangents, std::span<const double> x, double penalty,
                 std::span<double> result) const;

  std::size_t rows_, width_, classes_;
  UnitFeatures features_;
  std::vector<std::int32_t> label_;
  std::vector<double> probability_;  // (rows, classes) where `at` was last called
};

struct LogisticFit {
  std::vector<double> x;     // parameters of the loss at its minimum
  double gradient_norm = 0;  // |gradient| there
  int iterations = 0;
};

// Newton's method within a trust region (TAONTR), its steps by conjugate gradients with products
// with the Hessian. One process; PETSc lives on MPI_COMM_SELF as long as the object.
class LogisticSolver {
 public:
  LogisticSolver();
  ~LogisticSolver();
  LogisticSolver(const LogisticSolver&) = delete;
  LogisticSolver& operator=(const LogisticSolver&) = delete;

  // From `start`, until |gradient| < 1e-9. Error(numerical) where that is not reached.
  LogisticFit minimise(LogisticLoss& loss, double penalty, std::vector<double> start);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ntk::finetune
