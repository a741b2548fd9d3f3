// What tests of the theory stage share: a small made-up kernel that goes through the real store and
// spectrum stages.
#pragma once

#include <gtest/gtest.h>
#include <mpi.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "app/theory_stage.hpp"
#include "base/error.hpp"
#include "spectrum/stage.hpp"
#include "support/files.hpp"
#include "theory/linear_algebra.hpp"
#include "theory/test_kernels.hpp"

namespace ntk::app::test_theory {

using nlohmann::json;

inline constexpr std::size_t rows = 96, features = 300;

// K = head + body over Gaussian features, targets, references and noise of known variance.
struct Example {
  Example() {
    theory::test::Draw draw(71);
    const auto z = theory::test::power_features(rows, features, 1.5, draw);
    body = theory::test::gram(z, rows, features);
    head.assign(rows * rows, 0.0);
    for (std::size_t i = 0; i < rows; ++i) {
      head[i * rows + i] = theory::test::power_tail(features, 1.5);
      double truth = 2;
      for (std::size_t k = 0; k < features; ++k) {
        truth += z[i * features + k] * std::pow(static_cast<double>(k + 1), -0.35);
      }
      samples.source_row.push_back(static_cast<std::int64_t>(i));
      samples.tokens.push_back(5);
      samples.target.push_back(truth + 0.1 * draw.normal());
      samples.reference.push_back(truth);
      samples.reference_variance.push_back(0);
      samples.noise_variance.push_back(0.01);
      samples.group.push_back(static_cast<std::int64_t>(i / 3));
      outputs.push_back(3 * draw.normal());
    }
    samples.label_sets = 1;
  }
  std::vector<double> total() const {
    auto k = body;
    for (std::size_t i = 0; i < k.size(); ++i) k[i] += head[i];
    return k;
  }
  // The targets' signs as two classes, which come without reference and noise.
  void make_classes() {
    samples.classes = {"low", "high"};
    for (const double t : samples.reference) samples.label.push_back(t > 2);
    samples.target.clear();
    samples.label_sets = 0;
    samples.reference.clear();
    samples.reference_variance.clear();
    samples.noise_variance.clear();
  }
  std::vector<double> head, body, outputs;
  std::int64_t output_columns = 1;
  store::SampleTable samples;
};

class TheoryExample : public testing::Test {
 protected:
  test::TemporaryFolder folder;

  TheoryExample() { job.run.directory = folder.path(); }

  void write_kernel(const Example& example) {
    store::KernelSpec spec;
    spec.identity = {{"run.seed", 1}};
    spec.provenance = {{"program", "test"}};
    spec.groups = {"head", "body"};
    spec.output_columns = example.output_columns;
    store::KernelSet set;
    set.grid.row_starts = {0, 50, rows};
    set.grid.column_starts = set.grid.row_starts;
    set.samples = example.samples;
    spec.sets = {set};
    store::KernelWriter writer(MPI_COMM_SELF, job.run.directory, spec);
    const auto total = example.total();
    for (std::int64_t tile = 0; tile < set.grid.tile_count(); ++tile) {
      const auto [p, q] = set.grid.panels_of(tile);
      const auto from = [&](const std::vector<double>& matrix) {
        std::vector<double> block;
        for (auto i = set.grid.row_starts[p]; i < set.grid.row_starts[p + 1]; ++i) {
          for (auto j = set.grid.row_starts[q]; j < set.grid.row_starts[q + 1]; ++j) {
            block.push_back(
                matrix[static_cast<std::size_t>(i) * rows + static_cast<std::size_t>(j)]);
          }
        }
        return block;
      };
      store::TileData data{from(total), {from(example.head), from(example.body)}, {}};
      if (p == q) {
        const auto columns = example.output_columns;
        data.outputs.assign(example.outputs.begin() + set.grid.row_starts[p] * columns,
                            example.outputs.begin() + set.grid.row_starts[p + 1] * columns);
      }
      writer.write({0, tile, 0}, data);
    }
    writer.finish(true, {}, {});
  }
  void make_spectrum() {
    spectrum::run_spectrum(MPI_COMM_SELF, job.spectrum, true, job.run.directory + "/kernel.h5",
                           job.run.directory + "/spectrum.h5");
  }
  json theory_of(const Example& example) {
    write_kernel(example);
    make_spectrum();
    return run_theory(MPI_COMM_SELF, job);
  }

  // For another example in the same directory.
  void forget() {
    for (const char* name : {"kernel.h5", "spectrum.h5", "theory.json"}) {
      std::filesystem::remove(job.run.directory + "/" + name);
    }
  }

  Job job;
};

inline double value(const json& j) {
  return j.at("value").get<double>();
}

}  // namespace ntk::app::test_theory
