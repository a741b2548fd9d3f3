// The kernel file of one process: what is refused, what is read back, what an interruption leaves.
#include <fcntl.h>
#include <sys/stat.h>

#include "store/disk.hpp"
#include "store/example.hpp"

namespace ntk::store {
namespace {

using namespace example;

const MPI_Comm self = MPI_COMM_SELF;

TEST(KernelWriter, RefusesEmptySetsAndBadNames) {
  const Scratch scratch;
  const auto refuse = [&](ExitCode code, const std::string& words,
                          const std::function<void(KernelSpec&)>& change) {
    KernelSpec spec = spec_of({});
    change(spec);
    expect_error(code, {words}, [&] { KernelWriter(self, scratch.path(), spec); });
  };
  refuse(ExitCode::input, "at least one sample", [](KernelSpec& spec) {
    spec.sets[0].grid = TileGrid{};
    spec.sets[0].samples = SampleTable{};
    spec.sets.resize(1);
  });
  refuse(ExitCode::input, "evaluation set eval-1 is empty", [](KernelSpec& spec) {
    spec.sets[2].grid.row_starts = {0};
    spec.sets[2].samples = SampleTable{};
  });
  refuse(ExitCode::usage, "two evaluation sets are named eval-2",
         [](KernelSpec& spec) { spec.sets[2].name = "eval-2"; });
  refuse(ExitCode::usage, "cannot be stored", [](KernelSpec& spec) { spec.groups[0] = "a/b"; });
  refuse(ExitCode::internal, "tokens of set",
         [](KernelSpec& spec) { spec.sets[0].samples.tokens.pop_back(); });
  refuse(ExitCode::internal, "panel", [](KernelSpec& spec) {
    spec.sets[0].grid.row_starts[1] = 5;  // cuts a sample's two rows apart
    spec.sets[0].grid.column_starts[1] = 5;
  });
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

TEST(KernelWriter, MakesItsDirectoryAndSaysWhyNot) {
  const Scratch scratch;
  const KernelSpec spec = spec_of({});
  { KernelWriter writer(self, scratch / "deep/er", spec); }
  EXPECT_TRUE(file_exists(scratch / "deep/er/kernel.h5.partial"));
  { std::ofstream(scratch / "file") << "text"; }
  for (const char* name : {"file", "file/below"})
    expect_error(ExitCode::io, {"cannot make directory", "run.directory"},
                 [&] { KernelWriter(self, scratch / name, spec); });
  // A read-only directory, as another user where this one may write anywhere.
  const std::string closed = scratch / "closed";
  std::filesystem::create_directory(closed);
  chmod(scratch.path().c_str(), 0755);
  chmod(closed.c_str(), 0555);
  const bool root = geteuid() == 0;
  if (root) {
    ASSERT_EQ(seteuid(65534), 0);
  }
  expect_error(ExitCode::io, {"cannot create", "Permission denied"},
               [&] { KernelWriter(self, closed, spec); });
  if (root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  chmod(closed.c_str(), 0755);
  EXPECT_TRUE(std::filesystem::is_empty(closed));
}

TEST(KernelWriter, NamesTheKeysInWhichJobsDiffer) {
  const Scratch scratch;
  const KernelSpec spec = spec_of({});
  make_complete(self, scratch.path(), spec);
  KernelSpec other = spec;
  other.identity["model.head_std"] = 0.03;
  other.identity["model.weights"] = "abd";
  other.identity["kernel.ranges"] = 2;
  expect_error(ExitCode::usage,
               {"kernel.h5 holds another job's kernel", "model.head_std: file 0.02, job 0.03",
                "model.weights: file \"abc\", job \"abd\"", "kernel.ranges: file none, job 2",
                "run.directory"},
               [&] { KernelWriter(self, scratch.path(), other); });
  // Keys that may differ do; whole numbers equal floating-point ones.
  other.free_keys = {"model.head_std", "model.weights", "kernel.ranges"};
  other.identity["run.seed"] = 1.0;
  EXPECT_EQ(KernelWriter(self, scratch.path(), other).state(), KernelWriter::State::complete);
}

TEST(KernelWriter, RefusesWhatItCannotGoOnWith) {
  const KernelSpec spec = spec_of({});
  const Scratch scratch;
  const std::string partial = scratch / "kernel.h5.partial";
  const auto refused = [&](const KernelSpec& wanted, const std::vector<std::string>& words) {
    expect_error(ExitCode::io, words, [&] { KernelWriter(self, scratch.path(), wanted); });
  };
  { KernelWriter writer(self, scratch.path(), spec); }
  // The same identity with other panels, or with another kind of storage.
  Shape shape;
  shape.tile = 4;
  refused(spec_of(shape), {"laid out in another way", "run.directory"});
  shape.tile = 3;
  shape.single = true;
  refused(spec_of(shape), {"laid out in another way", "another type"});
  // Cut off; not HDF5; somebody else's HDF5. None is deleted.
  std::filesystem::resize_file(partial, 3000);
  refused(spec, {"cannot go on with the unfinished", "move it away"});
  std::filesystem::resize_file(partial, 0);
  refused(spec, {"cannot go on with the unfinished"});
  h5::create_file(partial);
  refused(spec, {"not a kernel file"});
  EXPECT_TRUE(file_exists(partial));
  std::filesystem::rename(partial, scratch / "kernel.h5");
  refused(spec, {"not a kernel file"});
}

TEST(KernelWriter, RefusesAnIdentityOfAnotherKind) {
  for (const char* identity : {"[1]", "{", R"({"run.seed": [[1]]})"}) {
    const Scratch scratch;
    { KernelWriter(self, scratch.path(), spec_of({})); }
    {
      const h5::Handle file = h5::open_file(scratch / "kernel.h5.partial", true);
      h5::write_attribute(file, "identity", identity);
    }
    expect_error(ExitCode::io, {"no JSON object of plain values"},
                 [&] { KernelWriter(self, scratch.path(), spec_of({})); });
  }
}

TEST(KernelWriter, ReplacesAHalfMadeFile) {
  const Scratch scratch;
  { std::ofstream(scratch / "kernel.h5.partial.new") << "half"; }
  { std::ofstream(scratch / "kernel.h5.partial.undo") << "of a file that is gone"; }
  KernelWriter writer(self, scratch.path(), spec_of({}));
  EXPECT_EQ(writer.state(), KernelWriter::State::fresh);
  EXPECT_FALSE(file_exists(scratch / "kernel.h5.partial.new"));
  EXPECT_FALSE(file_exists(scratch / "kernel.h5.partial.undo"));
}

TEST(KernelWriter, ChecksTheFreeSpaceFirst) {
  const Scratch scratch;
  KernelSpec spec = spec_of({});
  const auto panel = std::int64_t{1} << 22;  // of rows; three matrices of 2^46 bytes * 2
  spec.sets.resize(1);
  spec.sets[0].samples = {};
  spec.sets[0].grid.row_starts = spec.sets[0].grid.column_starts = {0, panel};
  expect_error(ExitCode::io, {"not enough room", "393216.1 GiB needed", "GiB free"},
               [&] { KernelWriter(self, scratch.path(), spec); });
  // Half of it without the upper triangle.
  spec.sets[0].grid.row_starts.clear();
  for (std::int64_t p = 0; p <= 1024; ++p) spec.sets[0].grid.row_starts.push_back(p * panel / 1024);
  spec.sets[0].grid.column_starts = spec.sets[0].grid.row_starts;
  spec.mirror_planned = false;
  expect_error(ExitCode::io, {"not enough room", "196800.1 GiB needed"},
               [&] { KernelWriter(self, scratch.path(), spec); });
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

TEST(KernelWriter, RefusesTilesOfWrongShape) {
  const Scratch scratch;
  const KernelSpec spec = spec_of({});
  KernelWriter writer(self, scratch.path(), spec);
  const Unit unit{0, 0, 0};
  TileData data = tile_data(spec, unit);
  const auto refuse = [&](const Unit& where, const TileData& wrong) {
    expect_error(ExitCode::internal, {"defect"}, [&] { writer.write(where, wrong); });
  };
  TileData wrong = data;
  wrong.total.pop_back();
  refuse(unit, wrong);
  wrong = data;
  wrong.groups.pop_back();
  refuse(unit, wrong);
  wrong = data;
  wrong.outputs.clear();
  refuse(unit, wrong);
  wrong = tile_data(spec, {0, 1, 0});
  wrong.outputs = data.outputs;
  refuse({0, 1, 0}, wrong);
  writer.write(unit, data);
}

// A finish that is cut off while HDF5 rewrites its metadata: the file itself is unreadable, and the
// undo copy brings it back to where all data were in place.
TEST(KernelWriter, SurvivesACutInTheLastStep) {
  for (const int ranges : {1, 2}) {
    Shape shape;
    shape.ranges = ranges;
    const KernelSpec spec = spec_of(shape);
    const Scratch whole, cut;
    make_complete(self, whole.path(), spec);
    const std::string partial = cut / "kernel.h5.partial", undo = partial + ".undo";
    {
      KernelWriter writer(self, cut.path(), spec);
      write_units(writer, spec, self);
    }
    std::vector<std::pair<std::int64_t, std::int64_t>> data;
    {
      const h5::Handle file = h5::open_file(partial);
      for (const auto& planned : planned_datasets(spec)) {
        const h5::Dataset dataset(file, planned.path);
        if (dataset.offset() >= 0) data.emplace_back(dataset.offset(), dataset.bytes());
      }
    }
    save_metadata(partial, data, undo);
    const auto length = file_size(partial);
    // Everything outside the datasets is lost, and the file has grown.
    const std::string before = bytes_of(partial);
    std::string after(before.size() + 1000, '\xee');
    for (const auto& [offset, bytes] : data)
      after.replace(static_cast<std::size_t>(offset), static_cast<std::size_t>(bytes), before,
                    static_cast<std::size_t>(offset), static_cast<std::size_t>(bytes));
    { std::ofstream(partial, std::ios::binary) << after; }
    EXPECT_THROW(h5::open_file(partial), Error);
    KernelWriter writer(self, cut.path(), spec);
    EXPECT_EQ(file_size(partial), length);
    EXPECT_FALSE(file_exists(undo));
    EXPECT_EQ(writer.units_done(), static_cast<std::int64_t>(units_of(spec).size()));
    finish(writer);
    EXPECT_TRUE(bytes_of(whole / "kernel.h5") == bytes_of(cut / "kernel.h5"));
  }
}

TEST(KernelWriter, RefusesADamagedUndoCopy) {
  const Scratch scratch;
  const KernelSpec spec = spec_of({});
  { KernelWriter writer(self, scratch.path(), spec); }
  const std::string partial = scratch / "kernel.h5.partial", undo = partial + ".undo";
  save_metadata(partial, {}, undo);
  flip(undo, 100);
  const std::string before = bytes_of(partial);
  expect_error(ExitCode::io, {"cannot go back", "damaged"},
               [&] { KernelWriter(self, scratch.path(), spec); });
  EXPECT_TRUE(before == bytes_of(partial));
}

// A mirror that was begun and then given up leaves nothing above the diagonal tiles.
TEST(KernelWriter, ClearsAnAbandonedMirror) {
  const Scratch scratch;
  const KernelSpec spec = spec_of({});
  {
    KernelWriter writer(self, scratch.path(), spec);
    write_units(writer, spec, self);
  }
  const std::string partial = scratch / "kernel.h5.partial";
  {
    const h5::Handle file = h5::open_file(partial, true);
    h5::Dataset(file, "/journal/mirror").write_all(std::vector<std::uint8_t>{1});
    const double seven = 7;
    h5::Dataset(file, "/kernel/total").write({0, 9}, {1, 1}, &seven);
  }
  KernelWriter writer(self, scratch.path(), spec);
  finish(writer, false);
  const h5::Handle file = h5::open_file(scratch / "kernel.h5");
  const h5::Dataset total(file, "/kernel/total");
  const auto entries = total.read_all<double>();
  EXPECT_EQ(entries[9], 0.0);
  EXPECT_EQ(entries[6], 0.0);
  EXPECT_EQ(h5::read_attribute(total.id(), "triangle"), "lower");
  expect_complete(scratch / "kernel.h5", spec);
}

TEST(KernelWriter, PartialSumsLeaveNoRoomBehind) {
  const Scratch one, three;
  Shape shape;
  shape.samples = 60;
  shape.tile = 20;
  make_complete(self, one.path(), spec_of(shape));
  shape.ranges = 3;
  make_complete(self, three.path(), spec_of(shape));
  // The partial sums take 1.2 MB.
  EXPECT_LT(file_size(three / "kernel.h5"), file_size(one / "kernel.h5") + 150000);
  const h5::Handle file = h5::open_file(three / "kernel.h5");
  EXPECT_FALSE(h5::exists(file, "/partial"));
}

TEST(KernelReader, ReadsAnyBlockOfEitherTriangle) {
  const KernelSpec spec = spec_of({});
  const std::int64_t n = spec.sets[0].grid.rows();
  for (const bool mirror : {true, false}) {
    const Scratch scratch;
    make_complete(self, scratch.path(), spec, mirror);
    const KernelReader reader(scratch / "kernel.h5");
    std::int64_t wrong = 0;
    for (std::int64_t row = 0; row < n; row += 3)
      for (std::int64_t column = 0; column < n; column += 4)
        for (std::int64_t rows = 0; row + rows <= n; rows += 5)
          for (std::int64_t columns = 1; column + columns <= n; columns += 6) {
            std::vector<double> out(static_cast<std::size_t>(rows * columns), -7);
            reader.read_block("body", row, column, rows, columns, out.data());
            for (std::int64_t r = 0; r < rows; ++r)
              for (std::int64_t c = 0; c < columns; ++c)
                wrong += out[static_cast<std::size_t>(r * columns + c)] !=
                         entry(spec, 0, 2, row + r, column + c);
          }
    EXPECT_EQ(wrong, 0);
    double out[4];
    EXPECT_THROW(reader.read_block("total", n - 1, 0, 2, 2, out), Error);
    expect_error(ExitCode::usage, {"no group layer.0", "head, body"},
                 [&] { reader.read_block("layer.0", 0, 0, 1, 1, out); });
    expect_error(ExitCode::usage, {"no evaluation set x", "eval-2, eval-1"},
                 [&] { reader.read_evaluate_block("x", "total", 0, 0, 1, 1, out); });
  }
}

TEST(KernelReader, GivesBackAttributes) {
  const Scratch scratch;
  make_complete(self, scratch.path(), spec_of({}));
  const nlohmann::json attributes = KernelReader(scratch / "kernel.h5").attributes();
  EXPECT_EQ(attributes["run.seed"], 1);
  EXPECT_EQ(attributes["model.head_std"], 0.02);
  EXPECT_EQ(attributes["name"], "Kerné");
  EXPECT_EQ(attributes["created"], "then");
  EXPECT_EQ(attributes["completed"], "now");
  EXPECT_EQ(attributes["rate"], 1.5);
  EXPECT_EQ(attributes["tasks"], 7);
  EXPECT_EQ(attributes["complete"], 1);
  EXPECT_EQ(attributes["format"], "ntkspectra-kernel");
  EXPECT_EQ(nlohmann::json::parse(attributes["identity"].get<std::string>()), spec_of({}).identity);
}

TEST(KernelReader, RefusesWhatIsNoCompleteKernel) {
  const Scratch scratch;
  const KernelSpec spec = spec_of({});
  const auto refused = [&](const std::string& path, const std::string& words) {
    expect_error(ExitCode::io, {words}, [&] { KernelReader{path}; });
  };
  refused(scratch / "none.h5", "No such file");
  { std::ofstream(scratch / "text.h5") << "text"; }
  refused(scratch / "text.h5", "as an HDF5 file");
  { h5::create_file(scratch / "other.h5"); }
  refused(scratch / "other.h5", "not a kernel file");
  {
    KernelWriter writer(self, scratch.path(), spec);
    refused(scratch / "kernel.h5.partial", "not complete");
    write_units(writer, spec, self);
    finish(writer);
  }
  const std::string path = scratch / "kernel.h5";
  const auto changed = [&](const std::string& words, const std::function<void(hid_t)>& change) {
    const std::string copy = scratch / "copy.h5";
    std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing);
    {
      const h5::Handle file = h5::open_file(copy, true);
      change(file);
    }
    refused(copy, words);
  };
  changed("format version 2", [](hid_t f) { h5::write_attribute(f, "format_version", 2); });
  changed("triangle", [](hid_t f) {
    h5::write_attribute(h5::open_object(f, "/kernel/total"), "triangle", "upper");
  });
  changed("shape", [](hid_t f) {
    H5Ldelete(f, "/kernel/groups/head", H5P_DEFAULT);
    h5::write(f, "/kernel/groups/head", std::vector<double>(4), {2, 2});
  });
  changed("there is none", [](hid_t f) { H5Ldelete(f, "/evaluate/eval-1", H5P_DEFAULT); });
  changed("3 a sample", [](hid_t f) { h5::write_attribute(f, "rows_per_sample", 3); });
  changed("not a whole number", [](hid_t f) { h5::write_attribute(f, "rows_per_sample", "2"); });
  using Names = std::vector<std::string>;
  for (const Names& names : {Names{"head", "head"}, {"head", "a/b"}, {"head", ""}, {"\x1b[2J"}})
    changed("no name of one of its groups", [&](hid_t f) {
      h5::write_attribute(h5::open_object(f, "/kernel/groups"), "groups", names);
    });
  // Links may not lead to what the file does not hold itself.
  changed("/kernel/total of", [](hid_t f) {
    H5Ldelete(f, "/kernel/total", H5P_DEFAULT);
    H5Lcreate_external("kernel.h5", "/kernel/total", f, "/kernel/total", H5P_DEFAULT, H5P_DEFAULT);
  });
}

}  // namespace
}  // namespace ntk::store
