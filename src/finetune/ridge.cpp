#include "finetune/ridge.hpp"

#include <cblas.h>

#include <cmath>
#include <numeric>

#include "base/error.hpp"

extern "C" void dsyevd_(const char* job, const char* triangle, const int* n, double* a,
                        const int* lda, double* w, double* work, const int* lwork, int* iwork,
                        const int* liwork, int* info);

namespace ntk::finetune {
namespace {

// Ascending eigenvalues; vectors take the matrix's place, one a row.
std::vector<double> decompose(std::vector<double>& matrix, std::size_t n) {
  std::vector<double> values(n);
  const int order = static_cast<int>(n);
  int info = 0, query = -1, integers = 0;
  double doubles = 0;
  dsyevd_("V", "L", &order, matrix.data(), &order, values.data(), &doubles, &query, &integers,
          &query, &info);
  std::vector<double> work(static_cast<std::size_t>(doubles));
  std::vector<int> iwork(static_cast<std::size_t>(integers));
  const int lwork = static_cast<int>(work.size()), liwork = static_cast<int>(iwork.size());
  dsyevd_("V", "L", &order, matrix.data(), &order, values.data(), work.data(), &lwork, iwork.data(),
          &liwork, &info);
  require(info == 0, ExitCode::numerical,
          "the covariance of {} features has no eigenvalues (LAPACK dsyevd returned {}) check the "
          "model's weights",
          n, info);
  return values;
}

}  // namespace

RidgePath::RidgePath(const Examples& examples)
    : rows_(examples.rows), width_(examples.width), features_(unit_features(examples)) {
  ensure(examples.target.size() == rows_, "{} targets of {} rows", examples.target.size(), rows_);
  const auto n = static_cast<double>(rows_);
  target_ = examples.target;
  target_mean_ = std::accumulate(target_.begin(), target_.end(), 0.0) / n;
  for (double& y : target_) y -= target_mean_;
  vectors_.resize(width_ * width_);
  const int d = static_cast<int>(width_), m = static_cast<int>(rows_);
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, d, d, m, 1 / n, features_.values.data(), d,
              features_.values.data(), d, 0.0, vectors_.data(), d);
  values_ = decompose(vectors_, width_);
  std::vector<double> covariance(width_);
  cblas_dgemv(CblasRowMajor, CblasTrans, m, d, 1 / n, features_.values.data(), d, target_.data(), 1,
              0.0, covariance.data(), 1);
  projected_.resize(width_);
  cblas_dgemv(CblasRowMajor, CblasNoTrans, d, d, 1.0, vectors_.data(), d, covariance.data(), 1, 0.0,
              projected_.data(), 1);
}

LinearMap RidgePath::at(double penalty) const {
  std::vector<double> modes = projected_;
  for (std::size_t k = 0; k < width_; ++k) modes[k] /= std::max(values_[k], 0.0) + penalty;
  LinearMap map{std::vector<double>(width_), {target_mean_}};
  const int d = static_cast<int>(width_);
  cblas_dgemv(CblasRowMajor, CblasTrans, d, d, 1.0, vectors_.data(), d, modes.data(), 1, 0.0,
              map.weight.data(), 1);
  return map;
}

double RidgePath::gradient_norm(const LinearMap& map, double penalty) const {
  std::vector<double> residual = target_;
  const int d = static_cast<int>(width_), m = static_cast<int>(rows_);
  cblas_dgemv(CblasRowMajor, CblasNoTrans, m, d, 1.0, features_.values.data(), d, map.weight.data(),
              1, -1.0, residual.data(), 1);
  std::vector<double> gradient = map.weight;
  cblas_dgemv(CblasRowMajor, CblasTrans, m, d, 1 / static_cast<double>(rows_),
              features_.values.data(), d, residual.data(), 1, penalty, gradient.data(), 1);
  gradient.push_back(map.bias[0] - target_mean_);  // the features have mean 0
  return std::sqrt(std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0));
}

}  // namespace ntk::finetune
