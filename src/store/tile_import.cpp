#include "store/tile_import.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/stopwatch.hpp"
#include "parallel/collectives.hpp"
#include "store/tile_checks.hpp"

namespace ntk::store {

namespace {

// So much is written between two syncs: what a killed job copies again.
constexpr double bytes_between_syncs = 256.0 * 1024 * 1024;

// Panels of a file that anyone may have made, of at most `samples` samples.
std::vector<std::int64_t> read_starts(hid_t file, const std::string& path, const KernelSpec& spec,
                                      std::int64_t samples) {
  const h5::Dataset dataset(file, path, 1);
  const auto rows_of = spec.rows_per_sample;
  require(dataset.size() >= 2 && dataset.size() <= samples + 1, ExitCode::io,
          "cannot use {} ({} panels for {} samples) it is damaged, move its file away", path,
          dataset.size() - 1, samples);
  const auto starts = dataset.read_all<std::int64_t>();
  bool good = starts.front() == 0 && starts.back() <= samples * rows_of;
  for (std::size_t p = 1; p < starts.size(); ++p)
    good = good && starts[p] > starts[p - 1] && starts[p] % rows_of == 0;
  require(good, ExitCode::io,
          "cannot use {} (its panels are not in order) it is damaged, move its file away", path);
  return starts;
}

// Which of the job's row panels the file has too: the same samples in the same order. Samples are
// drawn from one permutation and sorted inside batches, so these are the panels of the batches that
// are complete in both.
std::vector<bool> same_panels(hid_t file, const KernelSpec& spec, const KernelSet& job,
                              const std::vector<std::int64_t>& starts) {
  std::vector<bool> same(static_cast<std::size_t>(job.grid.row_panels()), false);
  const auto& expected = job.samples.source_row;
  std::vector<std::int64_t> found;
  if (!expected.empty())
    found = h5::read<std::int64_t>(file, samples_path(job.name) + "/source_row",
                                   h5::Dims{starts.back() / spec.rows_per_sample});
  const auto& panels = job.grid.row_starts;
  for (std::size_t p = 0; p + 1 < std::min(starts.size(), panels.size()); ++p) {
    if (starts[p] != panels[p] || starts[p + 1] != panels[p + 1]) continue;
    const auto first = starts[p] / spec.rows_per_sample,
               last = starts[p + 1] / spec.rows_per_sample;
    same[p] = expected.empty() ||
              std::equal(found.begin() + first, found.begin() + last, expected.begin() + first);
  }
  return same;
}

}  // namespace

TileSource::TileSource(const std::string& path, const KernelSpec& spec)
    : path_(path), job_(spec), own_(spec) {
  {
    const h5::Handle file = h5::open_file(path);
    check_identity(file, path, spec);
    std::vector<std::int64_t> columns;
    for (std::size_t s = 0; s < spec.sets.size(); ++s) {
      const KernelSet& job = spec.sets[s];
      const auto starts = read_starts(file, journal_path(job.name) + "/row_starts", spec,
                                      job.grid.rows() / spec.rows_per_sample);
      if (s == 0) columns = starts;
      same_panels_.push_back(same_panels(file, spec, job, starts));
      own_.sets[s].grid.row_starts = starts;
      own_.sets[s].grid.column_starts = columns;
    }
  }
  file_ = std::make_unique<TileFile>(path, own_);
  states_ = std::make_unique<TileStates>(own_);
  for (int set = 0; set < static_cast<int>(own_.sets.size()); ++set)
    states_->put_all(set, file_->states(set));
}

std::int64_t TileSource::own_tile(int set, std::int64_t tile) const {
  const auto s = static_cast<std::size_t>(set);
  const auto [row, column] = job_.sets[s].grid.panels_of(tile);
  if (!same_panels_[s][static_cast<std::size_t>(row)] ||
      !same_panels_[0][static_cast<std::size_t>(column)])
    return -1;
  return own_.sets[s].grid.tile_index(row, column);
}

bool TileSource::offers(int set, std::int64_t tile, int row) const {
  const std::int64_t own = own_tile(set, tile);
  return own >= 0 && states_->has(set, own, row);
}

std::int64_t TileSource::bytes(int set, std::int64_t tile, int row) const {
  return file_->bytes(set, own_tile(set, tile), row);
}

TileData TileSource::read(int set, std::int64_t tile, int row,
                          std::vector<std::string>& damaged) const {
  const std::int64_t own = own_tile(set, tile);
  TileData data = file_->read(set, own, row);
  damaged = file_->damaged(set, own, row, data);
  return data;
}

namespace {

// Entries on their way into a file: written, and journalled when enough of them are synced.
class Copies {
 public:
  Copies(const TileFile& to, Checked& taken) : to_(to), taken_(taken) {}

  // Whether the entry was sound.
  bool take(const TileSource& source, int set, std::int64_t tile, int row, Damages& damages) {
    ++taken_.entries;
    const auto bytes = static_cast<double>(source.bytes(set, tile, row));
    taken_.bytes += bytes;
    std::vector<std::string> damaged;
    const TileData data = source.read(set, tile, row, damaged);
    if (!damaged.empty()) {
      damages.add(tile, damaged, "its checksum differs in " + source.path(), "it is not taken");
      return false;
    }
    pending_.push_back({set, tile, row, to_.write(set, tile, row, data)});
    unsynced_ += bytes;
    if (unsynced_ >= bytes_between_syncs) journal();
    return true;
  }
  void journal() {
    to_.sync();
    for (const Pending& p : pending_) to_.journal(p.set, p.tile, p.row, p.entry);
    to_.sync();
    pending_.clear();
    unsynced_ = 0;
  }

 private:
  struct Pending {
    int set;
    std::int64_t tile;
    int row;
    JournalEntry entry;
  };
  const TileFile& to_;
  Checked& taken_;
  std::vector<Pending> pending_;
  double unsynced_ = 0;
};

}  // namespace

Checked take_tiles(const parallel::Communicator& comm, const std::string& path,
                   const KernelSpec& spec, const TileFile& to, const TileStates& wanted,
                   TileStates& have) {
  Checked taken{path};
  Damages damages;
  {
    Stopwatch watch(taken.seconds);
    const int sum = sum_row(spec.ranges);
    TileStates copied(spec);
    parallel::collectively(comm, [&] {
      const TileSource source(path, spec);
      Copies copies(to, taken);
      std::int64_t turn = 0;
      for_tiles(spec, [&](int set, std::int64_t tile) {
        std::vector<int> ranges;  // that are wanted
        for (int range = 0; range < spec.ranges; ++range)
          if (wanted.has(set, tile, range) && !have.has({set, tile, range}))
            ranges.push_back(range);
        if (ranges.empty() || turn++ % comm.size() != comm.rank()) return;
        const auto take = [&](int row) {
          const bool taken_now =
              source.offers(set, tile, row) && copies.take(source, set, tile, row, damages);
          if (taken_now) copied.put(set, tile, row);
          return taken_now;
        };
        if (sum >= 0 && take(sum)) return;
        for (const int range : ranges) take(range);
      });
      copies.journal();
    });
    copied.unite(comm);
    for_tiles(spec, [&](int set, std::int64_t tile) {
      for (int row = 0; row < journal_rows(spec.ranges); ++row)
        if (copied.has(set, tile, row)) have.put(set, tile, row);
    });
  }
  taken.damaged = damages.tell(comm);
  add_up_ranks(comm, taken);
  return taken;
}

}  // namespace ntk::store
