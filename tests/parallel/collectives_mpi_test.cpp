#include "parallel/collectives.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>

#include "parallel/mpi.hpp"

namespace {

using namespace ntk::parallel;
using testing::HasSubstr;

class Collectives : public testing::Test {
 protected:
  Communicator world_ = Communicator::borrow(MPI_COMM_WORLD);
  int rank_ = world_.rank(), size_ = world_.size();
};

TEST_F(Collectives, Reductions) {
  EXPECT_EQ(all_max(world_, rank_), size_ - 1);
  EXPECT_EQ(all_min(world_, 3.5 + rank_), 3.5);
  EXPECT_EQ(all_sum(world_, std::int64_t{1} << 40), std::int64_t{size_} << 40);
  std::vector<double> values = {1.0, double(rank_)};
  all_sum(world_, values);
  EXPECT_EQ(values, (std::vector<double>{double(size_), size_ * (size_ - 1) / 2.0}));
  std::vector<double> onto_last = {1.0};
  sum_to(world_, onto_last, size_ - 1);
  if (rank_ == size_ - 1) {
    EXPECT_EQ(onto_last[0], size_);
  }
  std::vector<double> none;
  all_sum(world_, none);
}

TEST_F(Collectives, Texts) {
  std::string text = rank_ == size_ - 1 ? "from the last" : "something longer that goes away";
  broadcast(world_, text, size_ - 1);
  EXPECT_EQ(text, "from the last");
  const auto texts = all_gather(world_, std::string(static_cast<std::size_t>(rank_), 'x'));
  ASSERT_EQ(texts.size(), static_cast<std::size_t>(size_));
  for (std::size_t r = 0; r < texts.size(); ++r) EXPECT_EQ(texts[r], std::string(r, 'x'));
  EXPECT_EQ(gather(world_, "y").size(), rank_ == 0 ? texts.size() : 0u);
}

TEST_F(Collectives, OneRanksFailureReachesAll) {
  const int bad = size_ - 1;
  try {
    collectively(world_, [&] {
      if (rank_ == bad) ntk::fail(ntk::ExitCode::io, "broken file");
    });
    FAIL() << "no error";
  } catch (const AgreedError& error) {
    EXPECT_EQ(error.code(), ntk::ExitCode::io);
    EXPECT_THAT(error.what(), HasSubstr("broken file"));
    if (size_ > 1) {
      EXPECT_THAT(error.what(), HasSubstr(fmt::format("rank {}", bad)));
    }
  }
  EXPECT_NO_THROW(collectively(world_, [] {}));
  try {
    collectively(world_, [] { throw std::bad_alloc(); });
    FAIL() << "no error";
  } catch (const AgreedError& error) {
    EXPECT_EQ(error.code(), ntk::ExitCode::resources);
    EXPECT_EQ(std::string(error.what()).find("rank 0:"), std::string::npos);
  }
}

TEST_F(Collectives, ErrorCodesBecomeExceptions) {
  int value = 0;
  EXPECT_THROW(check_mpi(MPI_Bcast(&value, 1, MPI_INT, -3, world_), "MPI_Bcast"), ntk::Error);
}

TEST_F(Collectives, SplitLeavesSomeOut) {
  const Communicator part = world_.split(rank_ == 0 ? -1 : 0);
  EXPECT_EQ(static_cast<bool>(part), rank_ != 0);
  if (part) {
    EXPECT_EQ(part.rank(), rank_ - 1);
    EXPECT_EQ(part.size(), size_ - 1);
  }
  Communicator copy = world_.duplicate();
  const Communicator moved = std::move(copy);
  EXPECT_FALSE(copy);
  EXPECT_EQ(all_sum(moved, 1), size_);
}

TEST_F(Collectives, NodePlaceOnOneMachine) {
  const NodePlace place = node_place(world_);
  EXPECT_EQ(place.rank, rank_);
  EXPECT_EQ(place.ranks, size_);
  EXPECT_EQ(place.node, 0);
  EXPECT_EQ(place.nodes, 1);
}

TEST_F(Collectives, RunningMpiIsLeftAlone) {
  {
    const ScopedMpi mpi(nullptr, nullptr);
    EXPECT_GE(mpi.level(), MPI_THREAD_FUNNELED);
  }
  int finished = 1;
  MPI_Finalized(&finished);
  EXPECT_FALSE(finished);
  wait_idle(world_);
}

}  // namespace
