#include "app/learning_curves.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/heartbeat.hpp"
#include "base/log.hpp"
#include "base/stop.hpp"
#include "parallel/collectives.hpp"
#include "store/disk.hpp"
#include "theory/learning_study.hpp"

namespace ntk::app {

using nlohmann::json;

namespace {

struct KeptPoint {
  std::string path;
  theory::StudyPoint point;
};

std::optional<json> read_point(const std::string& path, const std::string& mark) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  json kept = json::parse(file, nullptr, false);
  if (!kept.is_object() || kept.value("fingerprint", "") != mark) return std::nullopt;
  return kept.at("point");
}

// Half of the rows beside the test set, and down to 1/8 of that.
std::vector<std::size_t> default_sizes(std::size_t pool) {
  std::vector<std::size_t> sizes;
  for (const std::size_t part : {16, 8, 4, 2}) {
    if (pool / part >= theory::least_training_rows) sizes.push_back(pool / part);
  }
  return sizes;
}

theory::StudyRows study_rows(const theory::TheoryInputs& inputs) {
  theory::StudyRows rows;
  rows.kernel = inputs.kernel;
  const auto pick = [&](const auto& values) { return theory::at_rows(values, inputs.subset); };
  rows.head_fitted_on_labels = inputs.head_fitted_on_labels;
  rows.outputs = static_cast<std::size_t>(inputs.rows_per_sample);
  std::vector<std::size_t> samples;
  for (std::size_t i = 0; i < inputs.subset.size(); i += rows.outputs) {
    samples.push_back(static_cast<std::size_t>(inputs.subset[i]) / rows.outputs);
  }
  rows.group = theory::at_rows(inputs.group, samples);
  rows.truth = theory::at_samples(inputs.truth, samples);
  for (const auto& labels : inputs.labels) {
    std::vector<double> noise = labels.noise_variances;
    if (inputs.noise_source == theory::NoiseSource::estimate) noise.clear();
    if (inputs.noise_source == theory::NoiseSource::number) {
      noise.assign(labels.values.size(), inputs.noise_number);
    }
    rows.labels.push_back({labels.name, pick(labels.values), pick(noise), pick(inputs.reference),
                           pick(inputs.reference_variance)});
  }
  rows.evaluate = inputs.evaluate;
  for (auto& set : rows.evaluate) set.product.clear();
  return rows;
}

// Why there are no learning curves; empty when there can be.
std::string obstacle(const theory::TheoryInputs& inputs) {
  if (inputs.kernel.empty()) {
    return "the kernel was not read";
  }
  return inputs.labels.empty() ? "the data carry no labels" : "";
}

theory::StudyPlan plan_of(const Job& job, const theory::StudyRows& rows) {
  const auto& asked = job.theory;
  const std::size_t count = rows.samples();
  const std::size_t test_samples = asked.test_samples > 0
                                       ? static_cast<std::size_t>(asked.test_samples)
                                       : std::min<std::size_t>(1024, count / 4);
  const auto seed = static_cast<std::uint64_t>(job.run.seed);
  auto split = theory::draw_study_split(rows, test_samples, seed);
  std::vector<std::size_t> sizes(asked.sizes.begin(), asked.sizes.end());
  if (sizes.empty()) sizes = default_sizes(split.pool.size());
  require(
      !sizes.empty(), ExitCode::input,
      "{} samples beside {} test samples are too few (the smallest training set has {}) use more "
      "samples",
      split.pool.size(), test_samples, theory::least_training_rows);
  auto plan = theory::plan_study(std::move(split), std::move(sizes),
                                 static_cast<std::size_t>(asked.seeds), seed);
  plan.single_rows = asked.draw == "rows";
  return plan;
}

// All points, done or from before, on the first rank.
json measure(MPI_Comm comm, const theory::StudyRows& rows, const theory::StudyPlan& plan,
             const std::string& kernel, const PointFolder& folder) {
  int rank = 0, ranks = 1;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  std::vector<KeptPoint> points;
  for (const auto& point : theory::study_points(plan)) {
    points.push_back(
        {fmt::format("{}/{}.{}.{}.json", folder.path, kernel, plan.sizes[point.size], point.draw),
         point});
  }
  // The first rank looks what is there, for all to share what is not.
  std::string missing;
  parallel::collectively(comm, [&] {
    if (rank != 0) return;
    std::filesystem::create_directories(folder.path);
    for (const auto& p : points) missing += read_point(p.path, folder.mark) ? '0' : '1';
  });
  parallel::broadcast(comm, missing);
  std::vector<const KeptPoint*> to_do;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (missing[i] == '1') to_do.push_back(&points[i]);
  }
  log::info("learning curves of {}: {} points, {} of them kept from before", kernel, points.size(),
            points.size() - to_do.size());
  parallel::collectively(comm, [&] {
    for (std::size_t i = static_cast<std::size_t>(rank); i < to_do.size();
         i += static_cast<std::size_t>(ranks)) {
      if (stop::requested() != stop::Reason::none) return;
      heartbeat::beat();
      const json kept{{"fingerprint", folder.mark},
                      {"point", theory::study_point(rows, plan, to_do[i]->point)}};
      store::replace_file(to_do[i]->path, kept.dump() + "\n");
    }
  });
  if (const auto reason = parallel::agree_on_stop(comm); reason != stop::Reason::none) {
    throw parallel::AgreedError(
        ExitCode::stopped,
        fmt::format("stopped ({}) in: theory; its finished points are kept", stop::words(reason)));
  }
  json report;
  parallel::on_first(comm, [&] {
    std::vector<json> measured;
    for (const auto& p : points) {
      auto point = read_point(p.path, folder.mark);
      require(point.has_value(), ExitCode::io,
              "{} is gone (it was written a moment ago) do not touch the run directory while ntk "
              "runs, and start it again",
              p.path);
      measured.push_back(std::move(*point));
    }
    report = theory::study_report(rows, plan, measured);
  });
  return report;
}

}  // namespace

json learning_curves(MPI_Comm comm, const Job& job, const std::string& kernel,
                     const theory::TheoryInputs& inputs, const PointFolder& folder) {
  const bool asked = !job.theory.sizes.empty() || job.theory.test_samples > 0;
  theory::StudyRows rows;
  std::optional<theory::StudyPlan> plan;
  std::string why = obstacle(inputs);
  parallel::collectively(comm, [&] {
    require(
        why.empty() || !asked, ExitCode::usage,
        "theory.sizes or theory.test_samples asks for learning curves, which there are not ({}) "
        "leave them out",
        why);
    if (!why.empty()) return;
    rows = study_rows(inputs);
    try {
      plan = plan_of(job, rows);
    } catch (const Error& error) {
      if (asked || error.code() != ExitCode::input) throw;
      why = error.what();
    }
  });
  if (!plan) return {{"limit", "no learning curves: " + why}};
  return measure(comm, rows, *plan, kernel, folder);
}

}  // namespace ntk::app
