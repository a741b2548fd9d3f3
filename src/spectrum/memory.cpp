#include "spectrum/memory.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/memory.hpp"
#include "parallel/collectives.hpp"
#include "parallel/distribution.hpp"

namespace ntk::spectrum {

double needed_bytes(std::int64_t order, std::int64_t block, parallel::GridShape shape, Work work,
                    std::int64_t leading) {
  const std::int64_t rows = parallel::Axis(order, block, shape.rows, 0).local_size();
  const std::int64_t columns = parallel::Axis(order, block, shape.columns, 0).local_size();
  const auto n = static_cast<double>(order), matrix = static_cast<double>(rows * columns);
  double numbers = matrix + 16 * n;
  if (work == Work::vectors) {
    numbers += matrix + static_cast<double>(padded_workspace(order, block, shape));
  }
  if (work == Work::gpu_vectors) {
    // The vectors, and the two panels of their check; elsewhere the solver's workspace is more.
    numbers += matrix + 2 * n * static_cast<double>(std::max<std::int64_t>(256, block));
  }
  if (work == Work::leading) {
    const double basis = std::min(n, 2.0 * static_cast<double>(leading));
    numbers += basis * n / shape.active() + 2 * basis * basis + basis * static_cast<double>(rows);
  }
  return 8 * numbers;
}

void require_room(int ranks, double needed, double free) {
  require(free == 0 || ranks * needed <= free, ExitCode::resources,
          "the spectrum needs {:.3g} GiB on each of {} ranks of a node that has {:.3g} GiB left "
          "(the dense matrix and the solver's workspace) use more nodes, or spectrum.method = "
          "\"leading\"",
          needed / (1 << 30), ranks, free / (1 << 30));
}

void require_memory(const parallel::Communicator& world, parallel::GridShape shape, double needed) {
  const auto place = parallel::node_place(world);
  std::vector<int> active(static_cast<std::size_t>(place.nodes), 0);
  if (world.rank() < shape.active()) active[static_cast<std::size_t>(place.node)] = 1;
  parallel::all_reduce(world, std::span<int>(active), MPI_SUM);
  parallel::collectively(world, [&] {
    require_room(active[static_cast<std::size_t>(place.node)], needed,
                 static_cast<double>(available_memory()));
  });
}

}  // namespace ntk::spectrum
