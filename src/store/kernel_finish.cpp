#include "store/kernel_finish.hpp"

#include <utility>

#include "base/text.hpp"
#include "parallel/collectives.hpp"
#include "store/disk.hpp"

namespace ntk::store {

std::vector<double> add_up(const TileFile& file, const KernelSpec& spec, int set, std::int64_t tile,
                           std::size_t matrix) {
  std::vector<double> total = file.read_tile(set, tile, 0, matrix);
  for (int range = 1; range < spec.ranges; ++range) {
    const std::vector<double> more = file.read_tile(set, tile, range, matrix);
    for (std::size_t i = 0; i < total.size(); ++i) total[i] += more[i];
  }
  return total;
}

void add_ranges(const parallel::Communicator& comm, const TileFile& file, const KernelSpec& spec,
                TileStates& written) {
  const int sum = sum_row(spec.ranges);
  if (sum < 0) return;
  struct Sum {
    int set;
    std::int64_t tile;
    JournalEntry entry;
  };
  parallel::collectively(comm, [&] {
    std::vector<Sum> sums;
    int turn = 0;
    for_tiles(spec, [&](int set, std::int64_t tile) {
      if (written.has(set, tile, sum) || turn++ % comm.size() != comm.rank()) return;
      Sum& made = sums.emplace_back(Sum{set, tile, {}});
      for (std::size_t m = 0; m <= spec.groups.size(); ++m)
        made.entry.checksums.push_back(
            file.write_tile(set, tile, sum, m, add_up(file, spec, set, tile, m)));
    });
    file.sync();
    for (const Sum& made : sums) {
      file.journal(made.set, made.tile, sum, made.entry);
      written.put(made.set, made.tile, sum);
    }
    file.sync();
  });
}

void fill_last(const parallel::Communicator& comm, const TileFile& file, const KernelSpec& spec,
               bool mirror, const MeasuredError& error) {
  parallel::on_first(comm, [&] {
    if (mirror) file.set_mirror_begun();
    file.write_error(error);
    file.sync();
  });
  bool fill = mirror;
  parallel::collectively(comm, [&] { fill = fill || file.mirror_begun(); });
  // An earlier finish with a mirror may have been cut off; without one the triangle is zero.
  if (!fill) return;
  parallel::collectively(comm, [&] {
    for (std::int64_t tile = comm.rank(); tile < spec.sets[0].grid.tile_count();
         tile += comm.size())
      file.mirror(tile, !mirror);
    file.sync();
  });
}

void conclude(const FileNames& names, const KernelSpec& spec, bool mirrored,
              const nlohmann::json& closing) {
  {
    h5::Handle last = h5::open_file(names.partial);
    std::vector<std::pair<std::int64_t, std::int64_t>> data;
    for (const auto& planned : planned_datasets(spec)) {
      const h5::Dataset dataset(last, planned.path);
      if (dataset.offset() >= 0) data.emplace_back(dataset.offset(), dataset.bytes());
    }
    last.close("close " + names.partial);
    save_metadata(names.partial, std::move(data), names.undo);
  }
  if (spec.ranges > 1) {
    // Closed before anything is added, which would take freed places near the end of the file and
    // keep it from shrinking.
    h5::Handle cut = h5::open_file(names.partial, true);
    h5::check(H5Ldelete(cut, "/partial", H5P_DEFAULT), "remove the partial sums");
    cut.close("close " + names.partial);
  }
  h5::Handle last = h5::open_file(names.partial, true);
  for (std::size_t m = 0; m <= spec.groups.size(); ++m)
    h5::write_attribute(h5::open_object(last, matrix_path(matrices_path(""), spec.groups, m)),
                        "triangle", mirrored ? "full" : "lower");
  if (!closing.contains("completed")) h5::write_attribute(last, "completed", time_stamp());
  if (!closing.is_null())
    for (const auto& [key, value] : closing.items()) h5::write_attribute(last, key, value);
  h5::write_attribute(last, "complete", 1);
  h5::check(H5Fflush(last, H5F_SCOPE_GLOBAL), "flush " + names.partial);
  last.close("close " + names.partial);
  sync_path(names.partial);
  rename_durably(names.partial, names.complete);
  remove_file(names.undo);
}

}  // namespace ntk::store
