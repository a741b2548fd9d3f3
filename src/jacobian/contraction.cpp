#include "jacobian/contraction.hpp"

#include <algorithm>

#include "device/timed.hpp"
#include "jacobian/cost.hpp"
#include "jacobian/matches.hpp"

namespace ntk::jacobian {
namespace {

using model::Factor;

template <class Real>
SitePair site_pair(const Settings& s, const Factor<Real>& p, const Factor<Real>& q,
                   bool symmetric) {
  return {p.inputs,         p.outputs,           p.layout->rows(),
          q.layout->rows(), p.layout->samples(), q.layout->samples(),
          s.copies,         s.class_diagonal,    symmetric};
}

// Room for gradient rows of the panels that some tile touches.
template <class Real>
struct OperandPanels {
  OperandPanels(device::Backend<Real>& backend, const Settings& s,
                std::span<const Factor<Real>* const> factors, std::span<const PairTile> tiles,
                std::int64_t most_columns)
      : index(factors.size(), -1) {
    int count = 0;
    std::int64_t most_rows = 0;
    for (const auto& tile : tiles) {
      for (int slot : {tile.p, tile.q}) {
        int& at = index[static_cast<std::size_t>(slot)];
        if (at < 0) at = count++;
        const std::int64_t samples = factors[static_cast<std::size_t>(slot)]->layout->samples();
        most_rows = std::max(most_rows, s.copies * samples);
      }
    }
    constexpr std::int64_t alignment = 256;
    operands.chunk = s.chunk_columns;
    operands.stride =
        (backend.operand_bytes(most_rows, most_columns) + alignment - 1) / alignment * alignment;
    memory = device::Array<char, Real>(backend, count * operands.stride);
    operands.data = memory.data();
  }

  std::vector<int> index;  // of a panel slot among the operands; -1 = not needed
  device::Operands operands;
  device::Array<char, Real> memory;
};

// tile += J_p J_q^T for every tile.
template <class Real>
void contract_columns(device::Backend<Real>& backend, const Settings& s,
                      std::span<const Factor<Real>* const> factors, std::span<const PairTile> tiles,
                      const OperandPanels<Real>& panels, const Pause& pause) {
  const int planes = s.class_diagonal ? s.copies : 1;
  double operations = 0;
  for (int plane = 0; plane < planes; ++plane) {  // planes add to the same entries
    std::vector<typename device::Backend<Real>::Product> products;
    for (const auto& tile : tiles) {
      const auto p = static_cast<std::size_t>(tile.p), q = static_cast<std::size_t>(tile.q);
      const std::int64_t sp = factors[p]->layout->samples(), sq = factors[q]->layout->samples();
      products.push_back({panels.index[p], panels.index[q], plane * sp, plane * sq, s.tile_rows(sp),
                          s.tile_rows(sq), tile.data, s.tile_rows(sq), tile.symmetric});
      operations += 2.0 * static_cast<double>(s.tile_rows(sp) * s.tile_rows(sq)) *
                    static_cast<double>(panels.operands.columns);
      if (operations > s.pause_operations) {
        backend.contract(panels.operands, products);
        pause();
        products.clear();
        operations = 0;
      }
    }
    if (!products.empty()) backend.contract(panels.operands, products);
  }
}

template <class Real>
void contract_explicit(device::Backend<Real>& backend, const Settings& s,
                       std::span<const Factor<Real>* const> factors,
                       const std::vector<PairTile>& tiles, Times& times, const Pause& pause) {
  const std::int64_t inputs = factors[0]->inputs, outputs = factors[0]->outputs;
  const std::int64_t step = s.slice_outputs(inputs, outputs);
  OperandPanels<Real> panels(backend, s, factors, tiles, step * inputs);
  for (std::int64_t first = 0; first < outputs; first += step) {
    const std::int64_t count = std::min(step, outputs - first);
    panels.operands.columns = count * inputs;
    device::timed(backend, times.form, [&] {
      for (std::size_t p = 0; p < factors.size(); ++p) {
        if (panels.index[p] < 0) continue;
        const auto& f = *factors[p];
        backend.form({f.activations, f.cotangents->data(), f.layout->rows(), f.layout->view()},
                     s.copies, inputs, outputs, first, count, panels.operands, panels.index[p]);
      }
    });
    device::timed(backend, times.contract,
                  [&] { contract_columns<Real>(backend, s, factors, tiles, panels, pause); });
    pause();
  }
}

// Biases and norms: their gradients are there already.
template <class Real>
void contract_vector(device::Backend<Real>& backend, const Settings& s,
                     std::span<const Factor<Real>* const> factors, std::span<const PairTile> tiles,
                     Times& times, const Pause& pause) {
  device::timed(backend, times.contract, [&] {
    OperandPanels<Real> panels(backend, s, factors, tiles, factors[0]->outputs);
    panels.operands.columns = factors[0]->outputs;
    for (std::size_t p = 0; p < factors.size(); ++p) {
      if (panels.index[p] < 0) continue;
      backend.put_rows(s.copies * factors[p]->layout->samples(), factors[p]->cotangents->data(),
                       panels.operands, panels.index[p]);
    }
    contract_columns<Real>(backend, s, factors, tiles, panels, pause);
  });
}

// Runs of samples with at most `structured_rows` token rows (one sample at least).
std::vector<std::int64_t> sample_runs(const std::vector<std::int64_t>& offsets,
                                      std::int64_t limit) {
  std::vector<std::int64_t> starts{0};
  const auto samples = static_cast<std::int64_t>(offsets.size()) - 1;
  for (std::int64_t i = 1; i <= samples; ++i) {
    const auto first = static_cast<std::size_t>(starts.back());
    if (i == samples || offsets[static_cast<std::size_t>(i) + 1] - offsets[first] > limit) {
      starts.push_back(i);
    }
  }
  return starts;
}

template <class Real>
void contract_structured(device::Backend<Real>& backend, const Settings& s,
                         std::span<const Factor<Real>* const> factors,
                         const std::vector<PairTile>& tiles, const Pause& pause) {
  for (const auto& tile : tiles) {
    const auto& p = *factors[static_cast<std::size_t>(tile.p)];
    const auto& q = *factors[static_cast<std::size_t>(tile.q)];
    const auto runs_p = sample_runs(p.layout->offsets(), s.structured_rows);
    const auto runs_q = sample_runs(q.layout->offsets(), s.structured_rows);
    const auto view = [](const Factor<Real>& f, std::int64_t first, std::int64_t last) {
      return device::FactorView<Real>{
          f.activations,
          f.cotangents->data(),
          f.layout->rows(),
          {last - first, f.layout->view().offsets + first, f.layout->view().host + first}};
    };
    std::vector<typename device::Backend<Real>::StructuredBlock> blocks;
    for (std::size_t a = 0; a + 1 < runs_p.size(); ++a) {
      const std::size_t last = tile.symmetric ? a + 1 : runs_q.size() - 1;
      for (std::size_t b = 0; b < last; ++b) {
        blocks.push_back({view(p, runs_p[a], runs_p[a + 1]), view(q, runs_q[b], runs_q[b + 1]),
                          runs_p[a], runs_q[b], tile.data, s.tile_rows(q.layout->samples()),
                          tile.symmetric && a != b});
      }
    }
    backend.contract_structured(blocks, s.copies, p.inputs, p.outputs, p.layout->samples(),
                                q.layout->samples(), s.class_diagonal);
    pause();
  }
}

template <class Real>
void contract_lookup(device::Backend<Real>& backend, const Settings& s,
                     std::span<const Factor<Real>* const> factors,
                     std::span<const PairTile> tiles) {
  std::vector<std::unique_ptr<MatchEntries<Real>>> entries(factors.size());
  for (const auto& tile : tiles) {
    for (int slot : {tile.p, tile.q}) {
      auto& made = entries[static_cast<std::size_t>(slot)];
      if (!made) {
        made = std::make_unique<MatchEntries<Real>>(
            backend, *factors[static_cast<std::size_t>(slot)], s.copies);
      }
    }
  }
  contract_matches<Real>(backend, s, factors, tiles, entries);
}

}  // namespace

template <class Real>
void contract_parameter(device::Backend<Real>& backend, const Settings& settings,
                        std::span<const Factor<Real>* const> factors,
                        std::span<const PairTile> tiles, Times& times, const Pause& pause) {
  using Kind = typename Factor<Real>::Kind;
  if (factors.empty() || tiles.empty()) return;
  switch (factors[0]->kind) {
    case Kind::vector:
      contract_vector<Real>(backend, settings, factors, tiles, times, pause);
      break;
    case Kind::lookup:
      device::timed(backend, times.contract,
                    [&] { contract_lookup<Real>(backend, settings, factors, tiles); });
      break;
    case Kind::matrix: {
      std::vector<PairTile> with_explicit, with_structured;
      for (const auto& tile : tiles) {
        const auto pair = site_pair(settings, *factors[static_cast<std::size_t>(tile.p)],
                                    *factors[static_cast<std::size_t>(tile.q)], tile.symmetric);
        (settings.method(factors[0]->parameter, pair) == Method::structured ? with_structured
                                                                            : with_explicit)
            .push_back(tile);
      }
      device::timed(backend, times.contract, [&] {
        contract_structured<Real>(backend, settings, factors, with_structured, pause);
      });
      if (!with_explicit.empty()) {
        contract_explicit<Real>(backend, settings, factors, with_explicit, times, pause);
      }
      break;
    }
  }
}

void symmetrise(std::int64_t rows, double* tile) {
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < i; ++j) tile[j * rows + i] = tile[i * rows + j];
  }
}

template void contract_parameter(device::Backend<float>&, const Settings&,
                                 std::span<const Factor<float>* const>, std::span<const PairTile>,
                                 Times&, const Pause&);
template void contract_parameter(device::Backend<double>&, const Settings&,
                                 std::span<const Factor<double>* const>, std::span<const PairTile>,
                                 Times&, const Pause&);

}  // namespace ntk::jacobian
