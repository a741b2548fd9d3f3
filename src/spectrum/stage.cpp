#include "spectrum/stage.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/stopwatch.hpp"
#include "device/precision.hpp"
#include "parallel/collectives.hpp"
#include "spectrum/checks.hpp"
#include "spectrum/gpu.hpp"
#include "spectrum/memory.hpp"
#include "spectrum/named_kernel.hpp"
#include "spectrum/plan.hpp"
#include "spectrum/projections.hpp"
#include "spectrum/spectrum_file.hpp"
#include "spectrum/tail_sums.hpp"

namespace ntk::spectrum {

namespace h5 = store::h5;
using nlohmann::json;
using parallel::collectively;

namespace {

constexpr std::int64_t kStripNumbers = std::int64_t{1} << 23;  // 64 MiB a round of reading, writing

// Rows of `width` numbers that make one round.
std::int64_t strip_rows(std::int64_t width) {
  return std::max<std::int64_t>(1, kStripNumbers / std::max<std::int64_t>(1, width));
}

// Unit roundoff of the kernel's entries: that of its precision, and of its storage.
double unit_roundoff(const json& attributes) {
  double worst = device::facts(device::Precision::fp64).roundoff;
  for (const char* key : {"kernel.precision", "kernel.storage"}) {
    const json name = attributes.value(key, json());
    if (name.is_string()) {
      worst = std::max(worst, device::facts(name.get<std::string>()).roundoff);
    }
  }
  return worst;
}

struct Seconds {
  double load = 0, solve = 0, check = 0, project = 0, write = 0;
};

// The stage on the active ranks.
class Stage {
 public:
  Stage(const BlacsGrid& grid, const Job::Spectrum& options, bool projections,
        const SolveRequest& request, const Placement& place, const store::KernelReader& kernel,
        SpectrumFile* file, const GivenLabels* given)
      : grid_(grid),
        options_(options),
        projections_(projections),
        request_(request),
        place_(place),
        kernel_(kernel),
        file_(file),
        n_(kernel.order()),
        block_(parallel::choose_block(n_, grid.shape())),
        unit_(unit_roundoff(kernel.attributes())) {
    collectively(comm(), [&] {
      delta_ = kernel.error().delta;
      if (projections) {
        const auto add = [&](const std::string& mark, const store::SampleTable& samples) {
          fields_[projections_group(mark)] = fields_of(
              samples, kernel.outputs(), kernel.output_columns(), kernel.rows_per_sample());
        };
        add("", kernel.samples());
        if (given != nullptr) add(given->mark, given->samples);
      }
    });
  }

  json run(const std::vector<NamedKernel>& kernels) {
    json result = json::object();
    for (const NamedKernel& one : kernels) result[one.name] = spectra(one);
    return result;
  }
  const Seconds& seconds() const { return seconds_; }

 private:
  const parallel::Communicator& comm() const { return grid_.comm(); }
  bool root() const { return comm().rank() == 0; }

  Pairs solve(BlockCyclicMatrix& a, const Norms& norm, const std::string& label) {
    if (place_.gpu) return solve_on_gpu(a, place_.index, request_.vectors, label);
    if (!request_.full) return solve_leading(a, options_.leading, norm, label);
    if (request_.vectors) return solve_all(a, label);
    return {solve_values(a, label), {}, "PDSYEV"};
  }

  // Work on the file by the root; all agree on the outcome.
  template <class Work>
  void on_root(Work&& work) {
    const Stopwatch watch(seconds_.write);
    collectively(comm(), [&] {
      if (root()) work(file_->id());
    });
  }

  json spectra(const NamedKernel& one) {
    BlockCyclicMatrix a;
    {
      const Stopwatch watch(seconds_.load);
      collectively(comm(), [&] { a = BlockCyclicMatrix(grid_, n_, n_, block_); });
      load_symmetric(a, weighted_sum(one.terms, [&](const std::string& dataset, std::int64_t row,
                                                    std::int64_t column, std::int64_t rows,
                                                    std::int64_t columns, double* out) {
                       kernel_.read_block(dataset, row, column, rows, columns, out);
                     }));
      require_finite(a, "kernel " + one.name);
    }
    const CentringMeans of_kernel = means(a, kernel_.rows_per_sample());
    if (n_ > 0) scale(a, 1 / static_cast<double>(n_));
    json result;
    if (options_.centre != "centred") {
      result["raw"] = spectrum(a, one, "raw", nullptr);
    }
    if (options_.centre != "raw") {
      centre(a, means(a, kernel_.rows_per_sample()));
      result["centred"] = spectrum(a, one, "centred", &of_kernel);
    }
    return result;
  }

  // One spectrum, into /NAME/KIND. `centring` holds the means of K for the evaluation kernels.
  json spectrum(BlockCyclicMatrix& a, const NamedKernel& one, const std::string& kind,
                const CentringMeans* centring) {
    const std::string label = one.name + " (" + kind + ")", place = "/" + one.name + "/" + kind;
    const Norms norm = norms(a);
    const bool positive = std::all_of(one.terms.begin(), one.terms.end(),
                                      [](const Term& term) { return term.weight >= 0; });
    Pairs pairs;
    Checks checks;
    {
      const Stopwatch watch(seconds_.solve);
      pairs = solve(a, norm, label);
    }
    {
      const Stopwatch watch(seconds_.check);
      if (pairs.vectors.rows() > 0) check_vectors(a, pairs, norm, checks);
      check_values(pairs.values, n_, norm, unit_, positive, checks);
      enforce(checks, label);
    }

    const double first = pairs.values.empty() ? 0 : pairs.values.front();
    double weight = 0;  // the error was measured on the whole kernel
    for (const Term& term : one.terms) weight = std::max(weight, std::abs(term.weight));
    const double delta = delta_ * weight;
    const auto resolved =
        std::upper_bound(pairs.values.begin(), pairs.values.end(), 10 * delta,
                         [](double floor, double value) { return value <= floor; }) -
        pairs.values.begin();
    const json ratios = checks.to_json();
    const json summary = {
        {"n", n_},
        {"method", pairs.method},
        {"device", place_.device},
        {"trace", norm.trace},
        {"frobenius", norm.frobenius},
        {"l_1", first},
        {"share_1", norm.trace > 0 ? first / norm.trace : 0},
        {"delta", delta},
        {"floor_independent", n_ > 0 ? 2 * delta / std::sqrt(static_cast<double>(n_)) : 0},
        {"floor_correlated", delta},
        {"resolved", resolved},
        {"checks", ratios}};
    on_root([&](hid_t file) {
      h5::create_group(file, place);
      h5::write(file, place + "/eigenvalues", pairs.values);
      const h5::Handle group = h5::open_object(file, place);
      for (const auto& [name, value] : summary.items()) {
        if (!value.is_object()) h5::write_attribute(group, name, value);
      }
      for (const auto& [name, value] : ratios.items()) {
        // "trace" and "frobenius" name the norms themselves.
        const bool taken = name == "trace" || name == "frobenius";
        h5::write_attribute(group, taken ? name + "_ratio" : name, value);
      }
    });
    if (request_.vectors) write_vectors(pairs, place, centring, one);
    if (projections_ && static_cast<std::int64_t>(pairs.values.size()) < n_) {
      write_tail_sums(a, place);
    }
    log::info(
        "spectrum of {}: l_1 {:.4g}, trace {:.4g}, {} of {} eigenvalues above the noise, "
        "worst check {:.2g}",
        label, first, norm.trace, resolved, pairs.values.size(), checks.worst_ratio());
    return summary;
  }

  void write_vectors(const Pairs& pairs, const std::string& place, const CentringMeans* centring,
                     const NamedKernel& one) {
    const auto modes = static_cast<std::int64_t>(pairs.values.size());
    const std::int64_t kept =
        options_.vectors < 0 ? modes : std::min<std::int64_t>(options_.vectors, modes);
    if (kept > 0) {
      write_rows(place + "/eigenvectors", n_, kept, [&](std::int64_t row, std::int64_t rows) {
        return gather_rows(pairs.vectors, row, rows, kept);
      });
    }
    for (const auto& [group, fields] : fields_) {
      if (fields.empty()) continue;
      on_root([&](hid_t f) { h5::create_group(f, place + "/" + group); });
      for (const Field& field : fields) {
        std::vector<double> values;
        {
          const Stopwatch watch(seconds_.project);
          values = project(pairs.vectors, field);
        }
        on_root([&](hid_t file) {
          const std::string path = place + "/" + group + "/" + field.name;
          // A single column of one quantity is a vector; label sets stay a table.
          const bool table = field.columns > 1 || field.name == "target";
          h5::write(file, path, values, table ? h5::Dims{modes, field.columns} : h5::Dims{modes});
        });
      }
    }
    const std::int64_t columns = projections_ ? modes : kept;
    for (const std::string& set : kernel_.evaluate_sets()) {
      std::int64_t height = 0;
      collectively(comm(), [&] { height = kernel_.evaluate_rows(set); });
      const BlockSource source = weighted_sum(
          one.terms, [&](const std::string& dataset, std::int64_t row, std::int64_t column,
                         std::int64_t rows, std::int64_t width, double* out) {
            kernel_.read_evaluate_block(set, dataset, row, column, rows, width, out);
          });
      on_root([&](hid_t f) {
        if (!h5::exists(f, place + "/evaluate")) h5::create_group(f, place + "/evaluate");
      });
      write_rows(place + "/evaluate/" + set, height, columns,
                 [&](std::int64_t row, std::int64_t rows) {
                   const Stopwatch watch(seconds_.project);
                   std::vector<double> strip(static_cast<std::size_t>(rows * n_));
                   collectively(comm(), [&] {
                     if (root()) source(row, 0, rows, n_, strip.data());
                   });
                   parallel::broadcast(comm(), strip.data(), strip.size() * sizeof(double));
                   if (centring) centre_evaluation(row, rows, *centring, strip.data());
                   return multiply(strip, rows, pairs.vectors, columns);
                 });
    }
  }

  void write_tail_sums(const BlockCyclicMatrix& a, const std::string& place) {
    const auto write = [&](const std::string& group, const auto& make) {
      std::vector<NamedTable> tables;
      {
        const Stopwatch watch(seconds_.project);
        tables = make();
      }
      on_root([&](hid_t file) {
        for (const NamedTable& table : tables) {
          const bool flat = table.columns == 1 && table.name != "target";
          h5::write(file, group + "/" + table.name, table.values,
                    flat ? h5::Dims{n_} : h5::Dims{n_, table.columns});
        }
      });
    };
    write(place, [&] { return row_sums(a); });
    for (const auto& [group, fields] : fields_) {
      const std::string of = place + "/" + products_group(group);
      on_root([&](hid_t file) { h5::create_group(file, of); });
      write(of, [&] { return products(a, fields); });
    }
  }

  // A dataset (height, width) in rounds of rows that `make` (collective) gives the root.
  template <class Make>
  void write_rows(const std::string& path, std::int64_t height, std::int64_t width, Make&& make) {
    on_root([&](hid_t file) {
      h5::create_dataset(file, path, H5T_NATIVE_DOUBLE, h5::Dims{height, width});
    });
    const std::int64_t step = strip_rows(std::max(width, n_));
    for (std::int64_t row = 0; row < height; row += step) {
      const std::int64_t rows = std::min(step, height - row);
      const std::vector<double> strip = make(row, rows);
      on_root([&](hid_t file) {
        h5::Dataset(file, path, h5::Dims{height, width})
            .write({row, 0}, {rows, width}, strip.data());
      });
    }
  }

  const BlacsGrid& grid_;
  const Job::Spectrum& options_;
  const bool projections_;
  const SolveRequest& request_;
  const Placement& place_;
  const store::KernelReader& kernel_;
  SpectrumFile* file_;
  const std::int64_t n_, block_;
  const double unit_;
  double delta_ = 0;                                  // measured error of K
  std::map<std::string, std::vector<Field>> fields_;  // by their group
  Seconds seconds_;
};

// Collective. Where the solve takes place; refused where it does not fit.
Placement reserve(const parallel::Communicator& world, const SolveRequest& request,
                  parallel::GridShape shape, std::int64_t leading) {
  Placement place;
  double needed = 0;
  collectively(world, [&] {
    place = place_solve(request);
    const Work work = work_of(request, place.gpu);
    const std::int64_t block = parallel::choose_block(request.order, shape);
    require_32bit(request.order, block, shape, work);
    needed = needed_bytes(request.order, block, shape, work, leading) + place.host_bytes;
  });
  if (place.gpu) log::info("the spectrum is solved on {}", place.device);
  if (!place.passed_over.empty()) {
    log::info("the spectrum is solved on the CPU: {}", place.passed_over);
  }
  require_memory(world, shape, needed);
  return place;
}

}  // namespace

std::string projections_group(const std::string& mark) {
  return mark.empty() ? "projections" : "projections-" + mark;
}

std::string products_group(std::string projections) {
  const std::string word = "projections";
  return projections.replace(projections.rfind(word), word.size(), "products");
}

json run_spectrum(MPI_Comm comm, const Job::Spectrum& options, bool projections,
                  const std::string& kernel_path, const std::string& spectrum_path,
                  const GivenLabels* given) {
  const std::string labels = given != nullptr ? given->mark : "";
  const auto world = parallel::Communicator::borrow(comm);
  std::optional<store::KernelReader> kernel;
  std::vector<NamedKernel> kernels;
  parallel::GridShape shape;
  SolveRequest request;
  std::string found, mark;
  collectively(world, [&] {
    kernel.emplace(kernel_path);
    kernels = named_kernels(options.kernels, kernel->groups());
    const std::int64_t n = kernel->order();
    shape = parallel::choose_grid(world.size(), n);
    request = solve_request(options, projections, world.size(), n);
    if (world.rank() != 0) return;
    mark = fingerprint(options, *kernel, kernel_path);
    if (const auto stored = stored_result(spectrum_path, mark, projections, labels))
      found = stored->dump();
  });
  parallel::broadcast(world, found);
  if (!found.empty()) {
    log::info("{} is complete and up to date", spectrum_path);
    return json::parse(found);
  }

  const Placement place = reserve(world, request, shape, options.leading);
  const int idle = world.size() - shape.active();
  if (idle > 0) {
    log::warn(
        "{} of {} ranks are idle in the spectrum stage (order {} uses a {} x {} process grid)",
        idle, world.size(), kernel->order(), shape.rows, shape.columns);
  }
  const BlacsGrid grid(world, shape);
  std::optional<parallel::AgreedError> failure;  // of all active ranks alike
  std::string text;
  if (grid.active()) {
    try {
      std::optional<SpectrumFile> file;
      collectively(grid.comm(), [&] {
        if (world.rank() == 0) file.emplace(spectrum_path);
      });
      Stage stage(grid, options, projections, request, place, *kernel, file ? &*file : nullptr,
                  given);
      json result = {{"reused", false},
                     {"order", kernel->order()},
                     {"grid",
                      {{"rows", shape.rows},
                       {"columns", shape.columns},
                       {"idle", idle},
                       {"block", parallel::choose_block(kernel->order(), shape)}}},
                     {"kernels", stage.run(kernels)}};
      const Seconds& seconds = stage.seconds();
      result["seconds"] = {{"load", seconds.load},
                           {"solve", seconds.solve},
                           {"check", seconds.check},
                           {"project", seconds.project},
                           {"write", seconds.write}};
      text = result.dump();
      collectively(grid.comm(), [&] {
        if (file) file->finish(*kernel, mark, projections, labels, result);
      });
    } catch (const parallel::AgreedError& error) {
      failure = error;
    }
  }
  parallel::wait_idle(world);
  // The active ranks failed or succeeded together: the first one speaks for all.
  int code = static_cast<int>(failure ? failure->code() : ExitCode::complete);
  std::string message = failure ? failure->what() : text;
  parallel::broadcast(world, &code, sizeof code);
  parallel::broadcast(world, message);
  if (code != 0) throw parallel::AgreedError(static_cast<ExitCode>(code), message);
  return json::parse(message);
}

}  // namespace ntk::spectrum
