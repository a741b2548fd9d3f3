// Task vectors in the linearised model f(x) = f_0(x) + J(x) tau. A task is a part of one kernel's
// rows. Training on its rows alone moves the parameters by tau_a = sum_i c_i J(x_i)^T, so its
// update of the function anywhere is K(x, rows) c: what the stored kernel of all rows together
// holds. Every task has an intercept of its own: kernel and labels are centred by the means over
// its training rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "theory/held_out.hpp"

namespace ntk::theory {

struct TaskRows {
  std::vector<double> kernel;                         // (n, n) row-major, as stored
  std::vector<std::int32_t> task;                     // (n) index into names
  std::vector<std::string> names;                     // of the tasks
  std::vector<std::int64_t> group;                    // (n); empty = every row its own
  std::vector<double> labels;                         // (n)
  std::vector<double> reference, reference_variance;  // (n); empty: judged by the labels
  std::size_t rows() const { return task.size(); }
};

// Half of each task's rows for training, a quarter for testing, whole groups apart. Throws
// Error(input), naming the task, where it has fewer than 40 rows or its groups do not allow it.
std::vector<Split> split_tasks(const TaskRows& rows, std::uint64_t seed);

// values_i less the mean over the training rows of i's task.
std::vector<double> centre_by_task(std::span<const double> values,
                                   std::span<const std::int32_t> task,
                                   std::span<const Split> splits);
// The same on both sides of a row-major (n, n) kernel.
std::vector<double> centre_kernel_by_task(std::vector<double> kernel,
                                          std::span<const std::int32_t> task,
                                          std::span<const Split> splits);

// Gradient flow on `rows` of a centred kernel and labels, stopped by GCV, in which the intercepts
// (of so many tasks) count.
struct TaskVector {
  std::vector<std::size_t> rows;
  std::vector<double> coefficients;  // c, on those rows
  double eta = 0;                    // of K/m, m = rows; infinite: never stopped
  std::vector<double> update;        // (n) K c: the function's change on all rows
};
// All zero where kernel or labels vanish on the rows.
TaskVector fit_task_vector(std::span<const double> kernel, std::size_t n,
                           std::span<const double> labels, std::vector<std::size_t> rows,
                           std::size_t intercepts = 1);

// Alignment of the tasks' feature covariances S_a = sum over rows of J^T J,
//   <S_a, S_b>_F / (|S_a|_F |S_b|_F) = |K_ab|_F^2 / (|K_aa|_F |K_bb|_F),
// from the row-major (n, n) centred kernel; in [0, 1], NaN where a task's kernel vanishes.
double task_alignment(std::span<const double> kernel, std::size_t n, std::span<const std::size_t> a,
                      std::span<const std::size_t> b);

// theory.json's "tasks": sizes, alignment of every pair, each task's share of the joint spectrum,
// the sum of task vectors against the vector trained on all tasks together, and risks against the
// coefficient that scales task vectors. Throws as split_tasks does.
nlohmann::json tasks_report(const TaskRows& rows, std::uint64_t seed);

}  // namespace ntk::theory
