#include "theory/rates.hpp"

#include <algorithm>

namespace ntk::theory {

double noisy_exponent(double tail) {
  return -tail / (tail + 1);
}

double noise_free_exponent(double tail) {
  return -tail;
}

double ridge_tail(double tail, double alpha) {
  return std::min(tail, 2 * alpha);
}

double worst_case_exponent(double alpha) {
  return noisy_exponent(alpha);
}

}  // namespace ntk::theory
