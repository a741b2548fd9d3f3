// Rates on random designs: kernels of known decay, targets just inside their space, n = 128 ...
// 1024. Risks are exact expectations over the noise, in sample and out of sample; only inputs are
// drawn.
#include <gtest/gtest.h>

#include <numeric>

#include "theory/filter.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::theory {
namespace {

using std::numbers::pi;
using test::Draw;

constexpr double design_noise = 0.04;
constexpr std::size_t fresh_rows = 300;

// A kernel k(x, y) = sum_j l_j phi_j(x) phi_j(y) and a target f = sum_j a_j phi_j.
struct RandomDesign {
  double (*kernel)(double, double);
  double (*target)(double);
  bool normal = false;  // inputs; else uniform in [0, 1]
};

// sum over j of a_j phi_j(x), a_j = sqrt(l_j) j^-0.55: norm^2 = sum j^-1.1, cut at 1,000 terms.
constexpr double target_norm2 = 5.57;

double min_target(double x) {
  double f = 0;
  for (int j = 1; j <= 1000; ++j) {
    f += std::pow(j, -0.55) / ((j - 0.5) * pi) * std::numbers::sqrt2 * std::sin((j - 0.5) * pi * x);
  }
  return f / std::sqrt(target_norm2);
}

double periodic_kernel(double x, double y) {
  const double d = std::abs(x - y);
  return -(d * d * d * d - 2 * d * d * d + d * d - 1.0 / 30) / 24;
}
double periodic_target(double x) {
  double f = 0;
  for (int j = 1; j <= 200; ++j) {  // each eigenvalue (2 pi j)^-4 has a cosine and a sine
    const double root = std::pow(2 * pi * j, -2) * std::numbers::sqrt2;
    f += root * (std::pow(2 * j - 1, -0.55) * std::cos(2 * pi * j * x) +
                 std::pow(2 * j, -0.55) * std::sin(2 * pi * j * x));
  }
  return std::sqrt(1700 / 4.9) * f;  // norm^2 1,700
}

double gaussian(double x, double y) {
  return std::exp(-(x - y) * (x - y) / 2);
}
double gaussian_target(double x) {
  return 0.5 * gaussian(x, 0.3) - 0.4 * gaussian(x, -1);  // in the kernel's space by construction
}

double quadratic(double x, double y) {
  return (1 + x * y) * (1 + x * y);
}
double quadratic_target(double x) {
  return 0.3 + 0.5 * x - 0.2 * x * x;
}

struct DesignRisks {
  double in_sample = 0, out_of_sample = 0, gcv = 0;
};

// The oracle's risks and GCV's in sample, averaged over draws.
DesignRisks design_risks(const RandomDesign& design, std::size_t n, std::size_t draws, Draw& draw) {
  DesignRisks result;
  const auto rows = static_cast<double>(n);
  for (std::size_t d = 0; d < draws; ++d) {
    const auto x = design.normal ? draw.normals(n) : draw.uniforms(n);
    const auto t = design.normal ? draw.normals(fresh_rows) : draw.uniforms(fresh_rows);
    const auto e = test::kernel_eigen(x, design.kernel);
    std::size_t modes = 0;
    while (modes < n && e.values[modes] > 1e-13 * e.values[0]) ++modes;
    const auto values = std::span(e.values).first(modes);
    std::vector<double> f;
    for (const double at : x) f.push_back(design.target(at));
    const auto u = project(e, f);
    // (fresh rows, modes): k(t, x) u_k / (n l_k).
    std::vector<double> cross(fresh_rows * n), map(fresh_rows * modes);
    for (std::size_t i = 0; i < fresh_rows; ++i) {
      for (std::size_t j = 0; j < n; ++j) cross[i * n + j] = design.kernel(t[i], x[j]) / rows;
    }
    const int tests = static_cast<int>(fresh_rows), order = static_cast<int>(n);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, tests, static_cast<int>(modes), order, 1.0,
                cross.data(), order, e.vectors.data(), order, 0.0, map.data(),
                static_cast<int>(modes));
    std::vector<double> truth;
    for (const double at : t) truth.push_back(design.target(at));
    std::vector<double> signal(modes), noise(modes, design_noise / rows);
    for (std::size_t k = 0; k < modes; ++k) signal[k] = u[k] * u[k] / rows;
    double best_in = 1e300, best_out = 1e300;
    for (const double eta : eta_grid(values, 50)) {
      const auto s = flow_residual(values, eta);
      best_in = std::min(best_in, in_sample_risk(s, signal, noise).total());
      std::vector<double> weight(modes), variance(modes), fit(fresh_rows, 0.0);
      for (std::size_t k = 0; k < modes; ++k) {
        const double part = (1 - s[k]) / values[k];
        weight[k] = part * u[k];
        variance[k] = design_noise * part * part;
      }
      double risk = 0;
      for (std::size_t i = 0; i < fresh_rows; ++i) {
        double bias = -truth[i];
        for (std::size_t k = 0; k < modes; ++k) {
          const double m = map[i * modes + k];
          bias += m * weight[k];
          risk += m * m * variance[k];
        }
        risk += bias * bias;
      }
      best_out = std::min(best_out, risk / fresh_rows);
    }
    result.in_sample += best_in / static_cast<double>(draws);
    result.out_of_sample += best_out / static_cast<double>(draws);
    // GCV on labels drawn anew, against the oracle that knows the target.
    const auto grid = eta_grid(values, 100);
    for (int again = 0; again < 15; ++again) {
      std::vector<double> y = f;
      for (double& v : y) v += std::sqrt(design_noise) * draw.normal();
      const auto v = project(e, y);
      const auto labels =
          label_modes(v, std::inner_product(y.begin(), y.end(), y.begin(), 0.0),
                      std::vector<double>(modes, design_noise), design_noise, rows, 0, modes);
      const auto s = flow_residual(values, gcv_stop(values, labels, grid));
      double loss = 0;
      for (std::size_t k = 0; k < modes; ++k) loss += std::pow((1 - s[k]) * v[k] - u[k], 2) / rows;
      result.gcv += loss / 15 / static_cast<double>(draws);
    }
  }
  return result;
}

struct DesignSlopes {
  double in_sample, out_of_sample, gcv_ratio, last;
};
DesignSlopes slopes_of(const RandomDesign& design, std::uint64_t seed) {
  Draw draw(seed);
  const std::vector<double> sizes{128, 256, 512, 1024};
  std::vector<double> in, out, gcv;
  for (const double n : sizes) {
    const auto count = static_cast<std::size_t>(n);
    const auto risks = design_risks(design, count, 1024 / count, draw);
    in.push_back(risks.in_sample);
    out.push_back(risks.out_of_sample);
    gcv.push_back(risks.gcv / risks.in_sample);
  }
  return {test::log_slope(sizes, in), test::log_slope(sizes, out), 0.5 * (gcv[2] + gcv[3]),
          in.back()};
}

TEST(RandomDesigns, MinKernel) {
  const auto s = slopes_of({test::min_kernel, min_target}, 71);
  EXPECT_NEAR(s.in_sample, -0.671, 0.03);
  EXPECT_NEAR(s.out_of_sample, -0.690, 0.05);
  EXPECT_LT(s.gcv_ratio, 1.4);
}

TEST(RandomDesigns, PeriodicSpline) {
  const auto s = slopes_of({periodic_kernel, periodic_target}, 72);
  EXPECT_NEAR(s.in_sample, -0.772, 0.04);
  EXPECT_NEAR(s.out_of_sample, -0.794, 0.06);
  EXPECT_LT(s.gcv_ratio, 1.4);
}

TEST(RandomDesigns, GaussianKernel) {
  const auto s = slopes_of({gaussian, gaussian_target, true}, 73);
  EXPECT_NEAR(s.in_sample, -0.895, 0.06);
  EXPECT_NEAR(s.out_of_sample, -0.900, 0.1);
  EXPECT_LT(s.gcv_ratio, 1.4);
}

// 3 sigma^2 / n.
TEST(RandomDesigns, RankThree) {
  const auto s = slopes_of({quadratic, quadratic_target, true}, 74);
  EXPECT_NEAR(s.in_sample, -0.993, 0.02);
  EXPECT_NEAR(s.out_of_sample, -1.019, 0.08);
  EXPECT_NEAR(s.last, 1.170e-4, 2e-6);
  EXPECT_LT(s.gcv_ratio, 1.4);
}

}  // namespace
}  // namespace ntk::theory
