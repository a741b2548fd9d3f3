#include "theory/classes.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "theory/held_out.hpp"

namespace ntk::theory {
namespace {

// What `rule` predicts, null where the label set lacks it.
const std::vector<double>* predictions_of(const std::vector<RuleRisk>& risks, const char* rule) {
  const auto found =
      std::find_if(risks.begin(), risks.end(), [&](const auto& r) { return r.rule == rule; });
  return found == risks.end() ? nullptr : &found->predictions;
}

// (samples, classes) by one rule; empty where a label set lacks it.
std::vector<double> scores_of(const char* rule, std::size_t samples, std::size_t classes,
                              std::span<const std::vector<RuleRisk>> by_label,
                              std::span<const std::vector<double>> means) {
  std::vector<double> scores(samples * classes);
  const std::size_t width = classes / by_label.size();  // classes of a label set
  for (std::size_t l = 0; l < by_label.size(); ++l) {
    const auto* predictions = predictions_of(by_label[l], rule);
    if (predictions == nullptr && !by_label[l].empty()) return {};
    for (std::size_t i = 0; i < samples; ++i) {
      for (std::size_t c = 0; c < width; ++c) {
        scores[i * classes + l + c] =
            predictions == nullptr ? means[l][c] : (*predictions)[i * width + c];
      }
    }
  }
  return scores;
}

}  // namespace

ClassTruth at_samples(const ClassTruth& truth, std::span<const std::size_t> samples) {
  return {truth.classes, at_rows(truth.label, samples),
          at_rows(truth.offset, rows_of_samples(samples, truth.classes))};
}

std::vector<ErrorRate> error_rates(const ClassTruth& truth, std::span<const std::size_t> part,
                                   std::span<const std::vector<RuleRisk>> by_label,
                                   std::span<const std::vector<double>> means) {
  std::vector<ErrorRate> rates;
  if (truth.classes == 0 || std::all_of(by_label.begin(), by_label.end(),
                                        [](const auto& risks) { return risks.empty(); })) {
    return rates;
  }
  const std::size_t samples = truth.label.size(), classes = truth.classes;
  ensure((by_label.size() == 1 || by_label.size() == classes) && means.size() == by_label.size() &&
             part.size() == samples,
         "{} label sets, {} means, {} parts for {} samples of {} classes", by_label.size(),
         means.size(), part.size(), samples, classes);
  for (const auto& name : rule_names()) {
    auto scores = scores_of(name.name, samples, classes, by_label, means);
    if (scores.empty()) continue;
    for (std::size_t i = 0; i < truth.offset.size(); ++i) scores[i] += truth.offset[i];
    ErrorRate rate{name.name, 0, {}};
    rate.parts.assign(1 + *std::max_element(part.begin(), part.end()), 0.0);
    std::vector<double> counts(rate.parts.size(), 0.0);
    for (std::size_t i = 0; i < samples; ++i) {
      const auto row = scores.begin() + static_cast<std::ptrdiff_t>(i * classes);
      const auto best = std::max_element(row, row + static_cast<std::ptrdiff_t>(classes)) - row;
      const double wrong = best != truth.label[i];
      rate.rate += wrong / static_cast<double>(samples);
      rate.parts[part[i]] += wrong;
      counts[part[i]] += 1;
    }
    for (std::size_t p = 0; p < counts.size(); ++p) rate.parts[p] /= counts[p];
    rates.push_back(std::move(rate));
  }
  return rates;
}

}  // namespace ntk::theory
