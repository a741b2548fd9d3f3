// Conversions against training itself: a linear model of several outputs, its gradient written out.
#include "theory/step_conversion.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using test::Draw;

constexpr std::size_t model_samples = 12, model_outputs = 3, model_weights = 20,
                      model_rows = model_samples * model_outputs;

struct LinearModel {
  std::vector<double> jacobian, y;  // (rows, weights), row = sample * outputs + output
  SymmetricEigen eigen;             // of K/n, n = rows
};
LinearModel make_linear_model() {
  Draw draw(31);
  LinearModel m{draw.normals(model_rows * model_weights), draw.normals(model_rows), {}};
  m.eigen = test::scaled_eigen(test::gram(m.jacobian, model_rows, model_weights), model_rows);
  return m;
}

std::vector<double> outputs_of(const LinearModel& m, const std::vector<double>& theta) {
  std::vector<double> f(model_rows, 0.0);
  for (std::size_t r = 0; r < model_rows; ++r) {
    for (std::size_t p = 0; p < model_weights; ++p)
      f[r] += m.jacobian[r * model_weights + p] * theta[p];
  }
  return f;
}

// d loss / d theta over the samples of a batch.
std::vector<double> gradient(const LinearModel& m, Loss loss, const std::vector<double>& theta,
                             std::size_t first, std::size_t count) {
  const bool half = loss == Loss::half_mean || loss == Loss::half_sum_outputs;
  const bool mean_outputs = loss == Loss::mean || loss == Loss::half_mean;
  const double factor = (half ? 1.0 : 2.0) / static_cast<double>(count) /
                        (mean_outputs ? static_cast<double>(model_outputs) : 1.0);
  const auto f = outputs_of(m, theta);
  std::vector<double> g(model_weights, 0.0);
  for (std::size_t r = first * model_outputs; r < (first + count) * model_outputs; ++r) {
    for (std::size_t p = 0; p < model_weights; ++p) {
      g[p] += factor * (f[r] - m.y[r]) * m.jacobian[r * model_weights + p];
    }
  }
  return g;
}

// Outputs after `steps` steps of the training, from zero.
std::vector<double> trained(const LinearModel& m, const Training& t, int steps) {
  std::vector<double> theta(model_weights, 0.0), velocity(model_weights, 0.0);
  const auto batch = t.batch > 0 ? static_cast<std::size_t>(t.batch) : model_samples;
  for (int s = 0; s < steps; ++s) {
    const double left = t.schedule == Schedule::linear ? 1 - double(s) / steps : 1;
    const std::size_t first = static_cast<std::size_t>(s) * batch % model_samples;
    const auto g = gradient(m, t.loss, theta, first, batch);
    for (std::size_t p = 0; p < model_weights; ++p) {
      velocity[p] = t.momentum * velocity[p] - left * t.learning_rate * g[p];
      theta[p] += velocity[p];
    }
  }
  return outputs_of(m, theta);
}

// Outputs by the filter.
template <class Residual>
std::vector<double> filtered(const LinearModel& m, Residual residual) {
  const auto u = project(m.eigen, m.y);
  std::vector<double> f(model_rows, 0.0);
  for (std::size_t k = 0; k < model_rows; ++k) {
    const double part = (1 - residual(m.eigen.values[k])) * u[k];
    for (std::size_t r = 0; r < model_rows; ++r) f[r] += part * m.eigen.vectors[k * model_rows + r];
  }
  return f;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

TEST(StepConversion, EveryLossHasItsStep) {
  const auto m = make_linear_model();
  for (const Loss loss : {Loss::mean, Loss::sum_outputs, Loss::half_mean, Loss::half_sum_outputs}) {
    Training t{Optimiser::sgd, loss, Schedule::constant, 0.01, 0, 0, model_samples, model_outputs};
    const double a = step_size(t);
    const auto f = trained(m, t, 40);
    EXPECT_LT(largest_difference(f, filtered(m, [&](double l) { return std::pow(1 - a * l, 40); })),
              1e-12);
    EXPECT_NEAR(eta_of_steps(t, 40), 40 * a, 1e-14);
    EXPECT_NEAR(steps_of_eta(t, eta_of_steps(t, 40)), 40, 1e-12);
  }
}

// Small steps: momentum, a decaying rate and mini-batches all follow the flow at the eta stated.
TEST(StepConversion, OtherTrainingsFollowTheFlow) {
  const auto m = make_linear_model();
  const double eta = 1.5 / m.eigen.values[3];
  const auto flow = filtered(m, [&](double l) { return std::exp(-eta * l); });
  for (const Training& base : {Training{Optimiser::sgd, Loss::mean, Schedule::constant, 0, 0.9, 0,
                                        model_samples, model_outputs},
                               Training{Optimiser::sgd, Loss::half_mean, Schedule::linear, 0, 0, 0,
                                        model_samples, model_outputs},
                               Training{Optimiser::sgd, Loss::sum_outputs, Schedule::constant, 0, 0,
                                        3, model_samples, model_outputs},
                               Training{Optimiser::sgd, Loss::half_sum_outputs, Schedule::linear, 0,
                                        0.5, 4, model_samples, model_outputs}}) {
    Training t = base;
    const double epochs = 6000;
    t.learning_rate = learning_rate_for(t, eta, epochs);
    const double steps = steps_of_epochs(t, epochs);
    EXPECT_NEAR(steps_of_eta(t, eta) / steps, 1, 1e-12);
    EXPECT_NEAR(epochs_of_steps(t, steps), epochs, 1e-9);
    const auto f = trained(m, t, static_cast<int>(std::lround(steps)));
    EXPECT_LT(largest_difference(f, flow), 2e-3)
        << t.momentum << " " << static_cast<int>(t.schedule) << " " << t.batch;
  }
}

TEST(StepConversion, StepsAboveTheLimitDiverge) {
  const auto m = make_linear_model();
  for (const double momentum : {0.0, 0.6}) {
    Training t{Optimiser::sgd, Loss::mean, Schedule::constant, 1,
               momentum,       0,          model_samples,      model_outputs};
    const double limit = largest_stable_step(t, m.eigen.values[0]) / step_size(t);
    const auto error = [&](double rate) {
      t.learning_rate = rate;
      return largest_difference(trained(m, t, 2000), m.y);
    };
    EXPECT_LT(error(0.99 * limit), 10) << momentum;
    EXPECT_GT(error(1.01 * limit), 1e6) << momentum;
  }
}

TEST(StepConversion, RefusesWhereEtaSaysNothing) {
  Training t{Optimiser::adam, Loss::mean, Schedule::constant, 0.1, 0, 0, 10, 1};
  EXPECT_NE(conversion_obstacle(t).find("Adam"), std::string::npos);
  EXPECT_THROW(step_size(t), Error);
  EXPECT_THROW(steps_of_eta(t, 1), Error);
  t.optimiser = Optimiser::sgd;
  t.loss = Loss::cross_entropy;
  EXPECT_NE(conversion_obstacle(t).find("cross-entropy"), std::string::npos);
  EXPECT_THROW(learning_rate_for(t, 1, 1), Error);
  t.loss = Loss::mean;
  EXPECT_EQ(conversion_obstacle(t), "");
  t.momentum = 1;
  EXPECT_NE(conversion_obstacle(t).find("momentum"), std::string::npos);
  EXPECT_THROW(loss_named("hinge"), Error);
  EXPECT_EQ(loss_named("half_sum_outputs"), Loss::half_sum_outputs);
  EXPECT_EQ(optimiser_named("adam"), Optimiser::adam);
  EXPECT_EQ(schedule_named("linear"), Schedule::linear);
}

}  // namespace
}  // namespace ntk::theory
