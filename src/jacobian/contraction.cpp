#include "jacobian/contraction.hpp"

#include <algorithm>

#include "base/stopwatch.hpp"
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

// tile += J_p J_q^T for every tile; j[s] holds panel s's rows.
template <class Real>
void contract_columns(device::Backend<Real>& backend, const Settings& s,
                      std::span<const Factor<Real>* const> factors, std::span<const PairTile> tiles,
                      const std::vector<const Real*>& j, std::int64_t ld, std::int64_t columns) {
  const int planes = s.class_diagonal ? s.copies : 1;
  for (int plane = 0; plane < planes; ++plane) {  // planes add to the same entries
    std::vector<typename device::Backend<Real>::Product> products;
    for (const auto& tile : tiles) {
      const auto p = static_cast<std::size_t>(tile.p), q = static_cast<std::size_t>(tile.q);
      const std::int64_t sp = factors[p]->layout->samples(), sq = factors[q]->layout->samples();
      products.push_back({s.tile_rows(sp), s.tile_rows(sq), columns, j[p] + plane * sp * ld, ld,
                          j[q] + plane * sq * ld, ld, tile.data, s.tile_rows(sq), tile.symmetric});
    }
    backend.contract(products, s.chunk_columns);
  }
}

template <class Real>
void contract_explicit(device::Backend<Real>& backend, const Settings& s,
                       std::span<const Factor<Real>* const> factors,
                       const std::vector<PairTile>& tiles, Times& times) {
  std::vector<char> needed(factors.size(), 0);
  for (const auto& tile : tiles) {
    needed[static_cast<std::size_t>(tile.p)] = needed[static_cast<std::size_t>(tile.q)] = 1;
  }
  const std::int64_t inputs = factors[0]->inputs, outputs = factors[0]->outputs;
  const std::int64_t step = s.slice_outputs(inputs, outputs);
  std::vector<model::Buffer<Real>> slices(factors.size());
  std::vector<const Real*> j(factors.size(), nullptr);
  for (std::size_t p = 0; p < factors.size(); ++p) {
    if (!needed[p]) continue;
    slices[p] =
        model::Buffer<Real>(backend, s.copies * factors[p]->layout->samples() * step * inputs);
    j[p] = slices[p].data();
  }
  for (std::int64_t first = 0; first < outputs; first += step) {
    const std::int64_t count = std::min(step, outputs - first);
    const std::int64_t columns = count * inputs;
    {
      Stopwatch watch(times.form);
      for (std::size_t p = 0; p < factors.size(); ++p) {
        if (!needed[p]) continue;
        const auto& f = *factors[p];
        backend.form({f.activations, f.cotangents->data(), f.layout->rows(), f.layout->view()},
                     s.copies, inputs, outputs, first, count, slices[p].data(), columns);
      }
    }
    Stopwatch watch(times.contract);
    contract_columns<Real>(backend, s, factors, tiles, j, columns, columns);
  }
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
                         const std::vector<PairTile>& tiles, Times& times) {
  Stopwatch watch(times.contract);
  for (const auto& tile : tiles) {
    const auto& p = *factors[static_cast<std::size_t>(tile.p)];
    const auto& q = *factors[static_cast<std::size_t>(tile.q)];
    const auto runs_p = sample_runs(p.layout->offsets(), s.structured_rows);
    const auto runs_q = sample_runs(q.layout->offsets(), s.structured_rows);
    const auto view = [](const Factor<Real>& f, std::int64_t first, std::int64_t last) {
      return device::FactorView<Real>{f.activations,
                                      f.cotangents->data(),
                                      f.layout->rows(),
                                      {last - first, f.layout->view().offsets + first}};
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
  }
}

template <class Real>
void contract_lookup(device::Backend<Real>& backend, const Settings& s,
                     std::span<const Factor<Real>* const> factors, std::span<const PairTile> tiles,
                     Times& times) {
  Stopwatch watch(times.contract);
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
                        std::span<const PairTile> tiles, Times& times) {
  using Kind = typename Factor<Real>::Kind;
  if (factors.empty() || tiles.empty()) return;
  switch (factors[0]->kind) {
    case Kind::vector: {
      Stopwatch watch(times.contract);
      std::vector<const Real*> j;
      for (const auto* f : factors) j.push_back(f->cotangents->data());
      contract_columns<Real>(backend, settings, factors, tiles, j, factors[0]->outputs,
                             factors[0]->outputs);
      break;
    }
    case Kind::lookup:
      contract_lookup<Real>(backend, settings, factors, tiles, times);
      break;
    case Kind::matrix: {
      std::vector<PairTile> with_explicit, with_structured;
      for (const auto& tile : tiles) {
        const auto pair = site_pair(settings, *factors[static_cast<std::size_t>(tile.p)],
                                    *factors[static_cast<std::size_t>(tile.q)], tile.symmetric);
        (choose(pair) == Method::structured ? with_structured : with_explicit).push_back(tile);
      }
      contract_structured<Real>(backend, settings, factors, with_structured, times);
      if (!with_explicit.empty()) {
        contract_explicit<Real>(backend, settings, factors, with_explicit, times);
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
                                 Times&);
template void contract_parameter(device::Backend<double>&, const Settings&,
                                 std::span<const Factor<double>* const>, std::span<const PairTile>,
                                 Times&);

}  // namespace ntk::jacobian
