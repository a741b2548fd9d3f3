// Out of sample: kernel gradient descent on a training block, measured on held-out rows that share
// no group with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "theory/linear_algebra.hpp"

namespace ntk::theory {

// Row indexes, each list ascending.
struct Split {
  std::vector<std::size_t> train, test;
};

// Fisher and Yates with explicit draws: std::shuffle differs between standard libraries.
template <class T>
void shuffle(std::vector<T>& values, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random() % i]);
}

// The rows of each group (rows with equal `group`; empty = every row its own), groups in seeded
// random order, rows ascending.
std::vector<std::vector<std::size_t>> shuffled_groups(std::size_t rows,
                                                      std::span<const std::int64_t> group,
                                                      std::uint64_t seed);

// Draws whole groups (rows with equal `group`; empty = every row its own) in seeded random order:
// into `test` until it holds test_rows, then into `train` until it holds train_rows. A group that
// would overshoot is cut for the rest: its surplus rows are used nowhere. Throws Error(input) when
// the groups are too few for both.
Split draw_split(std::size_t rows, std::span<const std::int64_t> group, std::size_t train_rows,
                 std::size_t test_rows, std::uint64_t seed);

// Entries [rows x columns] of the row-major (n, n) matrix.
std::vector<double> sub_matrix(std::span<const double> matrix, std::size_t n,
                               std::span<const std::size_t> rows,
                               std::span<const std::size_t> columns);

// The rows r = sample * outputs + output of samples.
std::vector<std::size_t> rows_of_samples(std::span<const std::size_t> samples, std::size_t outputs);

// values[rows[i]]; nothing of no values. Vectors or spans.
template <class Values, class Rows>
auto at_rows(const Values& values, const Rows& rows) {
  std::vector<typename Values::value_type> result;
  if (values.empty()) return result;
  result.reserve(rows.size());
  for (const auto r : rows) result.push_back(values[static_cast<std::size_t>(r)]);
  return result;
}

// A training block and a test block in the modes of the centred training kernel.
struct HeldOutModes {
  std::size_t train = 0, test = 0;
  SymmetricEigen eigen;        // of the centred training kernel divided by its rows
  std::size_t modes = 0;       // positive ones
  std::vector<double> factor;  // (test, modes) row-major: centred test block times U / train
  CentringMeans means = {};    // of the training kernel
  std::size_t outputs() const { return means.outputs; }
};

// Centring by training means: K_te - rowmean(K_te) - colmean(K_tr) + mean(K_tr), rowmean over
// training columns, output by output. `train_kernel` (train, train) and `test_kernel` (test,
// train), row-major; rows are whole samples of `outputs` rows each.
HeldOutModes held_out_modes(std::vector<double> train_kernel, std::vector<double> test_kernel,
                            std::size_t train, std::size_t test, std::size_t outputs = 1);

// The factor of further rows: their (rows, train) kernel, centred by the training means, times
// U / train.
std::vector<double> held_out_factor(const HeldOutModes& modes, std::vector<double> kernel,
                                    std::size_t rows);

// mean (prediction - reference)^2 - mean reference_variance: unbiased for the excess risk when the
// reference is a noisy mean of that variance, independent of the training labels.
double measured_risk(std::span<const double> predictions, std::span<const double> reference,
                     std::span<const double> reference_variance);

}  // namespace ntk::theory
