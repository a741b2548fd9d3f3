// Total step sizes eta (unit 1/l of K/n) as steps, epochs and learning rates of a training run.
//
// For the squared loss one step of gradient descent moves the outputs by a K/n (y - f), n = samples
// times outputs. With learning rate lr and C outputs
//   loss                                      a
//   mean:        mean over samples, outputs   2 lr
//   sum_outputs: mean over samples, summed    2 lr C
//   half_...:    the same with 1/2 in front   half of these
// and eta is the sum of all steps. Heavy ball with momentum m acts like a / (1 - m), a linear decay
// of the learning rate to zero like half of a. Mini-batches of b of N samples follow the same flow
// while a is small: an epoch is N/b steps. None of it holds for cross-entropy, whose gradient is
// not linear in f, nor for Adam, which rescales every parameter: both are refused.
#pragma once

#include <string>

namespace ntk::theory {

enum class Loss { mean, sum_outputs, half_mean, half_sum_outputs, cross_entropy };
enum class Optimiser { sgd, adam };
enum class Schedule { constant, linear };

// How a model is trained.
struct Training {
  Optimiser optimiser = Optimiser::sgd;  // batches of all samples: gradient descent
  Loss loss = Loss::mean;
  Schedule schedule = Schedule::constant;
  double learning_rate = 0;  // at the start; above 0
  double momentum = 0;       // heavy ball, in [0, 1)
  double batch = 0;          // samples a step; 0 = all
  double samples = 0, outputs = 1;
};

// Why eta says nothing about this training; empty where it does.
std::string conversion_obstacle(const Training& training);

// The following throw Error(internal) where there is an obstacle.

// a at the start, without momentum.
double step_size(const Training& training);
// Sum of steps that `steps` steps add up to, momentum included; with the linear schedule they are
// all steps of the run.
double eta_of_steps(const Training& training, double steps);
double steps_of_eta(const Training& training, double eta);
double steps_of_epochs(const Training& training, double epochs);
double epochs_of_steps(const Training& training, double steps);
// The learning rate that reaches eta in so many epochs; training.learning_rate is not read.
double learning_rate_for(const Training& training, double eta, double epochs);

// The a above which full-batch descent diverges along a mode l_1: 2 (1 + m)/l_1 (Polyak 1964).
// Mini-batches diverge earlier.
double largest_stable_step(const Training& training, double l_1);

// The names used in job files, e.g. "half_mean"; Error(usage) for others.
Loss loss_named(const std::string& name);
Optimiser optimiser_named(const std::string& name);
Schedule schedule_named(const std::string& name);

}  // namespace ntk::theory
