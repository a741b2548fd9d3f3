// The fixed cost table (version in the kernel file): which contraction a pair of panels gets, and
// what everything costs, in operations (a multiply-add counts 2) weighted by how fast the class of
// arithmetic runs against GEMM. Never measured at run time: the choice is part of the job.
#pragma once

#include <cstdint>

#include "device/precision.hpp"

namespace ntk::jacobian {

inline constexpr int cost_table_version = 3;

// How fast classes of arithmetic run against the GEMM of the contraction's precision.
struct CostTable {
  // These choose the contraction.
  double product_share;  // products of gradients and of factors: share of the GEMM rate
  double token_sum;      // operations' time of multiplying and summing a product of token scores
  // These only tell the schedule and the plan what else takes time: of an operation of
  double forward, backward, form;  // a panel's passes and its gradients' forming
  double product;                  // a large product of gradients; and beside it,
  double packing;                  // operations' time, of laying out a number for a product
};

// Forming is bound by writing, attention and row-wise work by memory, and on a GPU building runs in
// fp32 whatever the contraction does.
constexpr CostTable cost_table(device::Kind kind, device::Precision precision) {
  using device::Precision;
  if (kind == device::Kind::cpu) return {0.9, 60, 1.25, 2.3, 2.6, 1.0, 21};
  switch (precision) {
    case Precision::tf32:
      return {0.9, 1600, 11, 11, 11, 1.1, 0};
    case Precision::bf16x2:
      return {0.9, 900, 6.5, 6.5, 6.5, 1.1, 0};
    case Precision::bf16x3:
      return {0.9, 450, 3.3, 3.3, 3.3, 1.1, 0};
    default:
      return {0.9, 200, 1.6, 1.6, 1.6, 1.1, 0};
  }
}

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
double explicit_operations(const SitePair& s);
double structured_operations(const SitePair& s);

double explicit_cost(const CostTable& table, const SitePair& s);
double structured_cost(const CostTable& table, const SitePair& s);

// The time of an explicit contraction: products of panels are cut into pieces of a few hundred rows
// (at least two a side), for each of which both operands are laid out anew.
double explicit_time(const CostTable& table, const SitePair& s);

Method choose(const CostTable& table, const SitePair& s);

}  // namespace ntk::jacobian
