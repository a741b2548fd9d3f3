#include "app/theory_report.hpp"

#include <fmt/format.h>

#include "app/task_rows.hpp"

namespace ntk::app {

using nlohmann::json;

namespace {

// The number of a {value, unit, rule} object, or of a plain one.
std::string number(const json& j, int digits = 3) {
  const json& value = j.is_object() ? j.at("value") : j;
  return value.is_number() ? fmt::format("{:.{}g}", value.get<double>(), digits) : "-";
}

class Table {
 public:
  void row(const std::string& name, const std::string& text) {
    lines_.push_back(fmt::format("  {:<12}{}", name, text));
  }
  void line(const std::string& text) { lines_.push_back(text); }
  std::vector<std::string> take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

// value ± error; the error alone says nothing.
std::string with_error(const json& value, const json& error) {
  if (!value.is_number()) return "-";
  return fmt::format("{} ± {}", number(value, 4), number(error, 2));
}

std::string curve_text(const json& plug_in) {
  std::string text;
  for (const auto& point : plug_in.at("curve")) {
    text += fmt::format("{}n = {}: {}", text.empty() ? "" : ", ", number(point.at("n"), 6),
                        with_error(point.at("risk"), point.at("standard_error")));
  }
  return text;
}

std::string growth_text(const json& growth) {
  const auto& inside = growth.at("target_in_rkhs");
  if (inside.is_null()) return ", growth from half the rows unknown";
  return fmt::format(", {} x from half the rows ({})", number(growth),
                     inside.get<bool>()
                         ? "below 1.2: as for a target in the RKHS"
                         : "above 1.2: target not in the RKHS at this n, RWY is a heuristic here");
}

std::string stop_text(const std::string& name, const json& stop) {
  if (stop.at("never").get<bool>()) return name + " never";
  return fmt::format("{} {} ({} steps, df {})", name, number(stop), number(stop.at("steps")),
                     number(stop.at("df")));
}

// "1.137 ± 0.004"; the deviation is not always known.
std::string exponent(const json& fit) {
  if (!fit.contains("sd") || fit.at("sd").is_null()) return number(fit, 4);
  return fmt::format("{} ± {}", number(fit, 4), number(fit.at("sd"), 1));
}

void decay_rows(Table& table, const json& decay) {
  const auto& alpha = decay.at("alpha");
  std::string text = "no exponent";
  if (!alpha.is_null()) {
    text = "alpha = " + exponent(alpha);
    for (const char* part : {"alpha_low", "alpha_high"}) {
      if (decay.at(part).is_null()) continue;
      const auto& window = decay.at(part).at("window");
      text += fmt::format(", {} over df {} to {}", exponent(decay.at(part)), number(window[0]),
                          number(window[1], 4));
    }
    if (decay.contains("alpha_drift")) {
      text += fmt::format(" (drift {:+.2f})", decay.at("alpha_drift").at("value").get<double>());
    }
  }
  table.row("decay", text);
  const auto& verdict = decay.at("verdict");
  table.row("", decay.contains("plateau") ? decay.at("plateau").at("text").get<std::string>()
                                          : verdict.at("kind").get<std::string>());
}

void label_rows(Table& table, const json& set, const json& decay) {
  std::string norm = "rkhs_norm2 " + number(set.at("rkhs_norm2"));
  if (const auto& growth = set.at("growth"); !growth.is_null()) norm += growth_text(growth);
  table.row("labels",
            fmt::format("{}: variance {}, of it noise {} ({})", set.at("name").get<std::string>(),
                        number(set.at("label_variance")), number(set.at("noise_variance")),
                        set.at("noise_variance").at("rule").get<std::string>()));
  table.row("", fmt::format("effective noise of the fit {}; {}", number(set.at("effective_noise")),
                            norm));
  const auto& plug_in = set.at("plug_in");
  table.row("predicted",
            "excess risk at " + curve_text(plug_in) + " (from all rows; ± by label noise alone)");
  std::string regime = "slope " + number(plug_in.at("slope"));
  const auto& last = plug_in.at("curve").back();
  if (last.at("noise_share").is_number()) {
    regime += fmt::format("; label noise makes {:.0f} % of the risk at n = {}",
                          100 * last.at("noise_share").get<double>(), number(last.at("n"), 6));
  }
  table.row("", regime);
  if (!decay.at("worst_case_exponent").is_null()) {
    table.row("worst case", fmt::format("risk ~ n^{} from the decay alone",
                                        number(decay.at("worst_case_exponent"))));
  }
  std::string stops;
  const auto& stopping = set.at("stopping");
  for (const auto& [key, name] : {std::pair<const char*, const char*>{"rwy", "RWY"},
                                  {"gcv", "GCV"},
                                  {"sure", "SURE"},
                                  {"discrepancy", "discrepancy"}}) {
    if (!stopping.contains(key)) continue;
    stops += (stops.empty() ? "" : ", ") + stop_text(name, stopping.at(key));
  }
  table.row("stop at eta", stops);
  if (stopping.contains("rwy") && stopping.at("rwy").at("vacuous").get<bool>()) {
    table.row("", "RWY's bound " + number(stopping.at("rwy").at("bound")) +
                      " is vacuous: it exceeds the null risk " + number(set.at("signal_variance")));
  }
}

// "2.33 (2.21 to 2.46)"
std::string with_interval(const json& value, const json& low, const json& high) {
  if (!value.is_number()) return "-";
  return fmt::format("{} ({} to {})", number(value), number(low), number(high));
}
std::string with_interval(const json& of) {
  return with_interval(of.at("value"), of.at("low"), of.at("high"));
}

void curve_rows(Table& table, const json& curves, const json& set) {
  const auto& sizes = curves.at("sizes");
  const auto& rules = set.at("rules");
  if (rules.empty()) return;
  const auto& oracle = rules[0];
  const std::size_t last = sizes.size() - 1;
  std::string text;
  for (std::size_t s = 0; s < sizes.size(); ++s) {
    text += fmt::format("{}n = {}: {}", s == 0 ? "" : ", ", sizes[s].get<std::int64_t>(),
                        with_interval(oracle["risk"][s], oracle["low"][s], oracle["high"][s]));
  }
  table.row("measured",
            fmt::format("{}: {} of the best stop at {}", set.at("name").get<std::string>(),
                        set.at("excess").get<bool>() ? "risk" : "error with its noise", text));
  table.row("", fmt::format("slope {}; {} training sets a size, {} test rows",
                            with_interval(oracle.at("slope")), curves.at("seeds").get<int>(),
                            curves.at("test_rows").get<std::int64_t>()));
  if (const auto& plug_in = set.at("plug_in"); !plug_in.is_null()) {
    table.row("",
              fmt::format(
                  "plug-in from {} rows: {} at n = {}, slope {}", sizes[last].get<std::int64_t>(),
                  with_interval(plug_in["risk"][last], plug_in["low"][last], plug_in["high"][last]),
                  sizes[last].get<std::int64_t>(), with_interval(plug_in.at("slope"))));
  }
  if (const auto& c = set.at("corrected"); !c.is_null()) {
    table.row("",
              fmt::format("corrected by their own parts: {} at n = {}, measured {} ({:+.1f} %; "
                          "intervals of {:.0f} % of the draws hold it)",
                          with_interval(c.at("risk"), c.at("low"), c.at("high")),
                          c.at("n").get<std::int64_t>(), number(c.at("measured")),
                          100 * c.at("error").get<double>(), 100 * c.at("covered").get<double>()));
  }
  table.row("", fmt::format("{:<17} {:>9} {:>9} {:>9} {:>10}   (n = {})", "rule", "risk",
                            "in sample", "/oracle", "eta", sizes[last].get<std::int64_t>()));
  for (const auto& rule : rules) {
    const auto& eta = rule.at("eta_median")[last];
    table.row("", fmt::format(
                      "{:<17} {:>9} {:>9} {:>9} {:>10}", rule.at("rule").get<std::string>(),
                      number(rule.at("risk")[last], 4), number(rule.at("in_sample")[last], 4),
                      number(rule.at("to_oracle")[last], 4), eta.is_null() ? "inf" : number(eta)));
  }
  for (const auto& rule : rules) {
    if (rule.at("rule") != "never" || !rule.at("to_oracle")[last].is_number()) continue;
    table.row("", fmt::format("never stopping costs {:.0f} % of the best stop's risk",
                              100 * (rule.at("to_oracle")[last].get<double>() - 1)));
  }
}

void kernel_rows(Table& table, const std::string& name, const json& report) {
  const auto& kernel = report.at("kernel");
  table.line(
      fmt::format("What the spectrum says about fine-tuning: kernel {}, {} samples, {} rows, "
                  "centred; f0 {}",
                  name, kernel.at("samples").get<std::int64_t>(),
                  kernel.at("n").get<std::int64_t>(), kernel.at("f0").get<std::string>()));
  if (report.contains("spectrum") && report.at("spectrum").contains("centred")) {
    const auto& spectrum = report.at("spectrum");
    std::string text =
        fmt::format("l_1 = {}, {} of the trace", number(spectrum["centred"]["l_1"], 4),
                    number(spectrum["centred"]["l_1_share"]));
    if (spectrum.contains("raw")) {
      text += fmt::format(" (raw: {})", number(spectrum["raw"]["l_1_share"]));
    }
    table.row("spectrum", text);
  }
  if (report.contains("decay")) decay_rows(table, report.at("decay"));
  if (report.contains("labels") && !report.at("labels").empty()) {
    label_rows(table, report.at("labels")[0], report.at("decay"));
  }
  if (report.contains("label_means")) {
    const auto& means = report.at("label_means");
    table.row("means", fmt::format("over {} label sets: excess risk at {}",
                                   means.at("label_sets").get<std::int64_t>(),
                                   curve_text(means.at("plug_in"))));
  }
  if (const auto curves = report.find("learning_curves");
      curves != report.end() && !curves->is_null()) {
    curve_rows(table, *curves, curves->at("labels")[0]);
  }
  if (report.contains("tasks") && !report.at("tasks").empty()) {
    const auto rows = task_rows(report.at("tasks")[0]);
    for (std::size_t r = 0; r < rows.size(); ++r) table.row(r == 0 ? "tasks" : "", rows[r]);
  }
  for (const auto& line : report.at("limits")) table.row("limit", line.get<std::string>());
  for (const auto& line : report.at("caveats")) table.row("caveat", line.get<std::string>());
}

}  // namespace

std::vector<std::string> theory_table(const json& theory) {
  Table table;
  for (const auto& [name, report] : theory.at("kernels").items()) kernel_rows(table, name, report);
  return table.take();
}

}  // namespace ntk::app
