#include <algorithm>
#include <exception>
#include <optional>

#include "base/log.hpp"
#include "parallel/collectives.hpp"
#include "store/disk.hpp"
#include "store/kernel_finish.hpp"
#include "store/run_files.hpp"
#include "store/tile_checks.hpp"
#include "store/tile_file.hpp"
#include "store/tile_import.hpp"
#include "store/tile_states.hpp"

namespace ntk::store {

struct KernelWriter::Impl {
  Impl(MPI_Comm mpi, const std::string& directory, const KernelSpec& kernel,
       const FileRequest& what)
      : comm(parallel::Communicator::borrow(mpi)),
        spec(kernel),
        names(directory, what.name),
        wanted(wanted_of(valid(spec), what)),
        done(spec) {
    std::string found;
    parallel::on_first(comm, [&] {
      const Prepared prepared = prepare(directory, spec, what);
      found = nlohmann::json{{"state", prepared.state}, {"sources", prepared.sources}}.dump();
    });
    parallel::broadcast(comm, found);
    const auto prepared = nlohmann::json::parse(found);
    state = prepared["state"].get<FileState>();
    if (state == State::complete) {
      done = TileStates(spec, true);
    } else {
      try {
        parallel::collectively(comm, [&] { file.emplace(comm, names.partial, spec); });
        if (state == State::resumed)
          checked = check_journal(comm, names.partial, *file, spec, done);
        for (const std::string source : prepared["sources"]) take(source, what);
      } catch (...) {  // some rank failed: those that did not must not wait for it in closing
        if (file) file->leak();
        throw;
      }
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

  void take(const std::string& source, const FileRequest& what) {
    try {
      taken.push_back(take_tiles(comm, source, spec, *file, wanted, done));
    } catch (const parallel::AgreedError& error) {  // another job may just have renamed it
      const bool offered = std::ranges::find(what.sources, source) != what.sources.end();
      if (!offered || error.code() != ExitCode::io) throw;
      log::warn("{} is left out: {}", source, error.what());
    }
  }

  static const KernelSpec& valid(const KernelSpec& spec) {
    check_spec(spec);
    return spec;
  }

  void write(const Unit& unit, const TileData& data) {
    const JournalEntry entry = file->write(unit.set, unit.tile, unit.range, data);
    file->sync();
    file->journal(unit.set, unit.tile, unit.range, entry);
    file->sync();
    written.put(unit.set, unit.tile, unit.range);
  }

  std::vector<double> read_total(std::int64_t tile) const {
    const int sum = sum_row(spec.ranges);
    if (sum >= 0 && done.has(0, tile, sum)) return file->read_tile(0, tile, sum, 0);
    std::vector<double> total = add_up(*file, spec, 0, tile, 0);
    if (spec.single_precision)
      for (double& value : total) value = static_cast<float>(value);
    return total;
  }

  // Units asked for that `states` has not got.
  std::int64_t missing(const TileStates& states) const {
    std::int64_t count = 0;
    for_units(spec, [&](const Unit& unit) {
      count += wanted.has(unit.set, unit.tile, unit.range) && !states.has(unit);
    });
    return count;
  }

  void expect_all() {
    ensure(file.has_value(), "a complete kernel file is finished again");
    written.unite(comm);
    ensure(missing(written) == 0, "{} units of the kernel file are missing at the end",
           missing(written));
  }

  void close() {
    parallel::collectively(comm, [&] { file->close(); });
    file.reset();
  }

  void finish(bool mirror, const MeasuredError& error, const nlohmann::json& closing) {
    expect_all();
    ensure(static_cast<std::int64_t>(error.samples.size()) == spec.error_samples,
           "{} error samples for {}", error.samples.size(), spec.error_samples);
    add_ranges(comm, *file, spec, written);
    fill_last(comm, *file, spec, mirror, error);
    close();
    parallel::on_first(comm, [&] {
      conclude(names, spec, mirror, closing);
      remove_asides(names, spec);
    });
  }

  void finish_share() {
    expect_all();
    close();
    parallel::on_first(comm, [&] {
      rename_durably(names.partial, names.complete);
      remove_asides(names, spec);
    });
  }

  parallel::Communicator comm;
  KernelSpec spec;
  FileNames names;
  State state = State::fresh;
  std::optional<TileFile> file;
  TileStates wanted;         // the units that the file is to hold
  TileStates done;           // those there when the file was opened
  TileStates written{done};  // the same and what this rank wrote since
  Checked checked;
  std::vector<Checked> taken;
};

KernelWriter::KernelWriter(MPI_Comm comm, const std::string& directory, const KernelSpec& spec,
                           const FileRequest& request)
    : impl_(std::make_unique<Impl>(comm, directory, spec, request)) {}
KernelWriter::~KernelWriter() = default;
KernelWriter::KernelWriter(KernelWriter&&) noexcept = default;

KernelWriter::State KernelWriter::state() const {
  return impl_->state;
}

bool KernelWriter::done(const Unit& unit) const {
  return impl_->done.has(unit) || !impl_->wanted.has(unit.set, unit.tile, unit.range);
}

std::int64_t KernelWriter::units() const {
  return impl_->missing(TileStates(impl_->spec));
}

std::int64_t KernelWriter::units_done() const {
  return units() - impl_->missing(impl_->done);
}

const Checked& KernelWriter::checked() const {
  return impl_->checked;
}

const std::vector<Checked>& KernelWriter::taken() const {
  return impl_->taken;
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

void KernelWriter::finish_share() {
  impl_->finish_share();
}

}  // namespace ntk::store
