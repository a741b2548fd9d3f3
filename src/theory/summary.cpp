#include "theory/summary.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/report_parts.hpp"

namespace ntk::theory {

using nlohmann::json;

json number(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}

json quantity(double value, const std::string& unit, const std::string& rule) {
  return {{"value", number(value)}, {"unit", unit}, {"rule", rule}};
}

namespace {

constexpr std::int64_t least_rows = 20;

// `sums` instead of the eigenvalues' own where fewer than n are given.
json spectrum_report(std::span<const double> eigenvalues, const SpectralMoments& sums,
                     std::size_t n) {
  double trace = 0, squares = 0;
  for (const double l : eigenvalues) {
    trace += l;
    squares += l * l;
  }
  if (eigenvalues.size() < n) {
    trace = sums.first;
    squares = sums.second;
  }
  const double first = eigenvalues.empty() ? 0.0 : eigenvalues[0];
  return {{"trace", quantity(trace, "K/n", "sum of l_k")},
          {"l_1", quantity(first, "K/n", "largest eigenvalue")},
          {"l_1_share", quantity(first / trace, "1", "l_1 / trace")},
          {"stable_rank", quantity(squares / (first * first), "modes", "sum l_k^2 / l_1^2")},
          {"participation_ratio",
           quantity(trace * trace / squares, "modes", "(sum l_k)^2 / sum l_k^2")}};
}

void check_inputs(const TheoryInputs& inputs, std::size_t n) {
  const auto finite = [](const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  };
  require(finite(inputs.eigenvalues) && finite(inputs.raw_eigenvalues), ExitCode::numerical,
          "an eigenvalue is not finite (the spectrum may be damaged) run `ntk spectrum` again");
  const std::size_t modes = std::min(n, inputs.eigenvalues.size());
  for (const auto& labels : inputs.labels) {
    require(labels.values.size() == n && labels.projections.size() == modes &&
                finite(labels.values) && finite(labels.projections),
            ExitCode::input,
            "label set {} does not fit the kernel (it needs {} finite labels and {} projections) "
            "run `ntk spectrum` again for this kernel",
            labels.name, n, modes);
    const auto& v = labels.noise_variances;
    require(v.empty() || (v.size() == n && finite(v) &&
                          std::all_of(v.begin(), v.end(), [](double x) { return x >= 0; })),
            ExitCode::input,
            "noise variances of {} do not fit the kernel (it needs {} finite values of at least 0) "
            "correct the data file, or set theory.noise_variance to \"estimate\"",
            labels.name, n);
    require(v.empty() || (labels.noise_modes.size() == modes && finite(labels.noise_modes)),
            ExitCode::input,
            "noise variances of {} have no projections (the spectrum was made without them) run "
            "`ntk spectrum` again",
            labels.name);
  }
}

// Of the centred kernel's diagonal, over the rows looked at.
double diagonal_cv(const TheoryInputs& inputs) {
  auto kernel = inputs.kernel;
  const std::size_t rows = inputs.subset.size();
  const auto outputs = static_cast<std::size_t>(inputs.rows_per_sample);
  centre_rows(kernel, rows, centring_means(inputs.kernel, rows, outputs));
  std::vector<double> diagonal;
  for (std::size_t i = 0; i < rows; ++i) diagonal.push_back(kernel[i * rows + i]);
  const double middle = mean(diagonal);
  double square = 0;
  for (const double d : diagonal) square += (d - middle) * (d - middle);
  return std::sqrt(square / static_cast<double>(rows)) / middle;
}

// Class indicators and several raters are also reported as means over the label sets.
json label_means(const json& labels) {
  json means{{"label_sets", labels.size()}};
  for (const char* name :
       {"label_variance", "signal_variance", "noise_variance", "effective_noise", "rkhs_norm2"}) {
    double sum = 0;
    for (const auto& set : labels) {
      const auto& value = set.at(name).at("value");
      sum += value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
    }
    means[name] =
        quantity(sum / static_cast<double>(labels.size()),
                 labels[0].at(name).at("unit").get<std::string>(), "mean over the label sets");
  }
  json curve = json::array();
  for (std::size_t p = 0; p < labels[0].at("plug_in").at("curve").size(); ++p) {
    double sum = 0, error = 0;
    bool usable = true;
    for (const auto& set : labels) {
      const auto& point = set.at("plug_in").at("curve")[p];
      usable = usable && point.at("risk").is_number();
      sum += usable ? point.at("risk").get<double>() : 0.0;
      error += point.at("standard_error").get<double>();
    }
    const auto count = static_cast<double>(labels.size());
    json point{{"n", labels[0].at("plug_in").at("curve")[p].at("n")},
               {"risk", nullptr},
               {"standard_error", error / count}};
    if (usable) point["risk"] = sum / count;
    curve.push_back(std::move(point));
  }
  means["plug_in"] = {
      {"unit", "y^2"},
      {"rule", "mean over the label sets; standard_error as if their noises moved together"},
      {"curve", curve}};
  return means;
}

}  // namespace

json theory_summary(const TheoryInputs& inputs) {
  const auto n = static_cast<std::size_t>(inputs.samples * inputs.rows_per_sample);
  std::vector<std::string> limits, caveats;
  json report{{"kernel",
               {{"samples", inputs.samples},
                {"rows_per_sample", inputs.rows_per_sample},
                {"n", n},
                {"centring", "(I - 11^T/N) for each output; the intercept is the training mean"},
                {"f0", inputs.f0_kept ? "keep: labels are y - f0" : "subtract: labels are y"}}}};
  check_inputs(inputs, n);
  if (!inputs.kernel.empty()) {
    report["kernel"]["diagonal_cv"] =
        quantity(diagonal_cv(inputs), "1",
                 "standard deviation over mean of k(x, x), centred: what leverages differ by");
  }
  if (!inputs.raw_eigenvalues.empty()) {
    report["spectrum"]["raw"] = spectrum_report(inputs.raw_eigenvalues, inputs.raw_sums, n);
  }
  if (!inputs.eigenvalues.empty()) {
    report["spectrum"]["centred"] = spectrum_report(inputs.eigenvalues, inputs.sums, n);
    if (inputs.floor > 0) {
      report["spectrum"]["floor"] =
          quantity(inputs.floor, "K/n", "noise floor measured by the spectrum stage");
    }
    if (inputs.resolved >= 0) report["spectrum"]["resolved"] = inputs.resolved;
  }
  const auto finish = [&]() {
    report["limits"] = limits;
    report["caveats"] = caveats;
    return report;
  };
  if (n < least_rows) {
    limits.push_back("nothing is predicted: the kernel has " + std::to_string(n) +
                     " rows, statistics of decay and learning need at least " +
                     std::to_string(least_rows));
    return finish();
  }
  const bool partial = inputs.eigenvalues.size() < n;
  if (partial && !(inputs.sums.first > 0 && inputs.sums.second > 0)) {
    limits.push_back("nothing is predicted: the spectrum holds " +
                     std::to_string(inputs.eigenvalues.size()) + " of " + std::to_string(n) +
                     " centred eigenvalues, and neither the kernel's trace nor its norm");
    return finish();
  }
  if (partial && !inputs.semidefinite) {
    limits.push_back("nothing is predicted: the spectrum holds " +
                     std::to_string(inputs.eigenvalues.size()) + " of " + std::to_string(n) +
                     " centred eigenvalues of a sum with a negative weight, so the others may be "
                     "negative and their sums do not bound them");
    return finish();
  }
  // Modes below the measured floor are noise of the arithmetic: they count as outside the kernel.
  double relative = 1e-9;
  if (inputs.eigenvalues[0] > 0) {
    relative = std::max(relative, inputs.floor / inputs.eigenvalues[0]);
  }
  const std::size_t modes = std::min(positive_modes(inputs.eigenvalues, relative),
                                     n - static_cast<std::size_t>(inputs.rows_per_sample));
  report["spectrum"]["modes"] =
      quantity(static_cast<double>(modes), "modes", "l_k > max(1e-9 l_1, floor), centred");
  if (modes < 2) {
    limits.push_back("nothing is predicted: the centred kernel has " + std::to_string(modes) +
                     " non-zero mode(s), so there is no decay and no path to stop on");
    return finish();
  }
  std::vector<double> values(inputs.eigenvalues.begin(),
                             inputs.eigenvalues.begin() + static_cast<std::ptrdiff_t>(modes));
  const double null_modes = static_cast<double>(inputs.rows_per_sample);
  std::optional<TailMoments> tail;
  if (partial && modes == inputs.eigenvalues.size()) {
    tail = spectrum_tail(inputs, static_cast<double>(n - modes) - null_modes, relative);
  }
  ReportContext context{inputs, std::move(values), {}, limits, caveats};
  if (tail) complete_spectrum(context, *tail, relative);
  context.curve = ridge_curve(context.values, static_cast<double>(n));
  if (tail) {
    report["spectrum"]["modes"]["rule"] =
        "computed; the others are known by the trace and the Frobenius norm alone";
    restrict_to_known(context);
  }
  if (inputs.resolved >= 0 && static_cast<std::size_t>(inputs.resolved) < modes) {
    caveats.push_back("eigenvalues beyond rank " + std::to_string(inputs.resolved) +
                      " are less than ten times above the arithmetic's noise floor");
  }
  report["decay"] = decay_report(context);
  context.decay = report["decay"];
  judge_exponents(context.decay, limits);
  report["training"] = training_report(context);

  report["labels"] = json::array();
  std::vector<std::optional<PreparedLabels>> prepared;
  for (const auto& labels : inputs.labels) prepared.push_back(prepare_labels(context, labels));
  const auto growth = growth_report(context, prepared);
  const auto evaluate = evaluation_report(context, prepared);
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    if (!prepared[i]) continue;
    report["labels"].push_back(label_report(context, inputs.labels[i], *prepared[i]));
    report["labels"].back()["growth"] = growth[i];
    report["labels"].back()["evaluate"] = evaluate.labels[i];
  }
  report["classes"] = evaluate.classes;
  if (inputs.labels.empty()) {
    limits.push_back(
        "no labels: learning curve, noise, norm and stopping times need a data file "
        "with labels or targets");
  }
  if (inputs.tasks.size() > 1) report["tasks"] = task_reports(context);
  if (report["labels"].size() > 1) report["label_means"] = label_means(report["labels"]);
  if (!report["labels"].empty()) {
    caveats.push_back(
        "the plug-in curve has been off by some per cent (up to 15 % for kernels of "
        "low layers) on real data: read it beside measured risks");
    caveats.push_back(
        "stopping times hold for squared loss and plain gradient descent; they do "
        "not convert to Adam or cross-entropy");
  }
  return finish();
}

}  // namespace ntk::theory
