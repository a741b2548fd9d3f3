// The fixed cost table (version in the kernel file): which contraction a pair of panels gets, and
// what everything costs, in operations (a multiply-add counts 2) weighted by how fast the class of
// arithmetic runs against GEMM. Never measured at run time: the choice is part of the job.
#pragma once

#include <cstdint>

namespace ntk::jacobian {

inline constexpr int cost_table_version = 2;

enum class Method { explicit_, structured };

// One linear site seen by a pair of panels.
struct SitePair {
  std::int64_t inputs, outputs;
  std::int64_t rows_p, rows_q;  // token rows of the site in the panels
  std::int64_t samples_p, samples_q;
  int copies;
  bool class_diagonal;
  bool symmetric;  // the pair of a panel with itself: symmetric work once
};

// Operations of the contraction alone, as the mathematics needs them.
inline double explicit_operations(const SitePair& s) {
  const double planes = s.class_diagonal ? s.copies : static_cast<double>(s.copies) * s.copies;
  const double full = 2.0 * planes * static_cast<double>(s.samples_p * s.samples_q) *
                      static_cast<double>(s.inputs * s.outputs);
  return s.symmetric ? full / 2 : full;
}
inline double structured_operations(const SitePair& s) {
  const double planes = s.class_diagonal ? s.copies : static_cast<double>(s.copies) * s.copies;
  const double full = 2.0 * static_cast<double>(s.rows_p) * static_cast<double>(s.rows_q) *
                      (static_cast<double>(s.inputs) + planes * static_cast<double>(s.outputs + 1));
  return s.symmetric ? full / 2 : full;
}

// CPU weights: products of gradients and of factors at 0.9 of the GEMM rate, and 60 operations'
// time for each product of token scores that is multiplied and summed in fp64.
inline double explicit_cost(const SitePair& s) {
  return explicit_operations(s) / 0.9;
}
inline double structured_cost(const SitePair& s) {
  const double planes = s.class_diagonal ? s.copies : static_cast<double>(s.copies) * s.copies;
  const double sums = 60.0 * planes * static_cast<double>(s.rows_p) * static_cast<double>(s.rows_q);
  return structured_operations(s) / 0.9 + (s.symmetric ? sums / 2 : sums);
}

inline Method choose(const SitePair& s) {
  return structured_cost(s) < explicit_cost(s) ? Method::structured : Method::explicit_;
}

}  // namespace ntk::jacobian
