#include <exception>
#include <optional>

#include "base/heartbeat.hpp"
#include "base/log.hpp"
#include "parallel/collectives.hpp"
#include "store/first_rank.hpp"
#include "store/kernel_finish.hpp"
#include "store/run_files.hpp"
#include "store/tile_checks.hpp"
#include "store/tile_file.hpp"
#include "store/tile_states.hpp"

namespace ntk::store {

struct KernelWriter::Impl {
  Impl(MPI_Comm mpi, const std::string& directory, const KernelSpec& kernel)
      : comm(parallel::Communicator::borrow(mpi)),
        spec(kernel),
        names(directory, "kernel.h5"),
        done(checked(spec)) {
    int found = 0;
    on_first(comm, [&] { found = static_cast<int>(prepare(directory, names, spec)); });
    parallel::broadcast(comm, &found, sizeof found);
    state = static_cast<State>(found);
    if (state == State::complete) {
      done = TileStates(spec, true);
    } else {
      open();
      if (state == State::resumed) damaged = check_journal(comm, *file, spec, done);
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

  static const KernelSpec& checked(const KernelSpec& spec) {
    check_spec(spec);
    return spec;
  }

  void open() {
    try {
      parallel::collectively(comm, [&] { file.emplace(comm, names.partial, spec); });
    } catch (...) {  // some rank failed: those that did not must not wait for it in closing
      if (file) file->leak();
      throw;
    }
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

  void finish(bool mirror, const MeasuredError& error, const nlohmann::json& closing) {
    ensure(file.has_value(), "a complete kernel file is finished again");
    written.unite(comm);
    std::int64_t missing = 0;
    for_units(spec, [&](const Unit& unit) { missing += !written.has(unit); });
    ensure(missing == 0, "{} units of the kernel file are missing at the end", missing);
    ensure(static_cast<std::int64_t>(error.samples.size()) == spec.error_samples,
           "{} error samples for {}", error.samples.size(), spec.error_samples);
    add_ranges(comm, *file, spec, written);
    fill_last(comm, *file, spec, mirror, error);
    parallel::collectively(comm, [&] { file->close(); });
    file.reset();
    on_first(comm, [&] { conclude(names, spec, mirror, closing); });
  }

  parallel::Communicator comm;
  KernelSpec spec;
  FileNames names;
  State state = State::fresh;
  std::optional<TileFile> file;
  TileStates done;           // when the file was opened
  TileStates written{done};  // the same and what this rank wrote since
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
  return impl_->done.has(unit);
}

std::int64_t KernelWriter::units() const {
  std::int64_t count = 0;
  for_units(impl_->spec, [&](const Unit&) { ++count; });
  return count;
}

std::int64_t KernelWriter::units_done() const {
  std::int64_t count = 0;
  for_units(impl_->spec, [&](const Unit& unit) { count += done(unit); });
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
