// The parts of theory_summary (summary.hpp), each a JSON object. For theory's own use.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "theory/effective_dimension.hpp"
#include "theory/filter.hpp"
#include "theory/learning_curve.hpp"
#include "theory/spectrum_bounds.hpp"
#include "theory/summary.hpp"

namespace ntk::theory {

// Exponents below it count as 1, which a flat spectrum has: no power law with a trace.
inline constexpr double least_alpha = 1.001;

nlohmann::json number(double value);  // null where it is not finite

// {value, unit, rule}.
nlohmann::json quantity(double value, const std::string& unit, const std::string& rule);

// The same with its `error`: how far the true value can be from this estimate. Null, and the name
// among `unsaid`, where that is more than widest_error of `scale`.
nlohmann::json bounded(double value, Interval bounds, double scale, const std::string& unit,
                       const std::string& rule, const std::string& name,
                       std::vector<std::string>& unsaid);

// What all parts share.
struct ReportContext {
  const TheoryInputs& inputs;
  std::vector<double> values;  // positive modes of the centred K/n, completed where it is partial
  RidgeCurve curve;            // as far as it is known
  std::vector<std::string>& limits;
  std::vector<std::string>& caveats;
  nlohmann::json decay = {};              // decay_report, once it is there
  std::optional<Training> training = {};  // where stops can be converted
  // Of a partial spectrum:
  std::optional<SpectrumBounds> bounds{};
  std::vector<double> tail{};  // the completed tail, its zeros included
  double reach = 0.5;          // exponents are read up to df = reach n
  bool cut = false;            // the curve ends where it is no longer known
  std::span<const double> computed() const {
    return bounds ? std::span<const double>(bounds->leading()) : std::span<const double>(values);
  }
  double n() const {
    return static_cast<double>(inputs.samples) * static_cast<double>(inputs.rows_per_sample);
  }
};

nlohmann::json decay_report(ReportContext& context);

// A label set with its noise, ready for the formulas.
struct PreparedLabels {
  LabelModes modes;
  double noise = 0;  // variance used
  std::string noise_rule;
  double effective_noise = 0;  // at the GCV stop
  double gcv_eta = 0;
  double norm2 = 0;  // rkhs_norm2 at the GCV stop
  // Of a partial spectrum. Without a GCV stop the three numbers above are NaN.
  std::optional<LabelBounds> bounds{};
  TailMoments power_tail{};
  Interval gcv_range{};
};

// The tail of a partial spectrum: nothing where the moments leave it less than a mode that counts
// (`least`, a part of l_1). `modes` is the number of eigenvalues that centring leaves beside the
// given ones.
std::optional<TailMoments> spectrum_tail(const TheoryInputs& inputs, double modes, double least);

// Continues context.values (those that were computed) over the tail.
void complete_spectrum(ReportContext& context, const TailMoments& tail, double least);
// Cuts the curve of the completed spectrum where it is not known, and says so.
void restrict_to_known(ReportContext& context);

// Labels whose `modes` are those of the computed eigenvalues, continued over the completed tail
// with the moments that their values have; `known`: their noise is that of the data.
void complete_labels(const ReportContext& context, const LabelSet& labels, bool known,
                     PreparedLabels& prepared);

// A stop chosen by a score, on a path of which the score is known within widest_error only at the
// beginning: the least estimate there, and the range of points where the true least one can be.
// Nothing where the estimates still fall at the end of what is known.
struct KnownStop {
  double eta = 0;
  Interval range;
};
std::optional<KnownStop> known_minimum(std::span<const double> grid,
                                       const std::function<double(double)>& score,
                                       const std::function<Interval(double)>& bounds);
// The same for the first eta where the falling `error` is at most `level`, its estimate being
// `eta`; nothing where the error there is not known within widest_error.
std::optional<KnownStop> known_crossing(double eta, double level, double estimate,
                                        const std::function<Interval(double)>& error);

// Nothing (and a limit) for labels without variance or signal.
std::optional<PreparedLabels> prepare_labels(ReportContext& context, const LabelSet& labels);

// Alignment, cumulative power, tails and the exponents that follow from them.
nlohmann::json target_report(ReportContext& context, const LabelSet& labels,
                             const PreparedLabels& prepared);

// Noise share, null and never stopping over the best stop, from label_report's "plug_in".
nlohmann::json regime_report(const nlohmann::json& plug_in, const PreparedLabels& prepared);

// `bounded` by what a partial spectrum leaves open, `quantity` otherwise.
nlohmann::json stated(const PreparedLabels& prepared, double value,
                      const std::function<Interval()>& bounds, double scale,
                      const std::string& unit, const std::string& rule, const std::string& name,
                      std::vector<std::string>& unsaid);

// Stopping times by rule; those a partial spectrum does not tell are among `unsaid`. Reads
// context.decay and context.training.
nlohmann::json stop_report(ReportContext& context, const LabelSet& labels,
                           const PreparedLabels& prepared, std::vector<std::string>& unsaid);

// Sets context.training; null (and a limit) where times do not convert to the user's training.
nlohmann::json training_report(ReportContext& context);

// A limit where exponents are no predictions.
void judge_exponents(const nlohmann::json& decay, std::vector<std::string>& limits);
// Half-width of the bounds on the risk at the ridge that the plug-in curve chose. Infinite where
// that is the last one known: the least risk may lie beyond.
double plug_in_error(const ReportContext& context, const PreparedLabels& prepared,
                     const LearningPoint& point);

// The stop `eta` of rwy_stop, with the range that the bounds on sum min(l, 1/eta) and on the norm
// leave; nothing where that is wider than widest_error.
std::optional<KnownStop> known_rwy(const ReportContext& context, const PreparedLabels& prepared,
                                   double eta);

nlohmann::json label_report(ReportContext& context, const LabelSet& labels,
                            const PreparedLabels& prepared);

// tasks_report (task_vectors.hpp) on the rows of the sub-matrix, one for each label set.
nlohmann::json task_reports(ReportContext& context);

// rkhs_norm2(m)/rkhs_norm2(m/2) and the decay exponent at m/2 on principal sub-matrices, for every
// label set (null where there is none). `prepared` belongs to inputs.labels.
std::vector<nlohmann::json> growth_report(ReportContext& context,
                                          std::span<const std::optional<PreparedLabels>> prepared);

// Fits on all training rows at every rule's stop, judged on each evaluation set.
struct EvaluationReport {
  std::vector<nlohmann::json> labels;  // {SET: evaluate_fit}; null where none judges the label set
  nlohmann::json classes;              // {"evaluate": {SET: evaluate_classes}}, or null
};
EvaluationReport evaluation_report(ReportContext& context,
                                   std::span<const std::optional<PreparedLabels>> prepared);

}  // namespace ntk::theory
