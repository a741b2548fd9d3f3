// The kernel file on several ranks: the same bytes for every rank count, interrupted or not.
#include "store/example.hpp"
#include "store/tile_file.hpp"

namespace ntk::store {
namespace {

using namespace example;

class KernelFileMpi : public testing::Test {
 protected:
  KernelFileMpi() { MPI_Comm_rank(MPI_COMM_WORLD, &rank_); }
  // Runs `action` with the first `ranks` ranks' communicator, the others waiting.
  template <class Action>
  void on_ranks(int ranks, Action action) {
    MPI_Comm part;
    MPI_Comm_split(MPI_COMM_WORLD, rank_ < ranks ? 0 : MPI_UNDEFINED, rank_, &part);
    if (part != MPI_COMM_NULL) {
      action(part);
      MPI_Comm_free(&part);
    }
    MPI_Barrier(MPI_COMM_WORLD);
  }
  template <class Action>
  void on_first(Action action) {
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank_ == 0) action();
    MPI_Barrier(MPI_COMM_WORLD);
  }
  int rank_ = 0;
};

// Every kind of file, made by all ranks and by one, byte for byte.
TEST_F(KernelFileMpi, BytesDoNotDependOnRanks) {
  std::vector<Shape> shapes(6);
  shapes[1].ranges = 3;
  shapes[2].single = true;
  shapes[3].groups.clear();
  shapes[3].evaluate.clear();
  shapes[4].samples = 1;
  shapes[4].classes = 1;
  shapes[4].ranges = 2;
  shapes[4].single = true;
  shapes[5].tile = 1;
  for (const Shape& shape : shapes)
    for (const bool mirror : {true, false}) {
      const KernelSpec spec = spec_of(shape);
      const Scratch many(MPI_COMM_WORLD), one(MPI_COMM_WORLD);
      make_complete(MPI_COMM_WORLD, many.path(), spec, mirror);
      on_ranks(1, [&](MPI_Comm comm) { make_complete(comm, one.path(), spec, mirror); });
      on_first([&] {
        expect_complete(many / "kernel.h5", spec);
        EXPECT_TRUE(bytes_of(many / "kernel.h5") == bytes_of(one / "kernel.h5"));
        EXPECT_EQ(std::distance(std::filesystem::directory_iterator(many.path()), {}), 1);
      });
    }
}

TEST_F(KernelFileMpi, GoesOnWithOtherRankCounts) {
  Shape shape;
  for (const int ranges : {1, 3}) {
    shape.ranges = ranges;
    const KernelSpec spec = spec_of(shape);
    const auto units = static_cast<std::int64_t>(units_of(spec).size());
    const Scratch whole(MPI_COMM_WORLD), pieces(MPI_COMM_WORLD);
    make_complete(MPI_COMM_WORLD, whole.path(), spec);
    std::int64_t expected = 0;
    for (std::size_t i = 0; i < units_of(spec).size(); ++i) expected += i % 3 == 0;
    on_ranks(1, [&](MPI_Comm comm) {
      KernelWriter writer(comm, pieces.path(), spec);
      EXPECT_EQ(writer.state(), KernelWriter::State::fresh);
      EXPECT_EQ(writer.units_done(), 0);
      write_units(writer, spec, comm, [](std::size_t u) { return u % 3 == 0; });
    });
    {
      KernelWriter writer(MPI_COMM_WORLD, pieces.path(), spec);
      EXPECT_EQ(writer.state(), KernelWriter::State::resumed);
      EXPECT_EQ(writer.units_done(), expected);
      EXPECT_EQ(writer.checked().damaged, 0);
      write_units(writer, spec, MPI_COMM_WORLD, [](std::size_t u) { return u % 3 == 1; });
    }
    on_ranks(2, [&](MPI_Comm comm) {
      KernelWriter writer(comm, pieces.path(), spec);
      EXPECT_LT(writer.units_done(), units);
      write_units(writer, spec, comm);
      finish(writer);
    });
    on_first([&] { EXPECT_TRUE(bytes_of(whole / "kernel.h5") == bytes_of(pieces / "kernel.h5")); });
    KernelWriter writer(MPI_COMM_WORLD, pieces.path(), spec);
    EXPECT_EQ(writer.state(), KernelWriter::State::complete);
    EXPECT_EQ(writer.units_done(), units);
  }
}

// The last rank fails while it opens the file: all ranks learn of it, none waits for another.
TEST_F(KernelFileMpi, RankThatCannotOpenTheFileStopsAll) {
  int ranks = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const Scratch scratch(MPI_COMM_WORLD);
  Shape shape;
  { KernelWriter made(MPI_COMM_WORLD, scratch.path(), spec_of(shape)); }
  if (ranks > 1 && rank_ == ranks - 1) shape.groups.back() = "one that the file does not have";
  const KernelSpec spec = spec_of(shape);
  bool failed = false;
  try {
    KernelWriter writer(MPI_COMM_WORLD, scratch.path(), spec);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::io) << error.what();
    failed = true;
  }
  EXPECT_EQ(failed, ranks > 1);
}

// A flipped byte in a tile, a group, the outputs or a journal is found by whichever rank looks.
TEST_F(KernelFileMpi, DamagedTilesAreMadeAnew) {
  for (const int ranges : {1, 3}) {
    Shape shape;
    shape.ranges = ranges;
    const KernelSpec spec = spec_of(shape);
    const std::string parent = ranges > 1 ? "/partial/2/" : "/";
    const Scratch whole(MPI_COMM_WORLD), hurt(MPI_COMM_WORLD);
    make_complete(MPI_COMM_WORLD, whole.path(), spec);
    {
      KernelWriter writer(MPI_COMM_WORLD, hurt.path(), spec);
      write_units(writer, spec, MPI_COMM_WORLD);
    }
    const std::string partial = hurt / "kernel.h5.partial";
    on_first([&] {
      flip(partial, place_of(partial, parent + "kernel/total", 21, 0));
      flip(partial, place_of(partial, parent + "kernel/groups/body", 0, 0));
      flip(partial, place_of(partial, parent + "evaluate/eval-1/groups/head", 7, 9));
      flip(partial, place_of(partial, "/samples/outputs", 9, 1));
    });
    const auto units = static_cast<std::int64_t>(units_of(spec).size());
    {
      KernelWriter writer(MPI_COMM_WORLD, hurt.path(), spec);
      EXPECT_EQ(writer.checked().damaged, 4);
      EXPECT_EQ(writer.units_done(), units - 4);
      EXPECT_FALSE(writer.done({0, 6, ranges - 1}));  // tile (3, 0)
      EXPECT_FALSE(writer.done({0, 0, ranges - 1}));
      EXPECT_FALSE(writer.done({0, 9, 0}));  // tile (3, 3) carries the outputs
    }
    {
      // The damage was journalled: nothing is damaged any more, four units are missing.
      KernelWriter writer(MPI_COMM_WORLD, hurt.path(), spec);
      EXPECT_EQ(writer.checked().damaged, 0);
      EXPECT_EQ(writer.units_done(), units - 4);
      int written = write_units(writer, spec, MPI_COMM_WORLD);
      MPI_Allreduce(MPI_IN_PLACE, &written, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
      EXPECT_EQ(written, 4);
      finish(writer);
    }
    on_first([&] { EXPECT_TRUE(bytes_of(whole / "kernel.h5") == bytes_of(hurt / "kernel.h5")); });
  }
}

// Tiles whose ranges are summed no longer need them; a damaged sum falls back on them.
TEST_F(KernelFileMpi, SumsOutliveTheirRanges) {
  Shape shape;
  shape.ranges = 2;
  const KernelSpec spec = spec_of(shape);
  const Scratch whole(MPI_COMM_WORLD), cut(MPI_COMM_WORLD);
  make_complete(MPI_COMM_WORLD, whole.path(), spec);
  {
    KernelWriter writer(MPI_COMM_WORLD, cut.path(), spec);
    write_units(writer, spec, MPI_COMM_WORLD);
    // Wrong measured error: finish sums, and stops before it changes anything else.
    MeasuredError wrong = measured;
    wrong.samples.clear();
    expect_error(ExitCode::internal, {"error samples"}, [&] { writer.finish(true, wrong, {}); });
  }
  const std::string partial = cut / "kernel.h5.partial";
  on_ranks(2, [&](MPI_Comm comm) {
    TileFile file(comm, partial, spec);
    int rank = 0;
    MPI_Comm_rank(comm, &rank);
    if (rank == 0) {
      // Tile 3 of the training set is summed, by hand.
      JournalEntry made;
      for (std::size_t m = 0; m <= spec.groups.size(); ++m) {
        std::vector<double> sum = file.read_tile(0, 3, 0, m);
        const std::vector<double> second = file.read_tile(0, 3, 1, m);
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += second[i];
        made.checksums.push_back(file.write_tile(0, 3, 2, m, sum));
      }
      file.journal(0, 3, 2, made);
    }
    file.close();
  });
  const Rectangle box = rectangle(spec.sets[0].grid, 3);
  const auto hurt = [&](const std::string& parent) {
    on_first([&] { flip(partial, place_of(partial, parent + "/total", box.row, box.column)); });
  };
  hurt("/partial/1/kernel");
  {
    KernelWriter writer(MPI_COMM_WORLD, cut.path(), spec);
    EXPECT_EQ(writer.checked().damaged, 0);
    EXPECT_TRUE(writer.done({0, 3, 1}));
    EXPECT_EQ(writer.read_total(3).front(), entry(spec, 0, 0, box.row, box.column));
  }
  hurt("/kernel");
  {
    KernelWriter writer(MPI_COMM_WORLD, cut.path(), spec);
    EXPECT_EQ(writer.checked().damaged, 2);  // the sum, then the range below it
    EXPECT_TRUE(writer.done({0, 3, 0}));
    EXPECT_FALSE(writer.done({0, 3, 1}));
    write_units(writer, spec, MPI_COMM_WORLD);
    finish(writer);
  }
  on_first([&] { EXPECT_TRUE(bytes_of(whole / "kernel.h5") == bytes_of(cut / "kernel.h5")); });
}

// Before the finish, any rank reads any tile as the file will hold it.
TEST_F(KernelFileMpi, TilesCanBeReadBack) {
  for (const int ranges : {1, 3})
    for (const bool single : {false, true}) {
      Shape shape;
      shape.ranges = ranges;
      shape.single = single;
      const KernelSpec spec = spec_of(shape);
      const Scratch scratch(MPI_COMM_WORLD);
      KernelWriter writer(MPI_COMM_WORLD, scratch.path(), spec);
      write_units(writer, spec, MPI_COMM_WORLD);
      MPI_Barrier(MPI_COMM_WORLD);
      const std::int64_t tile = 4;
      const Rectangle box = rectangle(spec.sets[0].grid, tile);
      const std::vector<double> values = writer.read_total(tile);
      for (std::int64_t i = 0; i < box.rows * box.columns; ++i)
        EXPECT_EQ(values[static_cast<std::size_t>(i)],
                  entry(spec, 0, 0, box.row + i / box.columns, box.column + i % box.columns));
    }
}

// Every rank gets the first rank's error.
TEST_F(KernelFileMpi, AllRanksRefuseAnotherJob) {
  KernelSpec spec = spec_of({});
  const Scratch scratch(MPI_COMM_WORLD);
  { KernelWriter writer(MPI_COMM_WORLD, scratch.path(), spec); }
  spec.identity["run.seed"] = 2;
  expect_error(ExitCode::usage, {"another job", "run.seed: file 1, job 2", "run.directory"},
               [&] { KernelWriter(MPI_COMM_WORLD, scratch.path(), spec); });
}

TEST_F(KernelFileMpi, MissingUnitsAreADefect) {
  const KernelSpec spec = spec_of({});
  const Scratch scratch(MPI_COMM_WORLD);
  KernelWriter writer(MPI_COMM_WORLD, scratch.path(), spec);
  write_units(writer, spec, MPI_COMM_WORLD, [](std::size_t u) { return u != 5; });
  expect_error(ExitCode::internal, {"1 units", "missing"}, [&] { finish(writer); });
}

}  // namespace
}  // namespace ntk::store
