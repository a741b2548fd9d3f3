// Tiles that come from other files: growing, mending, shares. What is made so has the bytes of a
// kernel that was computed at once, and costs only what was not there.
#include <sys/stat.h>

#include "store/disk.hpp"
#include "store/example.hpp"
#include "store/tile_import.hpp"

namespace ntk::store {
namespace {

using namespace example;

const MPI_Comm world = MPI_COMM_WORLD;

class TileImportMpi : public testing::Test {
 protected:
  TileImportMpi() { MPI_Comm_rank(world, &rank_); }
  template <class Action>
  void on_first(Action action) {
    MPI_Barrier(world);
    if (rank_ == 0) action();
    MPI_Barrier(world);
  }
  void expect_same(const std::string& path, const std::string& other, const KernelSpec& spec) {
    on_first([&] {
      EXPECT_EQ(differences(path, other, spec), std::vector<std::string>{});
      expect_complete(path, spec);
    });
  }
  // Only the first file of the directory's kernel is left.
  void expect_alone(const Scratch& scratch, const std::string& name = "kernel.h5") {
    on_first([&] {
      for (const auto& entry : std::filesystem::directory_iterator(scratch.path()))
        EXPECT_EQ(entry.path().filename(), name);
    });
  }
  int rank_ = 0;
};

std::vector<Shape> shapes() {
  std::vector<Shape> all(3);
  for (Shape& shape : all) {
    shape.batch = 6;
    shape.evaluate = {5};
  }
  all[1].ranges = 3;
  all[2].single = true;
  all[2].ranges = 2;
  all[2].groups.clear();
  return all;
}

std::int64_t taken(const KernelWriter& writer) {
  std::int64_t sum = 0;
  for (const auto& from : writer.taken()) sum += from.entries - from.damaged;
  return sum;
}

std::int64_t missing(const KernelWriter& writer) {
  return writer.units() - writer.units_done();
}

// A batch is two panels. Of 8 samples one batch is complete, of 14 there are two, of 20 three; the
// evaluation set has three panels.
constexpr std::int64_t tiles_of_8 = 3 + 3 * 2;
constexpr std::int64_t tiles_of_14 = 10 + 3 * 4;

TEST_F(TileImportMpi, GrowsFromACompleteKernel) {
  for (Shape shape : shapes()) {
    const Scratch grown(world), whole(world);
    shape.samples = 8;
    make_complete(world, grown.path(), spec_of(shape));
    for (const std::int64_t samples : {14, 20}) {
      shape.samples = samples;
      const KernelSpec spec = spec_of(shape);
      const std::int64_t expected = samples == 14 ? tiles_of_8 : tiles_of_14;
      {
        KernelWriter writer(world, grown.path(), spec);
        EXPECT_EQ(writer.state(), FileState::fresh);
        EXPECT_EQ(taken(writer), expected);
        EXPECT_EQ(writer.units_done(), expected * shape.ranges);
        write_units(writer, spec, world, [](std::size_t u) { return u % 2 == 0; });
        // Cut off: the smaller kernel is as it was.
        on_first([&] {
          EXPECT_EQ(KernelReader(grown / "kernel.h5").order(),
                    (samples == 14 ? 8 : 14) * shape.classes);
        });
      }
      KernelWriter writer(world, grown.path(), spec);
      EXPECT_EQ(writer.state(), FileState::resumed);
      EXPECT_EQ(taken(writer), 0);
      EXPECT_GT(writer.units_done(), expected * shape.ranges);
      write_units(writer, spec, world);
      finish(writer);
      expect_alone(grown);
    }
    const KernelSpec spec = spec_of(shape);
    make_complete(world, whole.path(), spec);
    expect_same(grown / "kernel.h5", whole / "kernel.h5", spec);
  }
}

// Nothing journalled is lost, wherever a start that grows unfinished kernels is cut off.
TEST_F(TileImportMpi, GrowsFromUnfinishedKernels) {
  for (Shape shape : shapes()) {
    const Scratch grown(world), whole(world);
    const std::string partial = grown / "kernel.h5.partial";
    shape.samples = 8;
    make_complete(world, grown.path(), spec_of(shape));
    shape.samples = 14;
    {
      const KernelSpec spec = spec_of(shape);
      KernelWriter writer(world, grown.path(), spec);
      write_units(writer, spec, world);
    }
    shape.samples = 20;
    const KernelSpec spec = spec_of(shape);
    // Between setting the unfinished kernel aside and laying out the new one.
    on_first([&] { rename_durably(partial, grown / "kernel.h5.smaller-14"); });
    {
      KernelWriter writer(world, grown.path(), spec);
      EXPECT_EQ(writer.state(), FileState::fresh);
      EXPECT_EQ(writer.units_done(), tiles_of_14 * shape.ranges);
      EXPECT_EQ(writer.taken().size(), 2U);
    }
    // Before anything was copied: the layout alone.
    on_first([&] { remove_file(partial); });
    { const KernelWriter writer(world, grown.path(), spec); }
    on_first([&] {
      const h5::Handle file = h5::open_file(partial, true);
      for (const char* set : {"kernel", "evaluate/eval-1"}) {
        const h5::Dataset state(file, std::string("/journal/") + set + "/state");
        state.write_all(std::vector<std::uint8_t>(static_cast<std::size_t>(state.size())));
      }
      EXPECT_TRUE(file_exists(grown / "kernel.h5.smaller-14"));
    });
    KernelWriter writer(world, grown.path(), spec);
    EXPECT_EQ(writer.state(), FileState::resumed);
    EXPECT_EQ(writer.units_done(), tiles_of_14 * shape.ranges);
    write_units(writer, spec, world);
    finish(writer);
    make_complete(world, whole.path(), spec);
    expect_same(grown / "kernel.h5", whole / "kernel.h5", spec);
    expect_alone(grown);
  }
}

TEST_F(TileImportMpi, AFileSetAsideIsTakenUpAgain) {
  Shape shape;
  const KernelSpec spec = spec_of(shape);
  const Scratch scratch(world);
  {
    KernelWriter writer(world, scratch.path(), spec);
    write_units(writer, spec, world, [](std::size_t u) { return u < 8; });
  }
  on_first([&] {
    rename_durably(scratch / "kernel.h5.partial", scratch / "kernel.h5.smaller-11");
    EXPECT_EQ(find_state(scratch.path(), spec), FileState::resumed);
  });
  KernelWriter writer(world, scratch.path(), spec);
  EXPECT_EQ(writer.state(), FileState::resumed);
  EXPECT_EQ(writer.units_done(), 8);
  write_units(writer, spec, world);
  finish(writer);
  expect_alone(scratch);
}

TEST_F(TileImportMpi, KernelsDoNotShrink) {
  Shape large, small;
  large.samples = 20;
  const Scratch scratch(world);
  const auto refused = [&] {
    expect_error(ExitCode::usage,
                 {"data.samples: file 20, job 11", "grow but do not shrink", "run.directory"},
                 [&] { KernelWriter(world, scratch.path(), spec_of(small)); });
  };
  { KernelWriter writer(world, scratch.path(), spec_of(large)); }
  refused();
  {
    KernelWriter writer(world, scratch.path(), spec_of(large));
    write_units(writer, spec_of(large), world);
    finish(writer);
  }
  refused();
  // Another difference beside the size makes it another job's.
  KernelSpec other = spec_of(small);
  other.identity["run.seed"] = 2;
  expect_error(ExitCode::usage, {"another job's kernel", "data.samples", "run.seed"},
               [&] { KernelWriter(world, scratch.path(), other); });
}

TEST_F(TileImportMpi, DamagedTilesAreNotTaken) {
  for (const int ranges : {1, 3}) {
    Shape shape;
    shape.batch = 6;
    shape.evaluate = {5};
    shape.ranges = ranges;
    shape.samples = 14;
    const Scratch grown(world), whole(world);
    make_complete(world, grown.path(), spec_of(shape));
    const std::string path = grown / "kernel.h5";
    on_first([&] {
      flip(path, place_of(path, "/kernel/total", 13, 0));
      flip(path, place_of(path, "/kernel/groups/body", 0, 0));
      flip(path, place_of(path, "/evaluate/eval-1/groups/head", 7, 9));
      flip(path, place_of(path, "/samples/outputs", 4, 1));
      flip(path, place_of(path, "/kernel/total", 0, 13));  // above the diagonal: never read
      flip(path, place_of(path, "/kernel/total", 26, 0));  // of the incomplete batch
      // What the fourth panel says of its samples is not so.
      const h5::Handle file = h5::open_file(path, true);
      const std::int64_t row = -5;
      h5::Dataset(file, "/samples/source_row").write({10}, {1}, &row);
    });
    shape.samples = 20;
    const KernelSpec spec = spec_of(shape);
    KernelWriter writer(world, grown.path(), spec);
    ASSERT_EQ(writer.taken().size(), 1U);
    EXPECT_EQ(writer.taken()[0].path, path);
    EXPECT_EQ(writer.taken()[0].damaged, 4);
    EXPECT_EQ(taken(writer), tiles_of_14 - 4 - (4 + 3));
    EXPECT_FALSE(writer.done({0, 0, 0}));
    EXPECT_FALSE(writer.done({0, 3, ranges - 1}));
    write_units(writer, spec, world);
    finish(writer);
    make_complete(world, whole.path(), spec);
    expect_same(path, whole / "kernel.h5", spec);
  }
}

TEST_F(TileImportMpi, ADamagedKernelIsMended) {
  for (const int ranges : {1, 3}) {
    Shape shape;
    shape.ranges = ranges;
    const KernelSpec spec = spec_of(shape);
    const Scratch scratch(world), whole(world);
    const std::string path = scratch / "kernel.h5";
    make_complete(world, scratch.path(), spec);
    make_complete(world, whole.path(), spec);
    const Checked sound = check_complete(world, scratch.path(), spec);
    EXPECT_EQ(sound.damaged, 0);
    EXPECT_EQ(sound.entries, 10 + 4 * (3 + 2));
    // Every stored entry once, those of the training kernel's tiles on the diagonal whole.
    EXPECT_EQ(sound.bytes, (22 * 22 / 2 + (3 * 6 * 6 + 4 * 4) / 2 + (10 + 8) * 22) * 3 * 8);
    on_first([&] {
      flip(path, place_of(path, "/kernel/total", 21, 0));
      flip(path, place_of(path, "/kernel/groups/body", 0, 0));
      flip(path, place_of(path, "/kernel/groups/head", 1, 8));  // in the upper triangle
      flip(path, place_of(path, "/evaluate/eval-2/total", 3, 3));
      flip(path, place_of(path, "/samples/outputs", 10, 0));
      const h5::Handle file = h5::open_file(path, true);
      const std::int64_t group = 77;
      h5::Dataset(file, "/samples/group").write({2}, {1}, &group);
    });
    EXPECT_EQ(check_complete(world, scratch.path(), spec).damaged, 6);
    FileRequest repair;
    repair.repair = true;
    {
      KernelWriter writer(world, scratch.path(), spec, repair);
      EXPECT_EQ(writer.state(), FileState::fresh);
      EXPECT_EQ(writer.taken().at(0).damaged, 4);
      EXPECT_EQ(missing(writer), 4 * ranges);
    }
    // Cut off, it goes on without being asked to.
    KernelWriter writer(world, scratch.path(), spec);
    EXPECT_EQ(writer.state(), FileState::resumed);
    write_units(writer, spec, world);
    finish(writer);
    expect_same(path, whole / "kernel.h5", spec);
    EXPECT_EQ(check_complete(world, scratch.path(), spec).damaged, 0);
    expect_alone(scratch);
  }
}

FileRequest share_of(const KernelSpec& spec, std::size_t k, std::size_t of) {
  FileRequest share;
  share.name = fmt::format("share-{}-of-{}.h5", k + 1, of);
  const auto units = units_of(spec);
  for (std::size_t u = 0; u < units.size(); ++u)
    if (u % of == k) share.units.push_back(units[u]);
  return share;
}

TEST_F(TileImportMpi, SharesAreUnited) {
  for (const Shape& shape : shapes()) {
    const KernelSpec spec = spec_of(shape);
    const auto units = static_cast<std::int64_t>(units_of(spec).size());
    const Scratch shares(world), whole(world);
    FileRequest merge;
    for (std::size_t k = 0; k < 3; ++k) {
      const FileRequest share = share_of(spec, k, 3);
      const auto own = static_cast<std::int64_t>(share.units.size());
      {
        KernelWriter writer(world, shares.path(), spec, share);
        EXPECT_EQ(writer.state(), FileState::fresh);
        EXPECT_EQ(missing(writer), own);
        write_units(writer, spec, world, [](std::size_t u) { return u % 2 == 0; });
      }
      KernelWriter writer(world, shares.path(), spec, share);
      EXPECT_EQ(writer.state(), FileState::resumed);
      EXPECT_LT(missing(writer), own);
      EXPECT_GT(writer.units_done(), 0);
      if (k < 2) {
        write_units(writer, spec, world);
        writer.finish_share();
        EXPECT_EQ(KernelWriter(world, shares.path(), spec, share).state(), FileState::complete);
        EXPECT_EQ(check_complete(world, shares.path(), spec, share).damaged, 0);
      }
      merge.sources.push_back(shares / share.name + (k < 2 ? "" : ".partial"));
    }
    on_first([&] {
      // A share can be damaged, or be no file of ours.
      const std::string first = merge.sources[0];
      const std::string matrix = shape.ranges > 1 ? "/partial/0/kernel/total" : "/kernel/total";
      flip(first, place_of(first, matrix, 0, 0));
      { std::ofstream(shares / "share-1-of-7.h5") << "text"; }
    });
    merge.sources.push_back(shares / "share-1-of-7.h5");
    KernelWriter writer(world, shares.path(), spec, merge);
    EXPECT_EQ(writer.taken().size(), 3U);
    EXPECT_EQ(writer.taken()[0].damaged, 1);
    EXPECT_GT(missing(writer), 1);
    EXPECT_EQ(writer.units(), units);
    write_units(writer, spec, world);
    finish(writer);
    make_complete(world, whole.path(), spec);
    expect_same(shares / "kernel.h5", whole / "kernel.h5", spec);
    // The kernel is there: no share of it is asked for.
    EXPECT_EQ(KernelWriter(world, shares.path(), spec, share_of(spec, 4, 5)).state(),
              FileState::complete);
    on_first([&] { EXPECT_FALSE(file_exists(shares / "share-5-of-5.h5.partial")); });
  }
}

// A share that was divided in another way goes on; it takes what the kernel has already.
TEST_F(TileImportMpi, SharesGoOn) {
  const KernelSpec spec = spec_of({});
  const Scratch scratch(world);
  FileRequest share = share_of(spec, 0, 3);
  {
    KernelWriter writer(world, scratch.path(), spec, share);
    write_units(writer, spec, world);
    writer.finish_share();
  }
  {
    KernelWriter writer(world, scratch.path(), spec);
    write_units(writer, spec, world, [](std::size_t u) { return u == 1; });
  }
  share.units.push_back(units_of(spec)[1]);
  share.units.push_back(units_of(spec)[2]);
  share.sources.push_back(scratch / "kernel.h5.partial");
  KernelWriter writer(world, scratch.path(), spec, share);
  EXPECT_EQ(writer.state(), FileState::resumed);
  EXPECT_EQ(taken(writer), 1);
  EXPECT_EQ(missing(writer), 1);
  write_units(writer, spec, world);
  writer.finish_share();
  EXPECT_EQ(KernelWriter(world, scratch.path(), spec, share).state(), FileState::complete);
}

// The matrices of a share have their full size, but take room only where tiles are (in blocks of
// the file system, at each row of a tile).
TEST_F(TileImportMpi, SharesTakeTheirOwnRoom) {
  Shape shape;
  shape.samples = 1200;
  shape.tile = 100;
  shape.evaluate.clear();
  for (const int ranges : {1, 2}) {
    shape.ranges = ranges;
    const KernelSpec spec = spec_of(shape);
    FileRequest share = share_of(spec, 0, 1);
    share.name = "share-1-of-39.h5";
    share.units.resize(2);
    const Scratch scratch(world);
    {
      KernelWriter writer(world, scratch.path(), spec, share);
      write_units(writer, spec, world);
      writer.finish_share();
    }
    on_first([&] {
      struct stat status {};
      ASSERT_EQ(::stat((scratch / share.name).c_str(), &status), 0);
      EXPECT_GT(status.st_size, 3 * 2400 * 2400 * 8);
      EXPECT_LT(status.st_blocks * 512, 3 * 2 * 200 * (200 * 8 + 4096) + 1000000);
    });
  }
}

// Sources are checked before anything of them is read: a damaged layout of the job's own kernel is
// said, that of a share leaves it out.
TEST_F(TileImportMpi, LayoutsOfSourcesAreChecked) {
  Shape shape;
  shape.batch = 6;
  const Scratch scratch(world);
  make_complete(world, scratch.path(), spec_of(shape));
  shape.samples = 20;
  const KernelSpec spec = spec_of(shape);
  const auto changed = [&](const std::string& words, const std::function<void(hid_t)>& change) {
    const std::string copy = scratch / "copy.h5";
    on_first([&] {
      std::filesystem::copy_file(scratch / "kernel.h5", copy,
                                 std::filesystem::copy_options::overwrite_existing);
      const h5::Handle file = h5::open_file(copy, true);
      change(file);
    });
    expect_error(ExitCode::io, {words}, [&] { TileSource(copy, spec); });
  };
  const auto replace = [](hid_t file, const std::string& path, hid_t type, const h5::Dims& dims) {
    H5Ldelete(file, path.c_str(), H5P_DEFAULT);
    h5::create_dataset(file, path, type, dims);
  };
  const std::string starts = "/journal/kernel/row_starts";
  changed("not in order", [&](hid_t f) {
    h5::Dataset(f, starts).write_all(std::vector<std::int64_t>{0, 6, 4, 18, 22});
  });
  changed("not in order", [&](hid_t f) {
    h5::Dataset(f, starts).write_all(std::vector<std::int64_t>{0, 6, 12, 18, 1 << 30});
  });
  changed("panels for 20 samples",
          [&](hid_t f) { replace(f, starts, H5T_STD_I64LE, {std::int64_t{1} << 40}); });
  changed("dimensions", [&](hid_t f) { replace(f, starts, H5T_STD_I64LE, {5, 1}); });
  changed("its shape is", [&](hid_t f) {
    replace(f, "/journal/kernel/state", H5T_STD_U8LE, {1, std::int64_t{1} << 40});
  });
  changed("its shape is", [&](hid_t f) {
    replace(f, "/kernel/groups/head", H5T_IEEE_F64LE, {22, 21});
  });
  changed("another type", [&](hid_t f) {
    replace(f, "/kernel/groups/head", H5T_IEEE_F32LE, {22, 22});
  });
  changed("there is none", [&](hid_t f) { H5Ldelete(f, "/evaluate/eval-1/total", H5P_DEFAULT); });
  changed("not a kernel file", [&](hid_t f) { h5::write_attribute(f, "format", "other"); });
  changed("no JSON object", [&](hid_t f) { h5::write_attribute(f, "identity", "7"); });
  FileRequest request;
  request.sources.push_back(scratch / "copy.h5");
  {
    KernelWriter writer(world, scratch.path(), spec, request);
    EXPECT_EQ(writer.taken().size(), 1U);
    EXPECT_EQ(taken(writer), 3 + 2 * (3 + 2));
  }
  on_first([&] { std::filesystem::rename(scratch / "copy.h5", scratch / "kernel.h5"); });
  expect_error(ExitCode::io, {"no JSON object"},
               [&] { KernelWriter(world, scratch.path(), spec); });
}

}  // namespace
}  // namespace ntk::store
