#include "theory/decay_models.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <unsupported/Eigen/NonLinearOptimization>

#include "base/error.hpp"

namespace ntk::theory {
namespace {

constexpr std::array every_law{DecayLaw::power,      DecayLaw::shifted, DecayLaw::broken,
                               DecayLaw::stretched,  DecayLaw::cut_off, DecayLaw::exponential,
                               DecayLaw::finite_rank};
constexpr double least_tail = 1.0005;  // exponents of infinite tails

// Sums over ranks k: whole ones first, then Gauss-Legendre panels in log k.
struct Nodes {
  std::vector<double> rank, weight;

  void add_whole(int last) {
    for (int k = 1; k <= last; ++k) {
      rank.push_back(k);
      weight.push_back(1);
    }
  }
  // Panels of about half a unit between two values of log k.
  void add_panels(double first, double last) {
    constexpr std::array x{-0.9061798459386640, -0.5384693101056831, 0.0, 0.5384693101056831,
                           0.9061798459386640};
    constexpr std::array w{0.2369268850561891, 0.4786286704993665, 0.5688888888888889,
                           0.4786286704993665, 0.2369268850561891};
    const double panels = std::ceil(2 * (last - first));
    const double width = (last - first) / panels;
    for (double p = 0; p < panels; ++p) {
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double k = std::exp(first + width * (p + 0.5 + 0.5 * x[i]));
        rank.push_back(k);
        weight.push_back(0.5 * width * w[i] * k);
      }
    }
  }
};
constexpr int whole_ranks = 32;
constexpr double last_log = 60;  // log k where the last panel ends

// Where L(k) has an edge, and where it ends.
double edge_of(DecayLaw law, std::span<const double> p) {
  return law == DecayLaw::broken ? p[3] : law == DecayLaw::finite_rank ? p[2] : 0;
}

Nodes nodes_for(DecayLaw law, std::span<const double> p) {
  Nodes n;
  const double edge = edge_of(law, p), first = std::log(whole_ranks + 0.5);
  if (law == DecayLaw::finite_rank && edge <= whole_ranks + 0.5) {
    n.add_whole(static_cast<int>(edge));
    n.rank.push_back(std::floor(edge) + 1);  // a rank may be broken: fits move it smoothly
    n.weight.push_back(edge - std::floor(edge));
    return n;
  }
  n.add_whole(whole_ranks);
  if (law == DecayLaw::finite_rank) {
    n.add_panels(first, std::log(edge + 0.5));
  } else if (edge > whole_ranks + 1) {
    n.add_panels(first, std::log(edge));
    n.add_panels(std::log(edge), last_log);
  } else {
    n.add_panels(first, last_log);
  }
  return n;
}

// log L(k) without the scale.
double log_shape(DecayLaw law, std::span<const double> p, double k) {
  const double log_k = std::log(k);
  switch (law) {
    case DecayLaw::power:
      return -p[1] * log_k;
    case DecayLaw::shifted:
      return -p[1] * std::log(k + p[2]);
    case DecayLaw::broken:
      return k <= p[3] ? -p[1] * log_k : -p[1] * std::log(p[3]) - p[2] * (log_k - std::log(p[3]));
    case DecayLaw::stretched:
      return -p[1] * std::expm1(p[2] * log_k) / p[2];
    case DecayLaw::cut_off:
      return -p[1] * log_k - k / p[2];
    case DecayLaw::exponential:
      return -p[1] * (k - 1);
    case DecayLaw::finite_rank:
      return -p[1] * log_k;
  }
  return 0;
}

// Exponent of an algebraic tail; 0 where there is none.
double tail_exponent(DecayLaw law, std::span<const double> p) {
  if (law == DecayLaw::power || law == DecayLaw::shifted) return p[1];
  return law == DecayLaw::broken ? p[2] : 0;
}

// A model on the nodes: weights and eigenvalues, and the trace beyond the last node.
struct ModelSpectrum {
  std::vector<double> weight, value;
  double rest = 0;
  double dimension(double kappa) const {
    double sum = rest / kappa;
    for (std::size_t i = 0; i < value.size(); ++i) sum += weight[i] * value[i] / (value[i] + kappa);
    return sum;
  }
};

ModelSpectrum spectrum_of(DecayLaw law, std::span<const double> p) {
  Nodes all = nodes_for(law, p);
  ModelSpectrum s;
  const double log_scale = std::log(p[0]);
  s.weight = std::move(all.weight);
  for (const double k : all.rank) s.value.push_back(std::exp(log_scale + log_shape(law, p, k)));
  if (const double alpha = tail_exponent(law, p); alpha > 1) {
    s.rest = std::exp(log_scale + log_shape(law, p, std::exp(last_log)) + last_log) / (alpha - 1);
  }
  return s;
}

// How a law's parameters are searched: each between bounds, some by their logarithm.
struct Search {
  std::vector<double> start, low, high;
  std::vector<bool> logarithmic;
};

// The scale is searched as the eigenvalue in the middle of the window, s of a stretched law as the
// slope there: they hardly depend on the other parameters.
Search search_for(DecayLaw law, double scale, double alpha, double n, double part) {
  Search s;
  const auto add = [&](double start, double low, double high, bool logarithmic) {
    const auto map = [&](double v) { return logarithmic ? std::log(v) : v; };
    // Not at a bound, where the search would have no slope.
    const double width = map(high) - map(low);
    s.start.push_back(std::clamp(map(start), map(low) + 1e-3 * width, map(high) - 1e-3 * width));
    s.low.push_back(map(low));
    s.high.push_back(map(high));
    s.logarithmic.push_back(logarithmic);
  };
  add(scale, 1e-6 * scale, 1e6 * scale, true);
  switch (law) {
    case DecayLaw::power:
      add(alpha, least_tail, 20, true);
      break;
    case DecayLaw::shifted:
      add(alpha, least_tail, 20, true);
      add(part * n, 1e-3, 100 * n, true);
      break;
    case DecayLaw::broken:
      add(alpha - 0.3, -1, 20, false);
      add(alpha + 0.2, least_tail, 20, true);
      add(part * n, 2, n, true);
      break;
    case DecayLaw::stretched:
      add(alpha, 1e-3, 50, true);
      add(part, 1e-3, 2.5, true);
      break;
    case DecayLaw::cut_off:
      add(alpha - 0.3, -1, 20, false);
      add(10 * part * n, 1, 1e4 * n, true);
      break;
    case DecayLaw::exponential:
      add(1 / (part * n), 1e-4 / n, 20, true);
      break;
    case DecayLaw::finite_rank:
      add(alpha - 0.3, -1, 20, false);
      add(10 * part * n, 2, 1e4 * n, true);
      break;
  }
  return s;
}

// Residuals of log N1 as functions of unbounded variables t, for Eigen: a parameter lies (1 +
// sin(t - phase))/2 of the way between its bounds. Differences take steps relative to t, so none
// starts near 0.
struct Residuals {
  static constexpr double phase = 2;

  using Scalar = double;
  using InputType = Eigen::VectorXd;
  using ValueType = Eigen::VectorXd;
  using JacobianType = Eigen::MatrixXd;
  enum { InputsAtCompileTime = Eigen::Dynamic, ValuesAtCompileTime = Eigen::Dynamic };

  DecayLaw law;
  double middle = 1;  // rank
  std::vector<double> log_kappa, log_df;
  Search search{};

  int inputs() const { return static_cast<int>(search.start.size()); }
  int values() const { return static_cast<int>(log_df.size()); }

  InputType start() const {
    InputType t(inputs());
    for (int i = 0; i < inputs(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      const double part = (search.start[k] - search.low[k]) / (search.high[k] - search.low[k]);
      t[i] = phase + std::asin(2 * part - 1);
    }
    return t;
  }
  std::vector<double> parameters(const InputType& t) const {
    std::vector<double> p;
    for (int i = 0; i < inputs(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      const double part = 0.5 * (1 + std::sin(t[i] - phase));
      const double x = search.low[k] + part * (search.high[k] - search.low[k]);
      p.push_back(search.logarithmic[k] ? std::exp(x) : x);
    }
    if (law == DecayLaw::stretched) p[1] /= std::pow(middle, p[2]);
    p[0] /= std::exp(log_shape(law, p, middle));
    return p;
  }
  int operator()(const InputType& t, ValueType& residuals) const {
    const auto s = spectrum_of(law, parameters(t));
    for (int i = 0; i < values(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      const double d = std::log(s.dimension(std::exp(log_kappa[k]))) - log_df[k];
      residuals[i] = std::isfinite(d) ? d : 1e3;
    }
    return 0;
  }
};

}  // namespace

std::string law_name(DecayLaw law) {
  constexpr std::array names{"power",   "shifted",     "broken",     "stretched",
                             "cut-off", "exponential", "finite rank"};
  return names[static_cast<std::size_t>(law)];
}

std::vector<std::string> law_parameters(DecayLaw law) {
  static const std::array<std::vector<std::string>, every_law.size()> names{
      {{"A", "alpha"},
       {"A", "alpha", "s"},
       {"A", "alpha", "alpha_2", "k0"},
       {"A", "s", "g"},
       {"A", "alpha", "k0"},
       {"A", "c"},
       {"A", "alpha", "m"}}};
  return names[static_cast<std::size_t>(law)];
}

std::span<const DecayLaw> all_laws() {
  return every_law;
}

double model_eigenvalue(const DecayModel& model, double k) {
  const auto& p = model.parameters;
  if (model.law == DecayLaw::finite_rank && k > p[2] + 0.5) return 0;
  return p[0] * std::exp(log_shape(model.law, p, k));
}

double model_dimension(const DecayModel& model, double kappa) {
  return spectrum_of(model.law, model.parameters).dimension(kappa);
}

double model_tail(const DecayModel& model, double first) {
  const auto& p = model.parameters;
  Nodes n;
  const double edge = edge_of(model.law, p), start = std::log(first + 0.5);
  const double end = model.law == DecayLaw::finite_rank ? std::log(edge + 0.5) : last_log;
  if (!(end > start)) return 0;
  if (model.law == DecayLaw::broken && std::log(edge) > start) {
    n.add_panels(start, std::log(edge));
    n.add_panels(std::log(edge), end);
  } else {
    n.add_panels(start, end);
  }
  double sum = 0;
  for (std::size_t i = 0; i < n.rank.size(); ++i) {
    sum += n.weight[i] * std::exp(log_shape(model.law, p, n.rank[i]));
  }
  if (const double alpha = tail_exponent(model.law, p); alpha > 1) {
    sum += std::exp(log_shape(model.law, p, std::exp(last_log)) + last_log) / (alpha - 1);
  }
  return p[0] * sum;
}

std::optional<DecayModel> fit_law(const RidgeCurve& curve, DecayLaw law, double low, double high) {
  // Of the curve's points as many as fits need.
  constexpr std::size_t most_points = 40;
  std::vector<std::size_t> inside;
  for (std::size_t p = 0; p < curve.df.size(); ++p) {
    if (curve.df[p] >= low && curve.df[p] <= high) inside.push_back(p);
  }
  if (inside.size() < 10) return std::nullopt;
  const std::size_t step = std::max<std::size_t>(1, inside.size() / most_points);
  const double first_df = curve.df[inside.front()], last_df = curve.df[inside.back()];
  const double first_kappa = curve.kappa[inside.front()], last_kappa = curve.kappa[inside.back()];
  const double alpha =
      std::max(1.01, std::log(first_kappa / last_kappa) / std::log(last_df / first_df));
  const double middle = std::sqrt(first_df * last_df);
  // Where df is `middle`, the eigenvalue of that rank is about kappa.
  const double scale = std::sqrt(first_kappa * last_kappa);
  Residuals residuals{law, middle, {}, {}};
  for (std::size_t i = 0; i < inside.size(); i += step) {
    residuals.log_kappa.push_back(std::log(curve.kappa[inside[i]]));
    residuals.log_df.push_back(std::log(curve.df[inside[i]]));
  }
  DecayModel best{law, {}, std::numeric_limits<double>::infinity(), low, high};
  for (const double start : {0.02, 0.1, 0.4}) {  // parts of n, or g
    residuals.search = search_for(law, scale, alpha, curve.n, start);
    Eigen::NumericalDiff<Residuals> differences(residuals);
    Eigen::LevenbergMarquardt<Eigen::NumericalDiff<Residuals>> search(differences);
    search.parameters.factor = 0.1;  // first step: far ones would go around the sine
    search.parameters.maxfev = 400;
    auto t = residuals.start();
    search.minimize(t);
    const double rms = search.fnorm / std::sqrt(static_cast<double>(residuals.values()));
    if (rms < best.rms) {
      best.rms = rms;
      best.parameters = residuals.parameters(t);
    }
  }
  return best;
}

std::vector<DecayModel> fit_laws(const RidgeCurve& curve) {
  std::vector<DecayModel> fits;
  for (const DecayLaw law : every_law) {
    if (auto fit = fit_law(curve, law, 5, 0.5 * curve.n)) fits.push_back(std::move(*fit));
  }
  std::stable_sort(fits.begin(), fits.end(),
                   [](const auto& a, const auto& b) { return a.rms < b.rms; });
  return fits;
}

}  // namespace ntk::theory
