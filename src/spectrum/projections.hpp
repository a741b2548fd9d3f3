// Products with distributed eigenvectors U (n x k): the vectors stay where they are, fields and
// results are small. All are collective over the grid of U.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spectrum/block_cyclic.hpp"
#include "store/kernel_file.hpp"

namespace ntk::spectrum {

// A quantity of the kernel's rows, and what becomes of it.
struct Field {
  std::string name;
  std::int64_t columns = 1;
  std::vector<double> values;  // (n, columns) row-major
  bool variance = false;       // projected as sum over j of U_ji^2 v_j instead of U'v
};

// Everything known of the training samples, on the rows r = sample * rows_per_sample + output:
// target (its label sets), reference, label (one-hot: with rows_per_sample = C a single column with
// 1 where the row's output is the sample's class, else C columns), outputs (likewise), and
// noise_variance (one for all label sets, or one for each). Quantities of a sample count for each
// of its rows.
std::vector<Field> fields_of(const store::SampleTable& samples, const std::vector<double>& outputs,
                             std::int64_t output_columns, std::int64_t rows_per_sample);

// (k, columns) row-major, on rank 0 of the grid; elsewhere the contents are undefined.
std::vector<double> project(const BlockCyclicMatrix& u, const Field& field);

// rows x n (row-major, the same on every rank) times the first `modes` columns of U: (rows, modes)
// row-major, on rank 0; elsewhere undefined.
std::vector<double> multiply(const std::vector<double>& strip, std::int64_t rows,
                             const BlockCyclicMatrix& u, std::int64_t modes);

}  // namespace ntk::spectrum
