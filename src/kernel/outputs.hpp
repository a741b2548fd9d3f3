// What a kernel is the tangent kernel of: output modes and groups of parameters.
#pragma once

#include <string>
#include <vector>

#include "model/family.hpp"

namespace ntk::kernel {

// The cotangents a sample is differentiated with, as rows over the model's C outputs.
//   logits         e_1 ... e_C           K[(i,c),(j,d)]
//   mean_diagonal  e_1 ... e_C           (1/C) sum_c K[(i,c),(j,c)]
//   sum            (1,...,1)/sqrt(C)     pNTK
//   difference     (-1, 1), C = 2
struct OutputMode {
  std::vector<std::vector<double>> cotangents;
  bool class_diagonal = false;
  double scale = 1;                  // applied to the contracted tiles
  std::int64_t rows_per_sample = 1;  // kernel rows
  std::int64_t output_columns = 1;   // columns of /samples/outputs: f itself
  int copies() const { return static_cast<int>(cotangents.size()); }
};

// Error(usage) for "difference" with C other than 2.
OutputMode make_output_mode(const std::string& outputs, std::int64_t classes);

// The partition of the selected parameters into groups that the file keeps apart.
struct Groups {
  std::vector<std::string> names;  // kept beside the total; empty for groups = "none"
  std::vector<int> of_parameter;   // index into names, -1 when none are kept or not selected
};
Groups make_groups(const std::string& groups, const model::Architecture& architecture);

}  // namespace ntk::kernel
