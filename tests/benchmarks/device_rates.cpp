// Rates of a device in one precision: its matrix product, every small operation against what its
// memory moves, and the contraction per shape of a site. Usage: README.md.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.hpp"
#include "device/cpu/blas_core.hpp"
#include "device/cuda.hpp"
#include "jacobian/contraction.hpp"
#include "kernel/gemm_rate.hpp"
#include "operations.hpp"

namespace {

using namespace ntk;
using nlohmann::json;

constexpr int no_device = 77;

struct Options {
  std::string device = "cuda", precision = "fp32", json;
  std::vector<std::string> parts{"gemm", "operations", "contraction"};
  std::vector<int> panels{8, 16};
  bool small = false, find = false;
  int threads = static_cast<int>(std::thread::hardware_concurrency());

  device::Kind kind() const { return device == "cuda" ? device::Kind::cuda : device::Kind::cpu; }
  bool wants(const char* part) const {
    return std::find(parts.begin(), parts.end(), part) != parts.end();
  }
};

template <class Real>
class Report {
 public:
  explicit Report(const Options& options)
      : options_(options),
        precision_(device::facts(options.precision).precision),
        shape_(options.small ? bench::small : bench::bert_base),
        least_(options.small ? 0.002 : 0.1),
        backend_(options.kind() == device::Kind::cuda
                     ? device::make_cuda_backend<Real>(0, precision_, 0)
                     : device::make_cpu_backend<Real>(options.threads, 0)),
        rate_(kernel::GemmRate<Real>(*backend_).mean()) {
    settings_.copies = shape_.copies;
    settings_.set_device(options.kind(), precision_);
  }

  json run() {
    json all = {{"device", options_.device}, {"precision", options_.precision}, {"gemm", rate_}};
    fmt::print("\n{}: GEMM {:.2f} TFLOP/s\n", options_.precision, rate_ / 1e12);
    if (options_.wants("gemm")) all["products"] = products();
    if (options_.wants("operations")) all["operations"] = operations();
    if (options_.wants("contraction")) all["contraction"] = contraction();
    return all;
  }

 private:
  // The same product of numbers that are all zero and of random ones: a device that saves power on
  // zeros runs them at a higher clock.
  json products() {
    const std::int64_t order = options_.small ? 256 : 8192, columns = settings_.chunk_columns;
    json rates;
    for (const bool random : {false, true}) {
      auto x = bench::random_array(*backend_, order * columns, 1);
      if (!random) x.zero();
      device::Array<char, Real> memory(*backend_, backend_->operand_bytes(order, columns));
      const device::Operands rows{memory.data(), 0, columns, settings_.chunk_columns};
      backend_->put_rows(order, x.data(), rows, 0);
      device::Array<double, Real> tile(*backend_, order * order);
      tile.zero();
      const typename device::Backend<Real>::Product product{0,     0,           0,     0,    order,
                                                            order, tile.data(), order, false};
      const double seconds = bench::seconds_of(*backend_, least_, [&] {
        backend_->contract(rows, {&product, 1});
      });
      const double rate = 2.0 * static_cast<double>(order * order * columns) / seconds;
      rates[random ? "random" : "zeros"] = rate;
      fmt::print("  {} x {} x {} of {}, added to a tile: {:.2f} TFLOP/s, {:.0f} % of GEMM\n", order,
                 order, columns, random ? "random numbers" : "zeros", rate / 1e12,
                 100 * rate / rate_);
    }
    return rates;
  }

  json operations() {
    bench::OperationRates<Real> rates(*backend_, settings_, shape_, least_);
    const double bandwidth = rates.copy_bandwidth();
    fmt::print(
        "\nOne panel: {} samples x {} tokens, width {}, inner {}, {} heads, {} copies; "
        "adding two arrays moves {:.0f} GB/s\n\n",
        shape_.samples, shape_.tokens, shape_.width, shape_.inner, shape_.heads, shape_.copies,
        bandwidth / 1e9);
    fmt::print(
        "| operation | us | GB/s | of adding | GFLOP/s | of GEMM |\n|---|---|---|---|---|---|\n");
    json list = json::array();
    for (const auto& r : rates.all()) {
      const double moved = r.bytes / r.seconds, done = r.operations / r.seconds;
      fmt::print("| {} | {:.1f} | {:.0f} | {:.0f} % |{}\n", r.name, 1e6 * r.seconds, moved / 1e9,
                 100 * moved / bandwidth,
                 r.operations > 0
                     ? fmt::format(" {:.0f} | {:.1f} % |", done / 1e9, 100 * done / rate_)
                     : "  |  |");
      list.push_back({{"name", r.name},
                      {"seconds", r.seconds},
                      {"bytes", r.bytes},
                      {"operations", r.operations}});
    }
    return {{"bandwidth", bandwidth}, {"list", list}};
  }

  json contraction() {
    double least = 1e9, most = 0;
    fmt::print(
        "\n| site | panels | rows | form s | contract s | share | share, forming included |\n"
        "|---|---|---|---|---|---|---|\n");
    json list = json::array();
    const std::int64_t w = shape_.width, inner = shape_.inner;
    for (const auto& [outputs, inputs] : {std::pair{w, w}, {inner, w}, {w, inner}}) {
      for (const int panels : options_.panels) {
        list.push_back(site(outputs, inputs, panels));
        const double share = list.back()["share"].get<double>();
        least = std::min(least, share);
        most = std::max(most, share);
      }
    }
    fmt::print("\nGEMM {:.2f} TFLOP/s; contraction at {:.0f} to {:.0f} % of it, forming included\n",
               rate_ / 1e12, 100 * least, 100 * most);
    return list;
  }

  // All tiles p >= q of `panels` panels. What is needed counts: of a panel with itself half.
  json site(std::int64_t outputs, std::int64_t inputs, int panels) {
    using Factor = model::Factor<Real>;
    const auto layout = std::make_shared<model::Layout<Real>>(
        *backend_, bench::equal_offsets(shape_.samples, shape_.tokens));
    std::vector<model::Buffer<Real>> activations;
    std::vector<Factor> factors;
    std::vector<device::Array<double, Real>> memory;
    std::vector<jacobian::PairTile> tiles;
    const std::int64_t rows = shape_.copies * shape_.samples;
    for (int p = 0; p < panels; ++p) {
      const auto seed = static_cast<unsigned>(2 * p);
      activations.push_back(bench::random_array(*backend_, shape_.rows() * inputs, seed));
      Factor f;
      f.layout = layout;
      f.activations = activations.back().data();
      f.cotangents = std::make_shared<model::Buffer<Real>>(
          bench::random_array(*backend_, shape_.copies * shape_.rows() * outputs, seed + 1));
      f.inputs = inputs;
      f.outputs = outputs;
      factors.push_back(f);
      for (int q = 0; q <= p; ++q) {
        memory.emplace_back(*backend_, rows * rows).zero();
        tiles.push_back({p, q, p == q, memory.back().data()});
      }
    }
    std::vector<const Factor*> of_panels;
    for (const auto& f : factors) of_panels.push_back(&f);
    auto settings = settings_;
    settings.methods = {jacobian::Method::explicit_};
    jacobian::Times times;
    jacobian::contract_parameter<Real>(*backend_, settings, of_panels, tiles, times,
                                       [] {});  // warms up
    times = {};
    int repeats = 0;
    for (; repeats == 0 || times.form + times.contract < 3 * least_; ++repeats) {
      jacobian::contract_parameter<Real>(*backend_, settings, of_panels, tiles, times, [] {});
    }
    const double form = times.form / repeats, contract = times.contract / repeats;
    const auto all = static_cast<double>(panels * rows);
    const double needed = all * all * static_cast<double>(outputs * inputs);
    const double share = needed / contract / rate_, whole = needed / (contract + form) / rate_;
    fmt::print("| {} x {} | {} | {} | {:.5f} | {:.5f} | {:.0f} % | {:.0f} % |\n", outputs, inputs,
               panels, panels * rows, form, contract, 100 * share, 100 * whole);
    return {{"outputs", outputs}, {"inputs", inputs},     {"panels", panels},
            {"form", form},       {"contract", contract}, {"share_without_form", share},
            {"share", whole}};
  }

  const Options& options_;
  device::Precision precision_;
  bench::Shape shape_;
  double least_;
  std::unique_ptr<device::Backend<Real>> backend_;
  double rate_;
  jacobian::Settings settings_;
};

// One line that names the device; says why not where there is none.
bool find(const Options& options) {
  if (options.kind() == device::Kind::cpu) {
    fmt::print("CPU, {} threads, {} ({})\n", options.threads, device::cpu::blas_name(),
               device::cpu::blas_core());
    return true;
  }
  const auto found = device::cuda_devices();
  if (found.devices.empty()) {
    fmt::print("no GPU: {}\n", found.problem);
    return false;
  }
  const auto& d = found.devices.front();
  fmt::print("{}, compute capability {}, {:.1f} GiB, {}\n", d.name, d.capability,
             static_cast<double>(d.total_bytes) / (1 << 30), device::cuda_versions());
  return true;
}

int run(const Options& options) {
  if (!find(options)) return no_device;
  if (options.find) return 0;
  const bool wide = options.precision == "fp64";
  const json made = wide ? Report<double>(options).run() : Report<float>(options).run();
  if (!options.json.empty()) {
    std::ofstream file(options.json);
    file << made.dump(1) << "\n";
    require(file.good(), ExitCode::io, "cannot write {}", options.json);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string slow = device::cpu::cure_slow_blas(argv);
  if (!slow.empty()) fmt::print(stderr, "{}\n", slow);
  device::cpu::set_blas_threads(1);
  Options options;
  CLI::App cli("Rates of a device in one precision (tests/benchmarks/README.md).");
  cli.add_option("--device", options.device)->check(CLI::IsMember({"cpu", "cuda"}));
  std::vector<std::string> names;
  for (const auto& p : device::precisions) names.emplace_back(p.name);
  cli.add_option("--precision", options.precision)->check(CLI::IsMember(names));
  cli.add_option("--parts", options.parts, "gemm, operations, contraction")->delimiter(',');
  cli.add_option("--panels", options.panels, "of the contraction, 512 rows each")->delimiter(',');
  cli.add_option("--threads", options.threads, "of the CPU");
  cli.add_option("--json", options.json, "writes everything to this file too");
  cli.add_flag("--small", options.small, "sizes at which a CPU is done in a second");
  cli.add_flag("--find", options.find, "names the device and does nothing; exit 77 without one");
  CLI11_PARSE(cli, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
