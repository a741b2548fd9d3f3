#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "base/heartbeat.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "parallel/collectives.hpp"
#include "parallel/mpi.hpp"
#include "store/tile_file.hpp"

namespace ntk::store {

namespace {

constexpr std::int64_t damages_told = 10;
constexpr double gib = 1024.0 * 1024.0 * 1024.0;

// Collective around work of the first rank alone: all throw its error.
template <class Work>
void on_first(const parallel::Communicator& comm, Work work) {
  int code = 0;
  std::string text;
  if (comm.rank() == 0) {
    try {
      work();
    } catch (const Error& error) {
      code = static_cast<int>(error.code());
      text = error.what();
    } catch (const std::exception& error) {
      code = static_cast<int>(ExitCode::internal);
      text = error.what();
    }
  }
  parallel::broadcast(comm, &code, sizeof code);
  parallel::broadcast(comm, text);
  parallel::agree(comm, static_cast<ExitCode>(code), text);
}

void check_space(const std::string& directory, const KernelSpec& spec) {
  std::int64_t needed = 0;
  for (const auto& planned : planned_datasets(spec))
    needed += planned.bytes() - (spec.mirror_planned ? 0 : planned.sparse_bytes);
  const std::int64_t available = free_bytes(directory);
  require(available >= needed, ExitCode::io,
          "not enough room for the kernel file in {} ({:.1f} GiB needed, {:.1f} GiB free) choose "
          "another run.directory, fewer data.samples, kernel.storage = \"fp32\", fewer groups or "
          "kernel.mirror = false",
          directory, static_cast<double>(needed) / gib, static_cast<double>(available) / gib);
}

}  // namespace

struct KernelWriter::Impl {
  using Flags = std::vector<std::uint8_t>;

  Impl(MPI_Comm mpi, const std::string& directory, const KernelSpec& kernel)
      : comm(parallel::Communicator::borrow(mpi)),
        spec(kernel),
        complete_path(directory + "/kernel.h5"),
        partial_path(complete_path + ".partial"),
        undo_path(partial_path + ".undo") {
    check_spec(spec);
    int found = 0;
    on_first(comm, [&] { found = static_cast<int>(prepare(directory)); });
    parallel::broadcast(comm, &found, sizeof found);
    state = static_cast<State>(found);
    const std::uint8_t all = state == State::complete ? 1 : 0;
    for (const auto& set : spec.sets)
      done.emplace_back(static_cast<std::size_t>(journal_rows(spec.ranges) * set.grid.tile_count()),
                        all);
    if (state != State::complete) {
      try {
        parallel::collectively(comm, [&] { file.emplace(comm, partial_path, spec); });
      } catch (...) {  // some rank failed: those that did not must not wait for it in closing
        if (file) file->leak();
        throw;
      }
      if (state == State::resumed) verify();
    }
    written = done;
  }

  // Other ranks may wait elsewhere while this one is unwinding; closing would wait for them.
  ~Impl() {
    if (!file) return;
    if (std::uncaught_exceptions() > 0) {
      file->leak();
      return;
    }
    try {
      file->close();
    } catch (const Error& error) {
      log::rank_error("{}", error.what());
    }
  }

  // First rank: finds or makes the file, and leaves it closed.
  State prepare(const std::string& directory) {
    make_directory(directory);
    if (file_exists(complete_path)) {
      const h5::Handle existing = h5::open_file(complete_path);
      check_identity(existing, complete_path, spec);
      require(h5::read_attribute(existing, "complete") == 1, ExitCode::io,
              "{} is not complete (nothing of ours leaves it so) move it away", complete_path);
      remove_file(undo_path);
      return State::complete;
    }
    if (file_exists(partial_path)) {
      if (file_exists(undo_path)) restore_metadata(partial_path, undo_path);
      const h5::Handle existing = open_existing();
      check_identity(existing, partial_path, spec);
      check_layout(existing, partial_path, spec);
      return State::resumed;
    }
    require_writable(directory);
    remove_file(undo_path);
    const std::string fresh = partial_path + ".new";
    remove_file(fresh);
    check_space(directory, spec);
    lay_out(fresh, spec);
    rename_durably(fresh, partial_path);
    return State::fresh;
  }

  h5::Handle open_existing() const {
    try {
      return h5::open_file(partial_path);
    } catch (const Error& error) {
      fail(ExitCode::io,
           "cannot go on with the unfinished {} ({}) if it is damaged, move it away to start over, "
           "or use another run.directory",
           partial_path, error.what());
    }
  }

  // A journalled entry (a unit, or with the sum's row a finished tile).
  std::size_t entry(int set, std::int64_t tile, int row) const {
    return static_cast<std::size_t>(
        row * spec.sets[static_cast<std::size_t>(set)].grid.tile_count() + tile);
  }
  bool flagged(const std::vector<Flags>& flags, int set, std::int64_t tile, int row) const {
    return flags[static_cast<std::size_t>(set)][entry(set, tile, row)] != 0;
  }
  // A range of a tile counts as done also when the tile's sum over ranges is.
  bool have(const std::vector<Flags>& flags, const Unit& unit) const {
    const int sum = sum_row(spec.ranges);
    return flagged(flags, unit.set, unit.tile, unit.range) ||
           (sum >= 0 && flagged(flags, unit.set, unit.tile, sum));
  }
  template <class Visit>
  void for_tiles(Visit visit) const {
    for (int set = 0; set < static_cast<int>(spec.sets.size()); ++set)
      for (std::int64_t tile = 0; tile < spec.sets[static_cast<std::size_t>(set)].grid.tile_count();
           ++tile)
        visit(set, tile);
  }

  void merge(std::vector<Flags>& flags) const {  // collective: any rank's flag is everyone's
    for (auto& of_set : flags) {
      std::vector<int> wide(of_set.begin(), of_set.end());
      parallel::all_max(comm, wide);
      std::copy(wide.begin(), wide.end(), of_set.begin());
    }
  }

  // Collective. Checks every journalled entry; sums over ranges come first, since the ranges of a
  // sound sum are not looked at.
  void verify() {
    parallel::collectively(comm, [&] {
      for (int set = 0; set < static_cast<int>(spec.sets.size()); ++set)
        done[static_cast<std::size_t>(set)] = file->states(set);
    });
    const int sum = sum_row(spec.ranges);
    if (sum >= 0)
      verify_entries([&](auto visit) {
        for_tiles([&](int set, std::int64_t tile) { visit(set, tile, sum); });
      });
    verify_entries([&](auto visit) {
      for_tiles([&](int set, std::int64_t tile) {
        if (sum >= 0 && flagged(done, set, tile, sum)) return;
        for (int range = 0; range < spec.ranges; ++range) visit(set, tile, range);
      });
    });
  }

  template <class Entries>
  void verify_entries(Entries entries) {
    std::vector<Flags> bad;
    for (const auto& of_set : done) bad.emplace_back(of_set.size(), std::uint8_t{0});
    int turn = 0;
    parallel::collectively(comm, [&] {
      entries([&](int set, std::int64_t tile, int row) {
        if (!flagged(done, set, tile, row) || turn++ % comm.size() != comm.rank()) return;
        heartbeat::beat();
        if (!file->intact(set, tile, row))
          bad[static_cast<std::size_t>(set)][entry(set, tile, row)] = 1;
      });
    });
    merge(bad);
    parallel::collectively(comm, [&] {
      entries([&](int set, std::int64_t tile, int row) {
        if (!flagged(bad, set, tile, row)) return;
        ++damaged;
        done[static_cast<std::size_t>(set)][entry(set, tile, row)] = 0;
        if (damaged <= damages_told)
          log::warn("tile {} of {} is damaged (its checksum differs) it will be made anew", tile,
                    matrices_path(spec.sets[static_cast<std::size_t>(set)].name));
        if (comm.rank() == 0) file->forget(set, tile, row);
      });
      if (damaged > damages_told) log::warn("{} tiles are damaged in all", damaged);
      file->sync();
    });
  }

  void write(const Unit& unit, const TileData& data) {
    ensure(data.groups.size() == spec.groups.size(), "a tile with {} groups for {}",
           data.groups.size(), spec.groups.size());
    const bool with_outputs =
        carries_outputs(spec.sets[static_cast<std::size_t>(unit.set)].grid, unit);
    ensure(with_outputs || data.outputs.empty(), "outputs with tile {} of set {}, range {}",
           unit.tile, unit.set, unit.range);
    std::vector<std::uint64_t> checksums{
        file->write_tile(unit.set, unit.tile, unit.range, 0, data.total)};
    for (std::size_t g = 0; g < data.groups.size(); ++g)
      checksums.push_back(file->write_tile(unit.set, unit.tile, unit.range, g + 1, data.groups[g]));
    std::uint64_t outputs = 0;
    if (with_outputs) outputs = file->write_outputs(unit.set, unit.tile, data.outputs);
    file->sync();
    file->journal(unit.set, unit.tile, unit.range, checksums, with_outputs ? &outputs : nullptr);
    file->sync();
    written[static_cast<std::size_t>(unit.set)][entry(unit.set, unit.tile, unit.range)] = 1;
  }

  // Sum over the ranges in their order: ((r0 + r1) + r2) + ...
  std::vector<double> add_up(int set, std::int64_t tile, std::size_t matrix) const {
    std::vector<double> total = file->read_tile(set, tile, 0, matrix);
    for (int range = 1; range < spec.ranges; ++range) {
      const std::vector<double> more = file->read_tile(set, tile, range, matrix);
      for (std::size_t i = 0; i < total.size(); ++i) total[i] += more[i];
    }
    return total;
  }

  std::vector<double> read_total(std::int64_t tile) const {
    const int sum = sum_row(spec.ranges);
    if (sum >= 0 && flagged(done, 0, tile, sum)) return file->read_tile(0, tile, sum, 0);
    std::vector<double> total = add_up(0, tile, 0);
    if (spec.single_precision)
      for (double& value : total) value = static_cast<float>(value);
    return total;
  }

  // Each tile by one rank.
  void add_ranges() {
    const int sum = sum_row(spec.ranges);
    struct Sum {
      int set;
      std::int64_t tile;
      std::vector<std::uint64_t> checksums;
    };
    std::vector<Sum> sums;
    int turn = 0;
    for_tiles([&](int set, std::int64_t tile) {
      if (flagged(written, set, tile, sum) || turn++ % comm.size() != comm.rank()) return;
      heartbeat::beat();
      Sum& made = sums.emplace_back(Sum{set, tile, {}});
      for (std::size_t m = 0; m <= spec.groups.size(); ++m)
        made.checksums.push_back(file->write_tile(set, tile, sum, m, add_up(set, tile, m)));
    });
    file->sync();
    for (const Sum& made : sums) {
      file->journal(made.set, made.tile, sum, made.checksums, nullptr);
      written[static_cast<std::size_t>(made.set)][entry(made.set, made.tile, sum)] = 1;
    }
    file->sync();
  }

  void fill_upper(bool clear) {
    for (std::int64_t tile = comm.rank(); tile < spec.sets[0].grid.tile_count();
         tile += comm.size()) {
      heartbeat::beat();
      file->mirror(tile, clear);
    }
    file->sync();
  }

  // First rank, with the file closed everywhere: all changes of metadata, made all or nothing by
  // the undo copy, then the new name.
  void conclude(bool mirrored, const nlohmann::json& closing) {
    {
      h5::Handle last = h5::open_file(partial_path);
      std::vector<std::pair<std::int64_t, std::int64_t>> data;
      for (const auto& planned : planned_datasets(spec)) {
        const h5::Dataset dataset(last, planned.path);
        if (dataset.offset() >= 0) data.emplace_back(dataset.offset(), dataset.bytes());
      }
      last.close("close " + partial_path);
      save_metadata(partial_path, std::move(data), undo_path);
    }
    if (spec.ranges > 1) {
      // Closed before anything is added, which would take freed places near the end of the file and
      // keep it from shrinking.
      h5::Handle cut = h5::open_file(partial_path, true);
      h5::check(H5Ldelete(cut, "/partial", H5P_DEFAULT), "remove the partial sums");
      cut.close("close " + partial_path);
    }
    h5::Handle last = h5::open_file(partial_path, true);
    for (std::size_t m = 0; m <= spec.groups.size(); ++m)
      h5::write_attribute(h5::open_object(last, matrix_path(matrices_path(""), spec.groups, m)),
                          "triangle", mirrored ? "full" : "lower");
    if (!closing.contains("completed")) h5::write_attribute(last, "completed", time_stamp());
    if (!closing.is_null())
      for (const auto& [key, value] : closing.items()) h5::write_attribute(last, key, value);
    h5::write_attribute(last, "complete", 1);
    h5::check(H5Fflush(last, H5F_SCOPE_GLOBAL), "flush " + partial_path);
    last.close("close " + partial_path);
    sync_path(partial_path);
    rename_durably(partial_path, complete_path);
    remove_file(undo_path);
  }

  void finish(bool mirror, const MeasuredError& error, const nlohmann::json& closing) {
    ensure(file.has_value(), "a complete kernel file is finished again");
    merge(written);
    std::int64_t missing = 0;
    for_tiles([&](int set, std::int64_t tile) {
      for (int range = 0; range < spec.ranges; ++range)
        if (!have(written, {set, tile, range})) ++missing;
    });
    ensure(missing == 0, "{} units of the kernel file are missing at the end", missing);
    ensure(static_cast<std::int64_t>(error.samples.size()) == spec.error_samples,
           "{} error samples for {}", error.samples.size(), spec.error_samples);
    if (spec.ranges > 1) parallel::collectively(comm, [&] { add_ranges(); });
    on_first(comm, [&] {
      if (mirror) file->set_mirror_begun();
      file->write_error(error);
      file->sync();
    });
    bool fill = mirror;
    parallel::collectively(comm, [&] { fill = fill || file->mirror_begun(); });
    // An earlier finish with a mirror may have been cut off; without one the triangle is zero.
    if (fill) parallel::collectively(comm, [&] { fill_upper(!mirror); });
    parallel::collectively(comm, [&] { file->close(); });
    file.reset();
    on_first(comm, [&] { conclude(mirror, closing); });
  }

  parallel::Communicator comm;
  KernelSpec spec;
  std::string complete_path, partial_path, undo_path;
  State state = State::fresh;
  std::optional<TileFile> file;
  std::vector<Flags> done;     // [set][journal row * tiles + tile], when the file was opened
  std::vector<Flags> written;  // the same and what this rank wrote since
  std::int64_t damaged = 0;
};

KernelWriter::KernelWriter(MPI_Comm comm, const std::string& directory, const KernelSpec& spec)
    : impl_(std::make_unique<Impl>(comm, directory, spec)) {}
KernelWriter::~KernelWriter() = default;
KernelWriter::KernelWriter(KernelWriter&&) noexcept = default;

KernelWriter::State KernelWriter::state() const {
  return impl_->state;
}

bool KernelWriter::done(const Unit& unit) const {
  return impl_->have(impl_->done, unit);
}

std::int64_t KernelWriter::units() const {
  std::int64_t count = 0;
  for (const auto& set : impl_->spec.sets) count += impl_->spec.ranges * set.grid.tile_count();
  return count;
}

std::int64_t KernelWriter::units_done() const {
  std::int64_t count = 0;
  impl_->for_tiles([&](int set, std::int64_t tile) {
    for (int range = 0; range < impl_->spec.ranges; ++range) count += done({set, tile, range});
  });
  return count;
}

std::int64_t KernelWriter::units_damaged() const {
  return impl_->damaged;
}

void KernelWriter::write(const Unit& unit, const TileData& data) {
  ensure(impl_->file.has_value(), "a tile is written to a complete kernel file");
  impl_->write(unit, data);
}

std::vector<double> KernelWriter::read_total(std::int64_t tile) const {
  ensure(impl_->file.has_value(), "a tile is read back from a closed kernel file");
  return impl_->read_total(tile);
}

void KernelWriter::finish(bool mirror, const MeasuredError& error,
                          const nlohmann::json& closing_provenance) {
  impl_->finish(mirror, error, closing_provenance);
}

}  // namespace ntk::store
