#include "finetune/probe.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>

#include "base/error.hpp"
#include "base/text.hpp"
#include "data/draw.hpp"
#include "finetune/logistic.hpp"
#include "finetune/ridge.hpp"

namespace ntk::finetune {
namespace {

// Sum over rows of the loss that probes are judged by.
double loss_of(const LinearMap& map, const Examples& examples) {
  const auto outputs = outputs_of(map, examples.features, examples.rows);
  double sum = 0;
  for (std::size_t i = 0; i < examples.rows; ++i) {
    if (!examples.of_classes()) {
      const double error = outputs[i] - examples.target[i];
      sum += error * error;
      continue;
    }
    const auto classes = examples.outputs();
    const double* f = outputs.data() + i * classes;
    const double top = *std::max_element(f, f + classes);
    double total = 0;
    for (std::size_t c = 0; c < classes; ++c) total += std::exp(f[c] - top);
    sum += std::log(total) + top - f[examples.label[i]];
  }
  return sum;
}

// Maps at falling penalties: each logistic fit starts from the one before.
class Path {
 public:
  Path(const Examples& examples, LogisticSolver* solver) : solver_(solver) {
    if (solver) {
      logistic_ = std::make_unique<LogisticLoss>(examples);
      last_.x.assign(logistic_->parameters(), 0.0);
    } else {
      ridge_ = std::make_unique<RidgePath>(examples);
    }
  }
  double scale() const { return ridge_ ? ridge_->features().scale : logistic_->features().scale; }
  LinearMap at(double penalty) {
    if (ridge_) {
      const LinearMap map = ridge_->at(penalty);
      last_.gradient_norm = ridge_->gradient_norm(map, penalty);
      return ridge_->features().on_features(map);
    }
    last_ = solver_->minimise(*logistic_, penalty, std::move(last_.x));
    return logistic_->features().on_features(logistic_->map_of(last_.x));
  }
  double gradient_norm() const { return last_.gradient_norm; }

 private:
  LogisticSolver* solver_;
  std::unique_ptr<RidgePath> ridge_;
  std::unique_ptr<LogisticLoss> logistic_;
  LogisticFit last_;
};

std::vector<std::size_t> rows_where(const std::vector<int>& fold_of, int fold, bool in) {
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < fold_of.size(); ++i) {
    if ((fold_of[i] == fold) == in) rows.push_back(i);
  }
  return rows;
}

std::vector<std::size_t> class_counts(const Examples& examples) {
  std::vector<std::size_t> counts(static_cast<std::size_t>(examples.classes), 0);
  for (const auto label : examples.label) ++counts[static_cast<std::size_t>(label)];
  return counts;
}

void check_classes(const Examples& examples, const std::vector<std::string>& names) {
  if (!examples.of_classes()) return;
  require(examples.classes >= 2, ExitCode::input,
          "the data have a single class (a probe tells classes apart) use model.head = \"random\"");
  const auto counts = class_counts(examples);
  for (std::size_t c = 0; c < counts.size(); ++c) {
    require(counts[c] > 0, ExitCode::input,
            "class {} has none of the {} rows that the probe is fitted on (its intercept would be "
            "without bound) raise model.probe_rows, lower data.samples, or leave the class out of "
            "the data",
            printable(names[c]), examples.rows);
  }
}

}  // namespace

std::vector<double> probe_penalties() {
  std::vector<double> penalties;
  for (int half = 2; half >= -12; --half) penalties.push_back(std::pow(10.0, 0.5 * half));
  return penalties;
}

std::vector<int> probe_fold_of(const Examples& examples,
                               const std::vector<std::string>& class_names, std::int64_t seed) {
  check_classes(examples, class_names);
  std::map<std::int64_t, std::vector<std::size_t>> members;
  for (std::size_t i = 0; i < examples.rows; ++i) {
    members[examples.group.empty() ? static_cast<std::int64_t>(i) : examples.group[i]].push_back(i);
  }
  require(members.size() >= 2, ExitCode::input,
          "the {} rows that the probe is fitted on are one group (cross-validation keeps groups "
          "whole and needs two) use other data",
          examples.rows);
  std::vector<const std::vector<std::size_t>*> groups;
  for (const auto& [number, rows] : members) groups.push_back(&rows);
  const auto order = data::permutation(static_cast<std::int64_t>(groups.size()), seed);
  std::vector<const std::vector<std::size_t>*> dealt;
  for (const auto g : order) dealt.push_back(groups[static_cast<std::size_t>(g)]);
  if (examples.of_classes()) {
    const auto counts = class_counts(examples);
    const auto rarest = [&](const std::vector<std::size_t>* rows) {
      std::pair<std::size_t, std::int32_t> least{examples.rows + 1, 0};
      for (const auto i : *rows) {
        const auto label = examples.label[i];
        least = std::min(least, {counts[static_cast<std::size_t>(label)], label});
      }
      return least;
    };
    std::ranges::stable_sort(dealt, {}, rarest);
  }
  const int folds = std::min(probe_folds, static_cast<int>(dealt.size()));
  std::vector<int> fold_of(examples.rows);
  for (std::size_t g = 0; g < dealt.size(); ++g) {
    for (const auto i : *dealt[g]) fold_of[i] = static_cast<int>(g) % folds;
  }
  for (std::int64_t c = 0; c < examples.classes; ++c) {
    int first = -1;
    bool spread = false;
    for (std::size_t i = 0; i < examples.rows; ++i) {
      if (examples.label[i] != c) continue;
      spread = spread || (first >= 0 && fold_of[i] != first);
      first = fold_of[i];
    }
    require(
        spread, ExitCode::input,
        "class {} has rows in one of {} folds alone (the probe's penalty is chosen on rows that "
        "are left out, by whole groups, and what remains must have every class) raise "
        "model.probe_rows, lower data.samples, or leave the class out of the data",
        printable(class_names[static_cast<std::size_t>(c)]), folds);
  }
  return fold_of;
}

ProbeFit fit_probe(const Examples& examples, const std::vector<int>& fold_of,
                   const std::function<void()>& pause) {
  ensure(fold_of.size() == examples.rows, "{} folds for {} rows", fold_of.size(), examples.rows);
  std::unique_ptr<LogisticSolver> solver;
  if (examples.of_classes()) solver = std::make_unique<LogisticSolver>();
  ProbeFit fit;
  fit.penalties = probe_penalties();
  const std::size_t tried = fit.penalties.size();
  const int folds = 1 + *std::max_element(fold_of.begin(), fold_of.end());
  fit.fold_scores.resize(tried);
  std::vector<double> sums(tried, 0.0);
  Path whole(examples, solver.get());
  fit.scale = whole.scale();
  for (int fold = 0; fold < folds; ++fold) {
    const auto test = pick(examples, rows_where(fold_of, fold, true));
    Path path(pick(examples, rows_where(fold_of, fold, false)), solver.get());
    for (std::size_t p = 0; p < tried; ++p) {
      const double loss = loss_of(path.at(fit.penalties[p]), test);
      sums[p] += loss;
      fit.fold_scores[p].push_back(loss / static_cast<double>(test.rows));
      pause();
    }
  }
  for (std::size_t p = 0; p < tried; ++p) {
    fit.scores.push_back(sums[p] / static_cast<double>(examples.rows));
    const auto& means = fit.fold_scores[p];
    const double mean = std::accumulate(means.begin(), means.end(), 0.0) / folds;
    double square = 0;
    for (const double m : means) square += (m - mean) * (m - mean);
    fit.errors.push_back(std::sqrt(square / (folds - 1) / folds));
  }
  fit.chosen = static_cast<std::size_t>(std::min_element(fit.scores.begin(), fit.scores.end()) -
                                        fit.scores.begin());
  for (std::size_t p = 0; p <= fit.chosen; ++p) {
    if (examples.of_classes() || p == fit.chosen) {
      fit.map = whole.at(fit.penalties[p]);
      pause();
    }
  }
  fit.gradient_norm = whole.gradient_norm();
  fit.train_loss = loss_of(fit.map, examples) / static_cast<double>(examples.rows);
  return fit;
}

}  // namespace ntk::finetune
