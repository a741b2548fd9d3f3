#include "app/theory_closing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "app/theory_text.hpp"

namespace ntk::app {

using nlohmann::json;

namespace {

using Sentences = std::vector<std::string>;

// Caveats that a sentence says too.
constexpr std::array said_above{"alpha drifts", "target not in the RKHS"};

std::string percent(double part) {
  return fmt::format("{:.0f} %", 100 * part);
}

// "12 % (8 to 16 %)" of a ratio and its interval turned by f.
template <class F>
std::string percents(const json& value, const json& low, const json& high, F f) {
  const std::string middle = percent(f(value.get<double>()));
  if (!low.is_number() || !high.is_number()) return middle;
  const double a = f(low.get<double>()), b = f(high.get<double>());
  return fmt::format("{} ({:.0f} to {})", middle, 100 * std::min(a, b), percent(std::max(a, b)));
}

void decay_sentence(Sentences& lines, const json& decay) {
  if (decay.is_null()) return;
  std::string text = "Decay: ";
  const auto& plateau = part_of(decay, "plateau", "text");
  text += plateau.is_string() ? plateau.get<std::string>()
                              : part_of(decay, "verdict", "kind").get<std::string>();
  if (const auto& alpha = decay.at("alpha"); !alpha.is_null()) {
    text += fmt::format("; one exponent for all is {}", exponent_text(alpha));
    if (const auto& drift = part_of(decay, "alpha_drift"); !drift.is_null()) {
      text +=
          fmt::format(", and drifts by {:+.2f} within its window", drift.at("value").get<double>());
    }
  }
  lines.push_back(text + ".");
}

void exponent_sentence(Sentences& lines, const json& decay, const json& set) {
  std::string text;
  if (const auto& worst = part_of(decay, "worst_case_exponent"); !worst.is_null()) {
    text = fmt::format("Exponents: n^{} in the worst case", number_text(worst));
  }
  if (const auto& of = part_of(set, "target", "predictions"); !of.is_null()) {
    text += fmt::format("{}n^{} with this target and its noise, n^{} before the noise matters",
                        text.empty() ? "Exponents: " : ", ", with_interval(of.at("noisy")),
                        number_text(of.at("noise_free")));
    if (const auto& ridge = of.at("ridge_noisy"); !ridge.is_null()) {
      text += ridge.at("value") == of.at("noisy").at("value")
                  ? " (ridge regression too)"
                  : fmt::format(" (ridge regression n^{})", number_text(ridge));
    }
  }
  if (text.empty()) return;
  const auto& found = part_of(decay, "plateau", "found");
  if (found == json(false)) text += ": summaries and no predictions, for no power law passes";
  lines.push_back(text + ".");
}

void label_sentence(Sentences& lines, const json& set) {
  lines.push_back(fmt::format(
      "Labels ({}): variance {}, of it noise {}, while the fit takes {} for noise; alignment with "
      "the kernel {}.",
      set.at("name").get<std::string>(), number_text(set.at("label_variance")),
      number_text(set.at("noise_variance")), number_text(set.at("effective_noise")),
      number_text(part_of(set, "target", "alignment"))));
}

void predicted_sentence(Sentences& lines, const json& plug_in) {
  const auto& curve = plug_in.at("curve");
  for (auto point = curve.rbegin(); point != curve.rend(); ++point) {
    if (!point->at("risk").is_number()) continue;
    std::string text = fmt::format("Predicted excess risk at n = {}: {} by label noise alone",
                                   number_text(point->at("n"), 6),
                                   with_error(point->at("risk"), point->at("standard_error")));
    if (plug_in.at("slope").at("value").is_number()) {
      text += fmt::format(", falling as n^{} from n = {} on", number_text(plug_in.at("slope")),
                          number_text(curve.front().at("n"), 6));
    }
    lines.push_back(text + ".");
    return;
  }
}

const json* rule_named(const json& study, const std::string& name) {
  for (const auto& rule : study.at("rules")) {
    if (rule.at("rule") == name) return &rule;
  }
  return nullptr;
}

void measured_sentences(Sentences& lines, const json& curves, const json& study) {
  const auto* oracle = rule_named(study, "oracle");
  if (!oracle) return;
  const std::size_t last = curves.at("sizes").size() - 1;
  const auto n = curves.at("sizes")[last].get<std::int64_t>();
  std::string text = fmt::format(
      "Measured {} at n = {}: {}", study.at("excess").get<bool>() ? "risk" : "error with its noise",
      n, with_interval((*oracle)["risk"][last], (*oracle)["low"][last], (*oracle)["high"][last]));
  if (last > 0) {
    text += fmt::format(", falling as n^{} from n = {} on", with_interval(oracle->at("slope")),
                        curves.at("sizes")[0].get<std::int64_t>());
  }
  lines.push_back(text + fmt::format("; best stop, {} training sets, {} test rows.",
                                     curves.at("seeds").get<int>(),
                                     curves.at("test_rows").get<std::int64_t>()));
  text.clear();
  if (const auto& plug_in = study.at("plug_in"); !plug_in.is_null()) {
    text = fmt::format(
        "From such {} rows alone the prediction is {}", n,
        with_interval(plug_in["risk"][last], plug_in["low"][last], plug_in["high"][last]));
    if (last > 0) text += fmt::format(", slope {}", with_interval(plug_in.at("slope")));
  }
  if (const auto& c = study.at("corrected"); !c.is_null()) {
    text += fmt::format(
        "{} corrected by their own halves {}, {:+.0f} % off; {} of these intervals hold what is "
        "measured",
        text.empty() ? fmt::format("From such {} rows alone,", n) : ";",
        with_interval(c.at("risk"), c.at("low"), c.at("high")), 100 * c.at("error").get<double>(),
        percent(c.at("covered")));
  }
  if (!text.empty()) lines.push_back(text + ".");
}

void regime_sentence(Sentences& lines, const json& regime) {
  const auto& noise = part_of(regime, "noise_share");
  if (noise.is_null()) return;
  std::string text = fmt::format(
      "Regime at n = {}: label noise makes {} of the predicted risk, the labels' mean has {} x it",
      number_text(noise.at("n"), 6), percent(noise.at("value")),
      number_text(regime.at("null_to_best")));
  if (const auto& never = regime.at("never_to_best"); !never.is_null()) {
    text += fmt::format("; never stopping has {} x it at n = {}: {}", number_text(never),
                        number_text(never.at("n"), 6),
                        regime.at("stopping_matters").get<bool>() ? "stopping matters"
                                                                  : "stopping hardly matters here");
  }
  lines.push_back(text + ".");
}

void stopping_sentence(Sentences& lines, const json& curves, const json& study) {
  const std::size_t last = curves.at("sizes").size() - 1;
  std::string text;
  if (const auto* never = rule_named(study, "never");
      never && never->at("to_oracle")[last].is_number()) {
    text = fmt::format(
        "Stopping early gains {} over never stopping (measured, n = {})",
        percents((*never)["to_oracle"][last], (*never)["to_oracle_low"][last],
                 (*never)["to_oracle_high"][last], [](double ratio) { return 1 - 1 / ratio; }),
        curves.at("sizes")[last].get<std::int64_t>());
  }
  const json *best = nullptr, *worst = nullptr;
  const auto ratio = [&](const json* rule) { return rule->at("to_oracle")[last].get<double>(); };
  for (const char* name :
       {"discrepancy", "smoothed", "leave_one_out", "k_fold", "hold_out", "gcv", "sure", "rwy"}) {
    const auto* rule = rule_named(study, name);
    if (!rule || !rule->at("to_oracle")[last].is_number()) continue;
    if (!best || ratio(rule) < ratio(best)) best = rule;
    if (!worst || ratio(rule) > ratio(worst)) worst = rule;
  }
  if (best && !text.empty()) {
    text += fmt::format(
        "; of the rules that need no oracle {} reaches {:.3f} x its risk, {} "
        "{:.3f} x",
        best->at("rule").get<std::string>(), ratio(best), worst->at("rule").get<std::string>(),
        ratio(worst));
  }
  if (!text.empty()) lines.push_back(text + ".");
}

void rwy_sentence(Sentences& lines, const json& set) {
  const auto& rwy = part_of(set, "stopping", "rwy");
  if (rwy.is_null()) return;
  std::string text = fmt::format("RWY stops after {} steps of 1/l_1", number_text(rwy.at("steps")));
  if (const auto& closed = rwy.at("closed_form"); !closed.is_null()) {
    text += fmt::format(" ({:+.0f} % by the closed form of a {} law)",
                        100 * closed.at("relative_difference").get<double>(),
                        closed.at("law").get<std::string>());
  }
  if (const auto& growth = part_of(set, "growth"); !growth.is_null()) {
    const auto& inside = growth.at("target_in_rkhs");
    if (!inside.is_null()) {
      text += fmt::format("; its norm grows {} x from n/2 to n: {}", number_text(growth),
                          inside.get<bool>() ? "as in the RKHS" : "a heuristic here");
    }
  }
  if (rwy.at("vacuous").get<bool>()) text += "; its bound is vacuous";
  lines.push_back(text + ".");
}

void training_sentence(Sentences& lines, const json& report, const json& set) {
  if (part_of(report, "training").is_null()) return;
  std::string text;
  for (const auto& [rule, stop] : set.at("stopping").items()) {
    if (!stop.contains("epochs")) continue;
    text += fmt::format("{}{} after {} steps ({} epochs)", text.empty() ? "" : ", ", rule,
                        number_text(stop.at("training_steps")), number_text(stop.at("epochs")));
  }
  if (!text.empty()) lines.push_back("Your training stops by " + text + ".");
}

}  // namespace

std::vector<std::string> closing_lines(const std::string& name, const json& report) {
  Sentences lines;
  const auto& decay = part_of(report, "decay");
  decay_sentence(lines, decay);
  const auto& labels = part_of(report, "labels");
  const json* set = labels.is_array() && !labels.empty() ? &labels[0] : nullptr;
  exponent_sentence(lines, decay, set ? *set : labels);
  const auto& curves = part_of(report, "learning_curves");
  const json* study = curves.is_null() ? nullptr : &curves.at("labels")[0];
  if (set) {
    label_sentence(lines, *set);
    predicted_sentence(lines, set->at("plug_in"));
  }
  if (study) measured_sentences(lines, curves, *study);
  if (set) regime_sentence(lines, part_of(*set, "regime"));
  if (study) stopping_sentence(lines, curves, *study);
  if (set) {
    rwy_sentence(lines, *set);
    training_sentence(lines, report, *set);
  }
  for (const auto& caveat : report.at("caveats")) {
    const auto text = caveat.get<std::string>();
    if (std::ranges::none_of(said_above,
                             [&](const char* start) { return text.starts_with(start); })) {
      lines.push_back("Caveat: " + text + ".");
    }
  }
  if (const auto count = report.at("limits").size(); count > 0) {
    lines.push_back(fmt::format("{} thing{} could not be said: see `limit` above.", count,
                                count == 1 ? "" : "s"));
  }
  for (auto& line : lines) line = "  " + line;
  lines.insert(lines.begin(), fmt::format("In short: kernel {}, {} samples", name,
                                          report.at("kernel").at("samples").get<std::int64_t>()));
  return lines;
}

}  // namespace ntk::app
