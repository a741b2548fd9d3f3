#include "app/theory_report.hpp"

#include <fmt/format.h>

#include <optional>

#include "app/task_rows.hpp"
#include "app/theory_closing.hpp"
#include "app/theory_text.hpp"

namespace ntk::app {

using nlohmann::json;

namespace {

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

std::string curve_text(const json& plug_in) {
  std::string text;
  for (const auto& point : plug_in.at("curve")) {
    text += fmt::format("{}n = {}: {}", text.empty() ? "" : ", ", number_text(point.at("n"), 6),
                        with_error(point.at("risk"), point.at("standard_error")));
  }
  return text;
}

std::string stop_text(const std::string& name, const json& stop) {
  if (stop.at("never").get<bool>()) return name + " never";
  return fmt::format("{} {} ({} steps, df {})", name, number_text(stop),
                     number_text(stop.at("steps")), number_text(stop.at("df")));
}

void decay_rows(Table& table, const json& decay) {
  const auto& alpha = decay.at("alpha");
  std::string text = "no exponent";
  if (!alpha.is_null()) {
    text = "alpha = " + exponent_text(alpha);
    for (const char* part : {"alpha_low", "alpha_high"}) {
      if (decay.at(part).is_null()) continue;
      const auto& window = decay.at(part).at("window");
      text += fmt::format(", {} over df {} to {}", exponent_text(decay.at(part)),
                          number_text(window[0]), number_text(window[1], 4));
    }
  }
  table.row("decay", text);
}

void label_rows(Table& table, const json& set) {
  table.row("labels",
            fmt::format("{}: noise from {}; rkhs_norm2 {}", set.at("name").get<std::string>(),
                        set.at("noise_variance").at("rule").get<std::string>(),
                        number_text(set.at("rkhs_norm2"))));
  const auto& plug_in = set.at("plug_in");
  table.row("predicted",
            "excess risk at " + curve_text(plug_in) + " (from all rows; ± by label noise alone)");
  std::string never;
  for (const auto& point : plug_in.at("curve")) {
    if (!point.at("never_stopping").is_number()) continue;
    never += fmt::format("{}n = {}: {}", never.empty() ? "" : ", ", number_text(point.at("n"), 6),
                         number_text(point.at("never_stopping"), 4));
  }
  if (!never.empty()) table.row("", "never stopping at " + never);
  std::string tails;
  for (const auto& fit : part_of(set, "target", "tails", "fits")) {
    tails += fmt::format("{}{} over ranks {} to {}", tails.empty() ? "" : ", ",
                         number_text(fit.at("s")), fit.at("window")[0].get<std::int64_t>(),
                         fit.at("window")[1].get<std::int64_t>());
  }
  if (!tails.empty()) {
    table.row("target", fmt::format("beyond rank k it falls as k^-s, s = {}; source exponent {}",
                                    tails, number_text(part_of(set, "target", "source_exponent"))));
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
  if (stopping.contains("rwy")) {
    table.row("", fmt::format("RWY's bound {}; the null risk is {}",
                              number_text(stopping.at("rwy").at("bound")),
                              number_text(set.at("signal_variance"))));
  }
}

// The learning curves of a label set, null where there are none.
const json* study_of(const json& report, const std::string& name) {
  const auto curves = report.find("learning_curves");
  if (curves == report.end() || curves->is_null()) return nullptr;
  for (const auto& set : curves->at("labels")) {
    if (set.at("name") == name) return &set;
  }
  return nullptr;
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
  table.row("", fmt::format("{:<17} {:>9} {:>9} {:>9} {:>10}   (n = {})", "rule", "risk",
                            "in sample", "/oracle", "eta", sizes[last].get<std::int64_t>()));
  for (const auto& rule : rules) {
    const auto& eta = rule.at("eta_median")[last];
    table.row("", fmt::format("{:<17} {:>9} {:>9} {:>9} {:>10}", rule.at("rule").get<std::string>(),
                              number_text(rule.at("risk")[last], 4),
                              number_text(rule.at("in_sample")[last], 4),
                              number_text(rule.at("to_oracle")[last], 4),
                              eta.is_null() ? "inf" : number_text(eta)));
  }
}

// One line a set: all rows trained, and the same by size where there are learning curves.
void evaluation_rows(Table& table, const json& set, const json* curve) {
  if (!set.contains("evaluate") || set.at("evaluate").is_null()) return;
  for (const auto& [name, judged] : set.at("evaluate").items()) {
    const auto& oracle = judged.at("rules")[0];
    std::string text = fmt::format("{}: {} of the best stop {}", name,
                                   judged.at("excess").get<bool>() ? "risk" : "error",
                                   with_interval(oracle["risk"], oracle["low"], oracle["high"]));
    for (const auto& rule : judged.at("rules")) {
      const auto id = rule.at("rule").get<std::string>();
      if (id != "gcv" && id != "never" && id != "null") continue;
      text += fmt::format(", {} {}", id == "gcv" ? "GCV" : id, number_text(rule.at("risk")));
    }
    if (curve) {
      const auto& rules = curve->at("evaluate").at(name).at("rules");
      if (!rules.empty()) text += ", slope " + number_text(rules[0].at("slope"), 2);
    }
    table.row(name == set.at("evaluate").begin().key() ? "evaluation" : "",
              text + fmt::format(" ({} rows, by their {})", judged.at("rows").get<std::int64_t>(),
                                 judged.at("judged_by").get<std::string>()));
  }
}

// "oracle 0.12 (0.1 to 0.15), GCV 0.13, never 0.14, null 0.5"; with `at`, of lists.
std::string error_text(const json& rules, std::optional<std::size_t> at) {
  const auto pick = [&](const json& value) { return at ? value.at(*at) : value; };
  std::string text;
  for (const auto& rule : rules) {
    const auto id = rule.at("rule").get<std::string>();
    if (id == "oracle") {
      text += "oracle " + with_interval(pick(rule.at("error_rate")), pick(rule.at("low")),
                                        pick(rule.at("high")));
    } else if (id == "gcv" || id == "never" || id == "null") {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", id == "gcv" ? "GCV" : id,
                          number_text(pick(rule.at("error_rate"))));
    }
  }
  return text;
}

void class_rows(Table& table, const json& report) {
  const auto curves = report.find("learning_curves");
  if (curves != report.end() && !curves->is_null() && !curves->at("classes").is_null()) {
    const auto& sizes = curves->at("sizes");
    table.row("error rate",
              fmt::format("at n = {}: {}", sizes.back().get<std::int64_t>(),
                          error_text(curves->at("classes").at("rules"), sizes.size() - 1)));
  }
  if (!report.contains("classes") || report.at("classes").is_null()) return;
  for (const auto& [name, set] : report.at("classes").at("evaluate").items()) {
    table.row("error rate",
              fmt::format("on {}, all rows trained: {}", name, error_text(set.at("rules"), {})));
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
        fmt::format("l_1 = {}, {} of the trace", number_text(spectrum["centred"]["l_1"], 4),
                    number_text(spectrum["centred"]["l_1_share"]));
    if (spectrum.contains("raw")) {
      text += fmt::format(" (raw: {})", number_text(spectrum["raw"]["l_1_share"]));
    }
    table.row("spectrum", text);
  }
  if (report.contains("decay")) decay_rows(table, report.at("decay"));
  if (report.contains("labels") && !report.at("labels").empty()) {
    label_rows(table, report.at("labels")[0]);
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
  if (report.contains("labels") && !report.at("labels").empty()) {
    const auto& set = report.at("labels")[0];
    evaluation_rows(table, set, study_of(report, set.at("name").get<std::string>()));
  }
  class_rows(table, report);
  if (report.contains("tasks") && !report.at("tasks").empty()) {
    const auto rows = task_rows(report.at("tasks")[0]);
    for (std::size_t r = 0; r < rows.size(); ++r) table.row(r == 0 ? "tasks" : "", rows[r]);
  }
  for (const auto& line : report.at("limits")) table.row("limit", line.get<std::string>());
}

}  // namespace

std::vector<std::string> theory_table(const json& theory) {
  Table table;
  if (const auto from = theory.find("targets"); from != theory.end() && !from->is_null()) {
    table.line("Labels, noise and references of " + from->at("file").get<std::string>());
  }
  const auto& kernels = theory.at("kernels");
  for (const auto& [name, report] : kernels.items()) kernel_rows(table, name, report);
  for (const auto& [name, report] : kernels.items()) {
    for (const auto& line : closing_lines(name, report)) table.line(line);
  }
  return table.take();
}

}  // namespace ntk::app
