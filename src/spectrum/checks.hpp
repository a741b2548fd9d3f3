// Tests of a computed spectrum against the matrix it came from. Ratios near 1 are rounding; 30 is
// an alarm (printed), 100 a failure (Error(numerical)).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "spectrum/norms.hpp"
#include "spectrum/solvers.hpp"

namespace ntk::spectrum {

struct Checks {
  // With vectors: |A V - V L|_F / (|A|_F n eps) and |V'V - I|_F / (n eps), V of n rows.
  std::optional<double> residual, orthogonality;
  // With all eigenvalues: |sum l - trace A| / (|A|_F n eps), | |l|_2 - |A|_F | / (|A|_F n eps).
  // With the leading ones of a positive semi-definite matrix: by how much they exceed those norms.
  std::optional<double> trace, frobenius;
  // Smallest eigenvalue, when all are known, and the value that rounding explains:
  // -(10 u + n eps) l_1, u = unit roundoff of the kernel's precision.
  std::optional<double> smallest, smallest_allowed;

  double worst_ratio() const;
  nlohmann::json to_json() const;
};

// Collective, with the norms computed before the solve.
void check_vectors(const BlockCyclicMatrix& a, const Pairs& pairs, const Norms& norms,
                   Checks& checks);
// Local. `n` is the matrix's order; semidefinite = it should have no negative eigenvalues.
void check_values(const std::vector<double>& values, std::int64_t n, const Norms& norms,
                  double unit_roundoff, bool semidefinite, Checks& checks);

// Warns above 30 and about eigenvalues below `smallest_allowed`; throws AgreedError(numerical)
// above 100 (the ratios are the same on all ranks) or when a ratio is not a number.
void enforce(const Checks& checks, const std::string& name);

}  // namespace ntk::spectrum
