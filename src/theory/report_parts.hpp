// The parts of theory_summary (summary.hpp), each a JSON object. For theory's own use.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "theory/effective_dimension.hpp"
#include "theory/filter.hpp"
#include "theory/summary.hpp"

namespace ntk::theory {

nlohmann::json number(double value);  // null where it is not finite

// {value, unit, rule}.
nlohmann::json quantity(double value, const std::string& unit, const std::string& rule);

// What all parts share.
struct ReportContext {
  const TheoryInputs& inputs;
  std::vector<double> values;  // positive modes of the centred K/n
  RidgeCurve curve;
  std::vector<std::string>& limits;
  std::vector<std::string>& caveats;
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
};

// Nothing (and a limit) for labels without variance or signal.
std::optional<PreparedLabels> prepare_labels(ReportContext& context, const LabelSet& labels);

nlohmann::json label_report(ReportContext& context, const LabelSet& labels,
                            const PreparedLabels& prepared);

// tasks_report (task_vectors.hpp) on the rows of the sub-matrix, one for each label set.
nlohmann::json task_reports(ReportContext& context);

// rkhs_norm2(m)/rkhs_norm2(m/2) and the decay exponent at m/2 on principal sub-matrices, for every
// label set (null where there is none). `prepared` belongs to inputs.labels.
std::vector<nlohmann::json> growth_report(ReportContext& context,
                                          std::span<const std::optional<PreparedLabels>> prepared);

}  // namespace ntk::theory
