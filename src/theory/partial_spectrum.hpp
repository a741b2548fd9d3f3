// A spectrum of which only the leading pairs were computed.
//
// The rest, the tail, is known by its moments: it lies in [0, l_k], and the kernel's trace and
// Frobenius norm leave it a known sum and a known sum of squares. Labels and their noise likewise:
// y^T y, y^T A y and |A y|^2 (A = K/n centred) leave their power in the tail three moments. So sums
// over the tail have sharp bounds (Chebyshev, Markov; Krein and Nudelman, The Markov moment
// problem, 1977, chapter III), and a smooth tail with these moments is a good estimate of them: the
// functions of theory run on the completed spectrum as on a full one.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace ntk::theory {

// Half-widths of bounds above this part of a quantity leave it unsaid.
inline constexpr double widest_error = 0.1;

struct Interval {
  double low = 0, high = 0;
};
Interval operator+(Interval a, Interval b);
Interval operator-(Interval a, Interval b);
Interval operator*(Interval a, double positive);
Interval intersection(Interval a, Interval b);
// The largest distance of a point of the interval from `estimate`.
double error_of(double estimate, Interval bounds);

// Non-negative weights on eigenvalues in [0, top], of which are known: sum w, sum w l, sum w l^2.
// The last one, a difference of large numbers, is known to lie in `second`.
struct TailMoments {
  double top = 0;
  double mass = 0, first = 0;
  Interval second;
  // With moments that rounding has made impossible moved to the nearest possible ones.
  static TailMoments of(double top, double mass, double first, double second,
                        double second_error = 0);
};
TailMoments operator*(TailMoments moments, double positive);

// Bounds on sum w l^power g(l), power 0, 1 or 2, for a completely monotone g ((-1)^j g^(j) >= 0,
// j = 0 ... 3, on [0, top]: exp(-eta l), 1/(l + lambda), their products). Sharp for power 0 and an
// exact second moment: attained by weights at 0 and one point, at top and one point.
Interval tail_bounds(const TailMoments& tail, int power, const std::function<double(double)>& g);

// Sharp bounds on sum w min(l, cap), from mass and first moment.
Interval capped_bounds(const TailMoments& tail, double cap);

// `modes` values falling from the tail's top, with its first and (middle) second moment: l(x) = top
// (1 + xi x / sigma)^(-1/xi), x = 1, 2, ..., which for xi > 0 is a shifted power law, for xi = 0 an
// exponential, and for xi < 0 ends at a finite rank, zeros beyond. mass is the number of modes.
std::vector<double> complete_tail(const TailMoments& tail, std::size_t modes);

// Weights on these values with the tail's moments: a quadratic density c_0 + c_1 l + c_2 l^2. Sums
// of quadratics are exact; a weight can come out negative.
std::vector<double> spread_over(const TailMoments& weights, std::span<const double> values);

}  // namespace ntk::theory
