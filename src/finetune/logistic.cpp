#include "finetune/logistic.hpp"

#include <cblas.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"

namespace ntk::finetune {

LogisticLoss::LogisticLoss(const Examples& examples)
    : rows_(examples.rows),
      width_(examples.width),
      classes_(static_cast<std::size_t>(examples.classes)),
      features_(unit_features(examples)),
      label_(examples.label),
      probability_(rows_ * classes_) {
  ensure(label_.size() == rows_ && classes_ > 0, "{} labels of {} rows", label_.size(), rows_);
}

void LogisticLoss::apply(std::span<const double> x, std::vector<double>& scores) const {
  scores = outputs_of(map_of(x), features_.values, rows_);
}

void LogisticLoss::pull_back(const std::vector<double>& cotangents, std::span<const double> x,
                             double penalty, std::span<double> result) const {
  const std::size_t weights = classes_ * width_;
  const auto c = static_cast<int>(classes_), d = static_cast<int>(width_),
             n = static_cast<int>(rows_);
  std::copy_n(x.begin(), weights, result.begin());
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, c, d, n, 1.0 / n, cotangents.data(), c,
              features_.values.data(), d, penalty, result.data(), d);
  std::fill(result.begin() + static_cast<std::ptrdiff_t>(weights), result.end(), 0.0);
  for (std::size_t i = 0; i < cotangents.size(); ++i) {
    result[weights + i % classes_] += cotangents[i] / n;
  }
}

double LogisticLoss::at(std::span<const double> x, double penalty, std::span<double> gradient) {
  apply(x, probability_);
  double loss = 0;
  for (std::size_t i = 0; i < rows_; ++i) {
    double* p = probability_.data() + i * classes_;
    const double top = *std::max_element(p, p + classes_);
    const double own = p[label_[i]];
    double sum = 0;
    for (std::size_t c = 0; c < classes_; ++c) sum += p[c] = std::exp(p[c] - top);
    for (std::size_t c = 0; c < classes_; ++c) p[c] /= sum;
    loss += std::log(sum) + top - own;
  }
  std::vector<double> cotangents = probability_;
  for (std::size_t i = 0; i < rows_; ++i) {
    cotangents[i * classes_ + static_cast<std::size_t>(label_[i])] -= 1;
  }
  pull_back(cotangents, x, penalty, gradient);
  const auto weights = x.first(classes_ * width_);
  const double square =
      cblas_ddot(static_cast<int>(weights.size()), weights.data(), 1, weights.data(), 1);
  return loss / static_cast<double>(rows_) + 0.5 * penalty * square;
}

void LogisticLoss::hessian_times(std::span<const double> direction, double penalty,
                                 std::span<double> result) const {
  std::vector<double> along;
  apply(direction, along);
  for (std::size_t i = 0; i < rows_; ++i) {  // (diag p - p p^T) times the change of the scores
    const double* p = probability_.data() + i * classes_;
    double* s = along.data() + i * classes_;
    double mean = 0;
    for (std::size_t c = 0; c < classes_; ++c) mean += p[c] * s[c];
    for (std::size_t c = 0; c < classes_; ++c) s[c] = p[c] * (s[c] - mean);
  }
  pull_back(along, direction, penalty, result);
}

LinearMap LogisticLoss::map_of(std::span<const double> x) const {
  const auto weights = x.begin() + static_cast<std::ptrdiff_t>(classes_ * width_);
  return {{x.begin(), weights}, {weights, x.end()}};
}

}  // namespace ntk::finetune
