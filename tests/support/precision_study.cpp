#include "support/precision_study.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "device/cpu/row_product.hpp"
#include "device/kernels/operand.hpp"
#include "jacobian/settings.hpp"
#include "support/emulated_backend.hpp"

extern "C" void dsyev_(const char* job, const char* triangle, const int* n, double* a,
                       const int* lda, double* w, double* work, const int* lwork, int* info);

namespace ntk::test {
namespace {

using device::Operands;
using device::Precision;
using Floats = std::vector<float>;

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

std::int64_t chunk_of(Precision precision) {
  jacobian::Settings settings;
  settings.set_device(device::Kind::cuda, precision);
  return settings.chunk_columns;
}

// Factors as trained encoders have them. Activations of all tokens share a mean with a few large
// features, and features of very different size; cotangents are dominated by few tokens (heavy
// tails), and have a direction that all samples share. Every fourth sample nearly repeats the one
// before, so that the kernel has eigenvalues far below its rounding.
struct Factors {
  std::vector<std::int64_t> offsets{0};
  Floats activations, cotangents;

  explicit Factors(const StudiedMap& map) {
    std::mt19937 bits(map.seed);
    std::normal_distribution<double> normal;
    const auto draw = [&] { return normal(bits); };
    const auto heavy = [&] {
      const double x = draw(), y = draw();
      return x / std::sqrt(0.3 + y * y);
    };
    std::vector<double> mean(at(map.inputs)), scale(at(map.inputs)), shared(at(map.outputs));
    for (std::size_t i = 0; i < mean.size(); ++i) {
      scale[i] = std::exp(0.5 * draw());
      mean[i] = (i % 97 == 5 ? 15 : 0.7) * draw();
    }
    for (auto& x : shared) x = heavy();
    for (std::int64_t s = 0; s < map.samples; ++s) {
      const std::int64_t before = offsets.back();
      if (s % 4 == 3) {
        const std::int64_t first = offsets[at(s - 1)], tokens = before - first;
        const auto repeat = [&](Floats& x, std::int64_t width) {
          for (std::int64_t i = first * width; i < before * width; ++i) {
            x.push_back(x[at(i)] * static_cast<float>(1 + 1e-4 * draw()));
          }
        };
        repeat(activations, map.inputs);
        repeat(cotangents, map.outputs);
        offsets.push_back(before + tokens);
        continue;
      }
      const auto tokens = static_cast<std::int64_t>(8 + bits() % 24);
      const double size = std::exp(draw());
      offsets.push_back(before + tokens);
      for (std::int64_t t = 0; t < tokens; ++t) {
        const double weight = size * heavy() * heavy();
        for (std::size_t i = 0; i < mean.size(); ++i) {
          activations.push_back(static_cast<float>(mean[i] + scale[i] * draw()));
        }
        for (double x : shared) cotangents.push_back(static_cast<float>(weight * (x + heavy())));
      }
    }
  }
};

std::vector<double> eigenvalues(std::vector<double> lower, std::int64_t n) {
  const int order = static_cast<int>(n), size = 64 * order;
  std::vector<double> values(at(n)), work(at(size));
  int info = 0;
  dsyev_("N", "U", &order, lower.data(), &order, values.data(), work.data(), &size, &info);
  return values;  // ascending
}

PrecisionErrors compare(Precision precision, std::int64_t n, const std::vector<double>& exact,
                        const std::vector<double>& made) {
  PrecisionErrors e{precision, 0, 0, 0, 0};
  const auto diagonal = [&](std::int64_t i) { return exact[at(i * n + i)]; };
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      const double error =
          (made[at(i * n + j)] - exact[at(i * n + j)]) / std::sqrt(diagonal(i) * diagonal(j));
      e.rms += (i == j ? 1 : 2) * error * error;
      e.max = std::max(e.max, std::abs(error));
      if (i == j) e.bias += error / static_cast<double>(n);
    }
  }
  e.rms = std::sqrt(e.rms) / static_cast<double>(n);
  const auto values = eigenvalues(made, n);
  e.least_eigenvalue = values.front() / (device::facts(precision).roundoff * values.back());
  return e;
}

}  // namespace

double operand_bound(Precision precision) {
  switch (precision) {
    case Precision::tf32:
      return 0x1p-10 + 0x1p-22;
    case Precision::bf16x2:
      return 0x1p-15 + 0x1p-24;
    case Precision::bf16x3:
      return 0x1p-24 + 0x1p-33;
    default:
      return 0;
  }
}

double accumulation_bound(Precision precision, const TensorCore& core) {
  const auto& facts = device::facts(precision);
  const std::int64_t chunk = chunk_of(precision);
  if (!facts.tensor_cores) return static_cast<double>(chunk) * 0x1p-24;
  const int group = precision == Precision::tf32 ? core.tf32_group : core.bf16_group;
  const double step = 0x1p-23 * (group * std::ldexp(1.0, -core.extra_bits) + 1);
  const double leading = 0x1.0201p0, second = 0x1p-7 + 0x1p-15, third = 0x1p-15 + 0x1p-23;
  double bound = 0;
  int sums = 0;
  device::kernels::for_each_term_product(
      facts, chunk, [&](std::int64_t a, std::int64_t b, std::int64_t k) {
        const std::int64_t order = (b - a) / chunk;
        const double share = order == 0 ? leading : order == 1 ? second : third;
        const double steps = std::ceil(static_cast<double>(k) / group);
        const bool first_piece = b == (facts.terms - 1) * chunk;  // pieces share a chunk's sum
        if (order > 0 || first_piece) bound += steps * step * share;
        ++sums;
      });
  return bound + (sums - 1) * 0x1p-24 * (leading + second + third);
}

double bias_bound(Precision precision, const TensorCore& core) {
  return operand_bound(precision) / 2 + accumulation_bound(precision, core) / 2;
}

std::vector<PrecisionErrors> study(const StudiedMap& map, const TensorCore& core,
                                   const std::vector<Precision>& precisions, int threads) {
  const Factors factors(map);
  const std::int64_t n = map.samples;
  const device::FactorView<float> view{factors.activations.data(),
                                       factors.cotangents.data(),
                                       factors.offsets.back(),
                                       {n, factors.offsets.data(), factors.offsets.data()}};
  struct Run {
    Precision precision;
    std::unique_ptr<device::Backend<float>> backend;
    std::vector<double> tile;
  };
  std::vector<Run> runs;
  runs.push_back({Precision::fp32, device::make_cpu_backend<float>(threads, 0), {}});
  for (const Precision p : precisions) {
    runs.push_back({p, std::make_unique<EmulatedBackend>(p, threads, core), {}});
  }
  for (auto& run : runs) run.tile.resize(at(n * n));
  std::vector<double> exact(at(n * n));
  jacobian::Settings settings;
  settings.set_device(device::Kind::cuda, Precision::bf16x3);
  const std::int64_t step = settings.slice_outputs(map.inputs, map.outputs);
  for (std::int64_t first = 0; first * map.inputs < map.columns; first += step) {
    const std::int64_t count = std::min(step, map.columns / map.inputs - first);
    const std::int64_t columns = count * map.inputs;
    Floats rows(at(n * columns));
    runs[0].backend->form(view, 1, map.inputs, map.outputs, first, count,
                          {rows.data(), 0, columns, 4096}, 0);
    const std::vector<double> wide(rows.begin(), rows.end());
    device::cpu::row_product(n, n, columns, 1024, wide.data(), columns, wide.data(), columns, true,
                             exact.data(), n);
    for (auto& run : runs) {
      std::vector<char> memory(at(run.backend->operand_bytes(n, columns)));
      const Operands operands{memory.data(), 0, columns, chunk_of(run.precision)};
      run.backend->put_rows(n, rows.data(), operands, 0);
      const device::Backend<float>::Product product{0, 0, 0, 0, n, n, run.tile.data(), n, true};
      run.backend->contract(operands, {&product, 1});
    }
  }
  std::vector<PrecisionErrors> errors;
  for (const auto& run : runs) errors.push_back(compare(run.precision, n, exact, run.tile));
  return errors;
}

}  // namespace ntk::test
