#include "app/probe_head.hpp"

#include "base/heartbeat.hpp"
#include "base/log.hpp"
#include "finetune/features.hpp"
#include "finetune/probe.hpp"
#include "parallel/collectives.hpp"

namespace ntk::app {

using nlohmann::json;

namespace {

constexpr double quiet_seconds = 1800;  // of a fit, and of a batch of features

// Labels and groups; features come later.
finetune::Examples labels_of(const kernel::KernelInputs& inputs) {
  const auto& table = inputs.probe->table;
  finetune::Examples examples;
  examples.rows = table.source_row.size();
  examples.width = static_cast<std::size_t>(inputs.model.config.hidden_size);
  examples.group = table.group;
  if (!table.classes.empty()) {
    examples.classes = static_cast<std::int64_t>(table.classes.size());
    examples.label = table.label;
    return examples;
  }
  const auto sets = static_cast<std::size_t>(table.label_sets);
  examples.target.assign(examples.rows, 0.0);  // the mean of the label sets
  for (std::size_t i = 0; i < table.target.size(); ++i) {
    examples.target[i / sets] += table.target[i] / static_cast<double>(sets);
  }
  return examples;
}

// Collective: of all rows, on the first rank.
std::vector<double> features_on_first(MPI_Comm comm, const kernel::KernelInputs& inputs,
                                      int threads) {
  int rank = 0, ranks = 1;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  const auto& tokens = inputs.probe->samples.tokens;
  const auto width = static_cast<std::size_t>(inputs.model.config.hidden_size);
  std::vector<double> features;
  parallel::collectively(comm, [&] {
    heartbeat::expect("features of the probe", quiet_seconds);
    features.resize(static_cast<std::size_t>(inputs.probe->samples.samples()) * width);
    auto backend = device::make_cpu_backend<float>(threads, 0);
    const model::Model<float> model(*backend, inputs.model);
    const auto starts = finetune::feature_batches(tokens.offsets);
    for (auto b = static_cast<std::size_t>(rank); b + 1 < starts.size();
         b += static_cast<std::size_t>(ranks)) {
      const auto part =
          finetune::pooled_features(*backend, model, tokens, starts[b], starts[b + 1]);
      std::copy(part.begin(), part.end(),
                features.begin() +
                    static_cast<std::ptrdiff_t>(starts[b]) * static_cast<std::ptrdiff_t>(width));
      heartbeat::beat();
    }
  });
  parallel::sum_to(comm, features);  // every row is 0 on all ranks but one
  return features;
}

json record_of(const finetune::ProbeFit& fit, const finetune::Examples& examples,
               const std::vector<int>& fold_of) {
  json table = json::array();
  for (std::size_t p = 0; p < fit.penalties.size(); ++p) {
    table.push_back({{"penalty", fit.penalties[p]},
                     {"score", fit.scores[p]},
                     {"error", fit.errors[p]},
                     {"folds", fit.fold_scores[p]}});
  }
  return {{"loss", examples.of_classes() ? "-log p of the class" : "squared error"},
          {"unit_of_penalty", "features divided by their rms distance from their mean"},
          {"rms_distance", std::sqrt(fit.scale)},
          {"penalty", fit.penalties[fit.chosen]},
          {"at_edge", fit.at_edge()},
          {"cross_validation", table},
          {"fold_of_row", fold_of},
          {"train_loss", fit.train_loss},
          {"gradient_norm", fit.gradient_norm}};
}

model::Head head_of(const finetune::ProbeFit& fit, const finetune::Examples& examples) {
  model::Head head;
  head.outputs = static_cast<std::int64_t>(examples.outputs());
  head.weight.assign(fit.map.weight.begin(), fit.map.weight.end());
  head.bias.assign(fit.map.bias.begin(), fit.map.bias.end());
  return head;
}

}  // namespace

kernel::HeadFit probe_fit(int threads) {
  return [threads](MPI_Comm comm, const Job& job, const kernel::KernelInputs& inputs) {
    auto examples = labels_of(inputs);
    std::vector<int> fold_of;
    parallel::on_first(comm, [&] {  // before all work: it may be refused
      fold_of = finetune::probe_fold_of(examples, inputs.probe->table.classes, job.run.seed);
      log::info("head: a probe is fitted on {} rows ({})", examples.rows,
                job.model.probe_on == "train" ? "the kernel's own"
                                              : "that share no group with the kernel's");
    });
    examples.features = features_on_first(comm, inputs, threads);
    model::Head head;
    parallel::on_first(comm, [&] {
      heartbeat::expect("fitting the probe", quiet_seconds);
      const auto fit = finetune::fit_probe(examples, fold_of, heartbeat::beat);
      head = head_of(fit, examples);
      head.record = record_of(fit, examples, fold_of).dump();
      const auto best = fit.chosen;
      log::info("head: penalty {:.1e}, loss {:.4g} ± {:.2g} on rows left out, {:.4g} on its own",
                fit.penalties[best], fit.scores[best], fit.errors[best], fit.train_loss);
      if (fit.at_edge()) {
        log::warn(
            "the probe's penalty {:.1e} is the {} of those tried (the features say {} of the "
            "labels) "
            "look at head.probe in kernel.h5",
            fit.penalties[best], best == 0 ? "largest" : "smallest",
            best == 0 ? "little or nothing" : "more the less the probe is held back");
      }
    });
    return head;
  };
}

}  // namespace ntk::app
