// Kernels of tiny random models against automatic differentiation in fp64 (tests/fixtures).
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "kernel/task_runner.hpp"
#include "support/backends.hpp"
#include "support/fixture.hpp"

namespace ntk::kernel {
namespace {

double norm(const std::vector<double>& x) {
  return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
}
double distance(const std::vector<double>& x, const std::vector<double>& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] - y[i]) * (x[i] - y[i]);
  return std::sqrt(sum);
}

struct Result {
  std::vector<double> total, f;
  std::map<std::string, std::vector<double>> groups;
};

struct Options {
  std::string outputs = "logits";
  std::int64_t tile = 3;  // samples a panel
  int ranges = 1, threads = 1;
  bool evaluate = false;
  std::int64_t slice_columns = 0;
  bool keep = true;                                       // records
  jacobian::Method method = jacobian::Method::explicit_;  // in reduced precision
};

template <class B>
Result compute(const test::Fixture& fixture, const Options& options) {
  using Real = typename B::Real;
  const auto description = fixture.model();
  auto backend = B::make(options.threads);
  const model::Model<Real> model(*backend, description);
  std::vector<SampleSet> sets{fixture.samples()};
  if (options.evaluate) sets.push_back(fixture.samples(true));
  std::vector<std::vector<std::int64_t>> starts;
  for (const auto& set : sets) {
    starts.push_back({0});
    while (starts.back().back() < set.samples()) {
      starts.back().push_back(std::min(set.samples(), starts.back().back() + options.tile));
    }
  }
  const Panels panels(std::move(sets), starts);
  const auto mode = make_output_mode(options.outputs, description.architecture.outputs);
  const auto groups = make_groups("part", description.architecture);
  jacobian::Settings settings;
  settings.copies = mode.copies();
  settings.class_diagonal = mode.class_diagonal;
  settings.chunk_columns = 16;  // several chunks even in matrices this small
  settings.structured_rows = 12;
  settings.slice_columns = options.slice_columns;
  if (device::facts(B::precision).tensor_cores) {  // one method a parameter
    settings.methods.assign(description.architecture.parameters.size(), options.method);
  }
  TaskRunner<Real> runner(*backend, model, settings, mode, groups, options.ranges);

  const int set = options.evaluate ? 1 : 0;
  const auto grid = panels.grid(set, mode.rows_per_sample);
  const std::int64_t n = grid.columns();
  Result result;
  result.total.assign(static_cast<std::size_t>(grid.rows() * n), 0.0);
  for (const auto& g : groups.names) result.groups[g] = result.total;
  result.f.assign(static_cast<std::size_t>(panels.sets()[static_cast<std::size_t>(set)].samples() *
                                           mode.output_columns),
                  0.0);
  for (int range = 0; range < options.ranges; ++range) {
    Task task;
    task.range = range;
    for (std::int64_t tile = 0; tile < grid.tile_count(); ++tile) {
      task.units.push_back({set, tile, range});
    }
    for (int p = 0; p < panels.first_of(set + 1); ++p) task.panels.push_back(p);
    WorkTimes times;
    const auto collect = [&](const store::Unit& unit, const store::TileData& made) {
      const auto [i, j] = grid.panels_of(unit.tile);
      const std::int64_t r0 = grid.row_starts[static_cast<std::size_t>(i)];
      const std::int64_t rows = grid.row_starts[static_cast<std::size_t>(i) + 1] - r0;
      const std::int64_t c0 = grid.column_starts[static_cast<std::size_t>(j)];
      const std::int64_t columns = grid.column_starts[static_cast<std::size_t>(j) + 1] - c0;
      const auto put = [&](const std::vector<double>& from, std::vector<double>& to) {
        for (std::int64_t r = 0; r < rows; ++r) {
          for (std::int64_t c = 0; c < columns; ++c) {
            const double value = from[static_cast<std::size_t>(r * columns + c)];
            to[static_cast<std::size_t>((r0 + r) * n + c0 + c)] += value;
            if (grid.symmetric && i != j)
              to[static_cast<std::size_t>((c0 + c) * n + r0 + r)] += value;
          }
        }
      };
      put(made.total, result.total);
      for (std::size_t g = 0; g < groups.names.size(); ++g) {
        put(made.groups[g], result.groups[groups.names[g]]);
      }
      const std::int64_t first = r0 / mode.rows_per_sample * mode.output_columns;
      std::copy(made.outputs.begin(), made.outputs.end(), result.f.begin() + first);
    };
    runner.run(
        panels, task, options.keep, times, [](double) {}, collect);
  }
  return result;
}

void expect_near(const std::vector<double>& k, const std::vector<double>& reference,
                 double tolerance, double scale, const std::string& what) {
  ASSERT_EQ(k.size(), reference.size()) << what;
  EXPECT_LE(distance(k, reference), tolerance * std::max(norm(reference), 1e-10 * scale)) << what;
}

template <class B>
void expect_case(const std::string& name, const Options& options, double tolerance) {
  const test::Fixture fixture(name);
  const auto result = compute<B>(fixture, options);
  const std::string root = options.evaluate ? "kernel_evaluate/" : "kernel/";
  const std::string dataset = options.outputs == "logits" ? "total" : options.outputs;
  const auto reference = fixture.read<double>(root + dataset);
  const double scale = norm(reference);
  expect_near(result.total, reference, tolerance, scale, name + " " + options.outputs);
  if (options.outputs != "logits" || options.evaluate) return;
  const auto groups = fixture.groups();
  EXPECT_EQ(groups.size(), result.groups.size()) << name;
  for (const auto& g : groups) {
    ASSERT_TRUE(result.groups.contains(g)) << name << " " << g;
    expect_near(result.groups.at(g), fixture.read<double>(root + "groups/" + g), tolerance, scale,
                name + " group " + g);
  }
  expect_near(result.f, fixture.read<double>("f"), tolerance, 1, name + " outputs");
}

class Autograd : public testing::TestWithParam<const char*> {};

TEST_P(Autograd, KernelAndEveryGroupInDouble) {
  expect_case<test::Cpu<double>>(GetParam(), {}, 1e-12);
}
TEST_P(Autograd, KernelAndEveryGroupInSingle) {
  expect_case<test::Cpu<float>>(GetParam(), {}, 2e-6);
}
TEST_P(Autograd, OtherTilesSlicesThreadsAndRanges) {
  Options options;
  options.tile = 2;
  options.slice_columns = 40;
  options.threads = 2;
  options.ranges = 3;
  options.keep = false;

  expect_case<test::Cpu<double>>(GetParam(), options, 1e-12);
}
TEST_P(Autograd, OutputModes) {
  const test::Fixture fixture(GetParam());
  for (const char* mode : {"mean_diagonal", "sum", "difference"}) {
    if (!fixture.has(std::string("kernel/") + mode)) continue;
    Options options;
    options.outputs = mode;
    expect_case<test::Cpu<double>>(GetParam(), options, 1e-12);
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Autograd,
                         testing::Values("bert-cls-1", "bert-cls-2-pairs", "bert-mean-2-pairs",
                                         "bert-mean-3", "bert-gelu-new-cls-1", "bert-relu-mean-2",
                                         "bert-classifier", "roberta-cls-2", "roberta-mean-1",
                                         "roberta-classifier"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(AutogradEvaluate, TrainAgainstASecondList) {
  for (const char* name : {"bert-cls-2-pairs", "roberta-mean-1"}) {
    Options options;
    options.evaluate = true;
    expect_case<test::Cpu<double>>(name, options, 1e-12);
    expect_case<test::Cpu<float>>(name, options, 2e-6);
  }
}

// The whole way in every precision of a GPU, on one and emulated. An entry's error against the norm
// of its group is a small multiple of the operands' roundoff.
template <class B>
class AutogradOnDevice : public test::BackendTest<B> {};
TYPED_TEST_SUITE(AutogradOnDevice, test::DeviceBackends, test::BackendNames);

TYPED_TEST(AutogradOnDevice, KernelAndEveryGroup) {
  const double bound = TypeParam::precision == device::Precision::fp64
                           ? 1e-12
                           : std::max(2e-6, 4 * TestFixture::roundoff);
  for (const auto method : {jacobian::Method::explicit_, jacobian::Method::structured}) {
    for (const char* name : {"bert-cls-2-pairs", "bert-mean-3", "roberta-classifier"}) {
      Options options;
      options.method = method;
      expect_case<TypeParam>(name, options, bound);
      options.outputs = "mean_diagonal";
      expect_case<TypeParam>(name, options, bound);
    }
  }
}

}  // namespace
}  // namespace ntk::kernel
