// What leading pairs leave to be known of the other modes: sums over all modes that need no pairs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spectrum/projections.hpp"

namespace ntk::spectrum {

struct NamedTable {
  std::string name;
  std::int64_t columns = 1;
  std::vector<double> values;  // (n, columns) row-major, on rank 0 of the grid; elsewhere undefined
};

// `diagonal` (A_ii) and `row_squares` (sum over j of A_ij^2): for variances v of independent noise
// sum l_k sum_j U_jk^2 v_j = sum_j v_j A_jj, and likewise with squares. Collective; A symmetric and
// whole.
std::vector<NamedTable> row_sums(const BlockCyclicMatrix& a);

// FIELD: A times its columns, for each field that is no variance. For y = FIELD they give sum over
// all modes of l_k (u_k y)^2 = y^T A y and of l_k^2 (u_k y)^2 = |A y|^2. Collective, likewise.
std::vector<NamedTable> products(const BlockCyclicMatrix& a, const std::vector<Field>& fields);

}  // namespace ntk::spectrum
