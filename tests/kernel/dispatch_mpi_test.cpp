// Handing out tasks: each one once, fewer to slow ranks, and a stop of one rank is everyone's.
#include "kernel/dispatch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "parallel/collectives.hpp"

namespace ntk::kernel {
namespace {

using std::chrono::milliseconds;

class DispatchMpi : public testing::Test {
 protected:
  DispatchMpi() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks_);
  }

  // Takes tasks until there are none, `pieces` pieces of `piece` each; how often this rank made
  // each, all ranks' added up in `made`.
  int work(int tasks, milliseconds piece, std::vector<int>& made) {
    constexpr int pieces = 4;
    Progress progress(tasks, tasks, 1);
    Dispatch dispatch(MPI_COMM_WORLD, tasks, progress, [&](std::int64_t n) { counted_ = n; });
    int mine = 0;
    made.assign(static_cast<std::size_t>(tasks), 0);
    while (const auto task = dispatch.next()) {
      try {
        for (int p = 1; p <= pieces; ++p) {
          std::this_thread::sleep_for(piece);
          dispatch.tick(static_cast<double>(p) / pieces, 1.0 / pieces);
        }
      } catch (const TaskDropped&) {
        break;
      }
      ++mine;
      ++made[static_cast<std::size_t>(*task)];
      dispatch.stored();
    }
    dispatch.finish();
    stopped_ = dispatch.stopped();
    parallel::all_reduce(MPI_COMM_WORLD, std::span<int>(made), MPI_SUM);
    return mine;
  }

  int rank_ = 0, ranks_ = 1;
  std::int64_t counted_ = 0;
  stop::Reason stopped_ = stop::Reason::none;
};

TEST_F(DispatchMpi, EveryTaskOnce) {
  for (const int tasks : {0, 1, ranks_ - 1, ranks_, 3 * ranks_ + 1, 40}) {
    std::vector<int> made;
    work(tasks, milliseconds(rank_ % 2), made);
    for (int t = 0; t < tasks; ++t) EXPECT_EQ(made[static_cast<std::size_t>(t)], 1) << t;
    if (rank_ == 0) {
      EXPECT_EQ(counted_, tasks);
    }
    counted_ = 0;
  }
}

TEST_F(DispatchMpi, SlowRanksMakeFewer) {
  const bool slow = rank_ == ranks_ - 1 && ranks_ > 1;
  std::vector<int> made;
  const int mine = work(20 * ranks_, milliseconds(slow ? 20 : 2), made);
  if (slow) {
    EXPECT_LT(mine, 15);
  }
  const int most = parallel::all_max(MPI_COMM_WORLD, mine);
  EXPECT_GE(most, 20);
}

TEST_F(DispatchMpi, AnyRanksStopIsEveryones) {
  for (const int asking : {0, ranks_ - 1}) {
    const stop::ScopedSignals scope;  // forgets the wish at its end
    std::thread later;
    if (rank_ == asking) {
      later = std::thread([] {
        std::this_thread::sleep_for(milliseconds(50));
        stop::request(stop::Reason::user);
      });
    }
    std::vector<int> made;
    work(1000, milliseconds(5), made);
    if (later.joinable()) later.join();
    EXPECT_EQ(stopped_, stop::Reason::user);
    EXPECT_EQ(stop::requested(), stop::Reason::user);
    EXPECT_LT(std::count(made.begin(), made.end(), 1), 1000);
  }
}

}  // namespace
}  // namespace ntk::kernel
