// `ntk plan` for people.
#include <fmt/format.h>

#include <cmath>

#include "app/plan_limits.hpp"
#include "app/plan_verb.hpp"

namespace ntk::app {
namespace {

using nlohmann::json;

double number(const json& object, const char* name) {
  return object.at(name).get<double>();
}

// With a prefix, three digits: "1.23 T".
std::string scaled(double value, double base = 1000) {
  const char* prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
  std::size_t at = 0;
  while (std::abs(value) >= base && at + 1 < std::size(prefixes)) value /= base, ++at;
  const int digits = at == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return fmt::format("{:.{}f} {}{}", value, digits, prefixes[at], base > 1000 && at > 0 ? "i" : "");
}
std::string bytes(double value) {
  return scaled(value, 1024) + "B";
}
std::string gibibytes(const json& object, const char* name) {
  return bytes(number(object, name) * 1024 * 1024 * 1024);
}
std::string seconds(double value) {
  if (value < 120) return fmt::format("{:.1f} s", value);
  if (value < 7200) return fmt::format("{:.1f} min", value / 60);
  if (value < 172800) return fmt::format("{:.1f} h", value / 3600);
  return fmt::format("{:.1f} days", value / 86400);
}
std::string samples(const json& of) {
  const auto count = of.get<std::int64_t>();
  return count >= largest_possible ? "no limit" : fmt::format("{}", count);
}

class Lines {
 public:
  void line(const std::string& name, const std::string& text) {
    lines_.push_back(fmt::format("  {:<12}{}", name, text));
  }
  void title(const std::string& text) { lines_.push_back(text); }
  std::vector<std::string> take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

void add_kernel(Lines& out, const json& plan) {
  const json& k = plan.at("kernel");
  const json& o = k.at("operations");
  const json& c = o.at("contraction");
  const json& s = k.at("seconds");
  const json& f = k.at("files");
  out.title(fmt::format("kernel of {}: {}, {} ranks x {} threads on {} nodes, {}, {}",
                        plan.at("job").get<std::string>(), k.at("state").get<std::string>(),
                        plan.at("ranks").get<int>(), plan.at("threads").get<int>(),
                        plan.at("nodes").get<int>(), plan.at("device").get<std::string>(),
                        plan.at("precision").get<std::string>()));
  std::string evaluate;
  for (const auto& [name, rows] : k.at("evaluate_rows").items()) {
    evaluate += fmt::format(", {} {}", name, rows.get<std::int64_t>());
  }
  out.line("rows", fmt::format("{} of {} samples, {} tokens{}", k.at("rows").get<std::int64_t>(),
                               k.at("samples").get<std::int64_t>(),
                               k.at("tokens").get<std::int64_t>(), evaluate));
  out.line("work",
           fmt::format("{} panels, {} tiles, {} of {} units left in {} tasks ({} keep "
                       "their records)",
                       k.at("panels").get<int>(), k.at("tiles").get<std::int64_t>(),
                       k.at("units_left").get<std::int64_t>(), k.at("units").get<std::int64_t>(),
                       k.at("tasks").get<int>(), k.at("tasks_keeping_records").get<int>()));
  out.line("operations", fmt::format("{}: forward {}, recompute {}, backward {}, forming {}",
                                     scaled(number(o, "total")), scaled(number(o, "forward")),
                                     scaled(number(o, "recompute")), scaled(number(o, "backward")),
                                     scaled(number(o, "forming"))));
  out.line("", fmt::format("contraction: linear maps by gradients {}, by factors {}, vectors {}, "
                           "tables {}",
                           scaled(number(c, "explicit")), scaled(number(c, "structured")),
                           scaled(number(c, "vectors")), scaled(number(c, "lookups"))));
  if (const json& m = k.at("memory"); !m.empty()) {
    const bool gpu = plan.at("device") == "cuda";
    out.line(
        "memory",
        fmt::format("{} of the host{} a rank at the peak; {} may be used", gibibytes(m, "host_gib"),
                    gpu ? fmt::format(" and {} of the GPU", gibibytes(m, "device_gib")) : "",
                    gibibytes(m, "limit_gib")));
    out.line("",
             fmt::format("program {}, weights {}, panels {}, gradients {}, tiles {}, copies {}, "
                         "self-check {} more",
                         gibibytes(m, "program_gib"), gibibytes(m, "weights_gib"),
                         gibibytes(m, "panels_gib"), gibibytes(m, "gradients_gib"),
                         gibibytes(m, "tiles_gib"), gibibytes(m, "copies_gib"),
                         gibibytes(m, "self_check_gib")));
  }
  out.line("network", fmt::format("{} a rank, and progress of some bytes a second",
                                  bytes(number(k, "network_bytes_a_rank"))));
  out.line("files",
           fmt::format("kernel.h5 {}, while it is made {}{}; {} free",
                       bytes(number(f, "kernel_bytes")), bytes(number(f, "partial_bytes")),
                       number(f, "mirror_bytes") > 0 ? fmt::format(", mirrored at the end ({})",
                                                                   bytes(number(f, "mirror_bytes")))
                                                     : ", lower triangle only",
                       bytes(number(f, "free_bytes"))));
  if (k.at("state") == "complete") return;
  const json& r = k.at("rates");
  out.line("time", fmt::format("{} at {}FLOP/s a rank ({}): start {}, tasks {}, self-check {}, "
                               "finish {}",
                               seconds(number(s, "total")), scaled(number(r, "gemm")),
                               r.at("gemm_measured").get<bool>() ? "measured" : "given",
                               seconds(number(s, "start")), seconds(number(s, "kernel")),
                               seconds(number(s, "self_check")), seconds(number(s, "finish"))));
  out.line("", fmt::format("tasks: {:.0f} % of it useful at the GEMM rate; panels are made ready "
                           "for {:.0f} % of the contraction; {} first touching memory",
                           100 * number(k, "efficiency"), 100 * number(k, "rebuild_share"),
                           seconds(number(s, "fresh_memory"))));
}

void add_spectrum(Lines& out, const json& s) {
  const json& g = s.at("grid");
  out.title(fmt::format("spectrum: {} of order {}, {}{}, on a {} x {} grid ({} ranks idle)",
                        s.at("spectra").get<int>(), s.at("order").get<std::int64_t>(),
                        s.at("method").get<std::string>(),
                        s.at("vectors").get<bool>() ? " with vectors" : "", g.at("rows").get<int>(),
                        g.at("columns").get<int>(), g.at("idle").get<int>()));
  out.line("memory", fmt::format("{} a rank", gibibytes(s, "memory_gib")));
  out.line("32 bits", fmt::format("local matrix {}, workspace {} of {} numbers",
                                  s.at("local_numbers").get<std::int64_t>(),
                                  s.at("workspace_numbers").get<std::int64_t>(),
                                  s.at("largest_32bit").get<std::int64_t>()));
  out.line("network", fmt::format("about {} a rank", bytes(number(s, "network_bytes_a_rank"))));
  out.line("file", fmt::format("spectrum.h5 {}", bytes(number(s, "file_bytes"))));
}

void add_sweep(Lines& out, const json& sweep) {
  out.title("ranks (as many a node, each with the same memory and threads)");
  out.title(fmt::format("  {:>6}{:>8}{:>12}{:>10}{:>12}{:>8}{:>10}{:>12}{:>12}", "ranks", "tasks",
                        "time", "speed-up", "efficiency", "idle", "rebuild", "host", "GPU"));
  for (const auto& row : sweep) {
    out.title(fmt::format("  {:>6}{:>8}{:>12}{:>10.1f}{:>10.0f} %{:>6.0f} %{:>8.0f} %{:>12}{:>12}",
                          row.at("ranks").get<int>(), row.at("tasks").get<int>(),
                          seconds(number(row, "seconds")), number(row, "speedup"),
                          100 * number(row, "efficiency"), 100 * number(row, "idle"),
                          100 * number(row, "rebuild_share"), gibibytes(row, "host_gib"),
                          gibibytes(row, "device_gib")));
  }
}

}  // namespace

std::vector<std::string> plan_table(const json& plan) {
  Lines out;
  add_kernel(out, plan);
  if (plan.contains("spectrum")) add_spectrum(out, plan.at("spectrum"));
  const json& l = plan.at("largest");
  out.title(fmt::format(
      "largest data.samples that would fit: {} (disk {}{}; the kernel's memory "
      "does not grow with it)",
      samples(l.at("samples")), samples(l.at("disk")),
      l.contains("spectrum") ? fmt::format(", spectrum {}", samples(l.at("spectrum"))) : ""));
  if (plan.contains("sweep")) add_sweep(out, plan.at("sweep"));
  out.title("weights were not read: neither whether they are finite nor whose kernel they made");
  return out.take();
}

}  // namespace ntk::app
