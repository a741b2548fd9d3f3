#include "store/hdf5.hpp"

#include "store/example.hpp"

namespace ntk::store::h5 {
namespace {

using namespace example;

TEST(Hdf5, AttributesComeBack) {
  const Scratch scratch;
  const Handle file = create_file(scratch / "a.h5");
  const std::string longer(100000, 'x');
  write_attribute(file, "text", "naïve");
  write_attribute(file, "empty", "");
  write_attribute(file, "long", longer);
  write_attribute(file, "whole", std::int64_t{1} << 40);
  write_attribute(file, "real", 0.1);
  write_attribute(file, "yes", true);
  write_attribute(file, "list", nlohmann::json{1, 2});
  write_attribute(file, "names", std::vector<std::string>{"a", "", "ü"});
  write_attribute(file, "real", 0.2);
  const nlohmann::json all = read_attributes(file);
  EXPECT_EQ(all, (nlohmann::json{{"text", "naïve"},
                                 {"empty", ""},
                                 {"long", longer},
                                 {"whole", std::int64_t{1} << 40},
                                 {"real", 0.2},
                                 {"yes", 1},
                                 {"list", "[1,2]"}}));
  EXPECT_EQ(read_strings(file, "names"), (std::vector<std::string>{"a", "", "ü"}));
  expect_error(ExitCode::io, {"names", "not one value"}, [&] { read_attribute(file, "names"); });
  expect_error(ExitCode::io, {"not text"}, [&] { read_strings(file, "real"); });
  expect_error(ExitCode::io, {"read attribute none"}, [&] { read_attribute(file, "none"); });
}

TEST(Hdf5, ReadsFixedLengthStrings) {
  const Scratch scratch;
  const Handle file = create_file(scratch / "a.h5");
  for (const auto pad : {H5T_STR_NULLTERM, H5T_STR_NULLPAD, H5T_STR_SPACEPAD}) {
    const Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "type");
    H5Tset_size(type, 6);
    H5Tset_strpad(type, pad);
    const hsize_t two = 2;
    const Handle space(H5Screate_simple(1, &two, nullptr), H5Sclose, "space");
    const std::string name = "pad" + std::to_string(pad);
    const Handle attribute(H5Acreate2(file, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT),
                           H5Aclose, "attr");
    const char fill = pad == H5T_STR_SPACEPAD ? ' ' : '\0';
    const std::string bytes = std::string("abc") + std::string(3, fill) + "defgh" + fill;
    H5Awrite(attribute, type, bytes.data());
    EXPECT_EQ(read_strings(file, name), (std::vector<std::string>{"abc", "defgh"}));
  }
}

TEST(Hdf5, DatasetsAreCheckedBeforeTheyAreRead) {
  const Scratch scratch;
  const std::string path = scratch / "a.h5";
  std::vector<double> values(12);
  std::iota(values.begin(), values.end(), 0.5);
  {
    Handle file = create_file(path);
    write(file, "/deep/er/matrix", values, {3, 4});
    write(file, "/ints", std::vector<std::int32_t>{-1, 2});
    write(file, "/none", std::vector<double>{});
    write(file, "/scalar", std::vector<float>{1.5F}, Dims{});
    file.close("close");
  }
  const Handle file = open_file(path);
  EXPECT_EQ(read<double>(file, "/deep/er/matrix", {3, 4}), values);
  EXPECT_EQ(read<float>(file, "/deep/er/matrix", {-1, 4})[11], 11.5F);
  EXPECT_EQ(read<std::int64_t>(file, "/ints"), (std::vector<std::int64_t>{-1, 2}));
  EXPECT_TRUE(read<double>(file, "/none").empty());
  EXPECT_EQ(read<double>(file, "/scalar", Dims{}), std::vector<double>{1.5});
  std::vector<double> box(4);
  Dataset(file, "/deep/er/matrix", 2).read({1, 2}, {2, 2}, box.data());
  EXPECT_EQ(box, (std::vector<double>{6.5, 7.5, 10.5, 11.5}));
  std::vector<std::string> paths, datasets;
  for (const auto& [name, dataset] : objects(file)) (dataset ? datasets : paths).push_back(name);
  EXPECT_EQ(paths, (std::vector<std::string>{"deep", "deep/er"}));
  EXPECT_EQ(datasets, (std::vector<std::string>{"deep/er/matrix", "ints", "none", "scalar"}));
  EXPECT_TRUE(exists(file, "/deep/er"));
  EXPECT_FALSE(exists(file, "/deep/er/matrix2"));
  EXPECT_FALSE(exists(file, "/no/er/matrix"));
  expect_error(ExitCode::io, {"2 dimensions, 1 were expected"},
               [&] { read<double>(file, "/deep/er/matrix"); });
  expect_error(ExitCode::io, {"shape is (3, 4), (4, 3) was expected", "a.h5"}, [&] {
    read<double>(file, "/deep/er/matrix", {4, 3});
  });
  expect_error(ExitCode::io, {"does not hold floating-point"},
               [&] { read<double>(file, "/ints"); });
  expect_error(ExitCode::io, {"does not hold integers"}, [&] {
    read<std::int64_t>(file, "/deep/er/matrix", {3, 4});
  });
  expect_error(ExitCode::io, {"there is none"}, [&] { read<double>(file, "/deep/none"); });
  expect_error(ExitCode::io, {"open dataset /deep"}, [&] { read<double>(file, "/deep"); });
  expect_error(ExitCode::internal, {"beyond"}, [&] {
    Dataset(file, "/deep/er/matrix", 2).read({2, 2}, {2, 2}, box.data());
  });
  // Written to a file opened for reading: the library's own reason is told.
  expect_error(ExitCode::io, {"cannot write dataset /ints of " + path, "no write intent"}, [&] {
    Dataset(file, "/ints").write_all(std::vector<std::int32_t>{0, 0});
  });
}

TEST(Hdf5, TextMustBeUtf8AndOfItsKind) {
  const Scratch scratch;
  const Handle file = create_file(scratch / "a.h5");
  write_attribute(file, "latin", std::vector<std::string>{"sch\xf6n"});
  write_attribute(file, "whole", 3);
  write_attribute(file, "text", "3");
  expect_error(ExitCode::io, {"latin", "not UTF-8"}, [&] { read_attribute(file, "latin"); });
  expect_error(ExitCode::io, {"latin", "not UTF-8"}, [&] { read_strings(file, "latin"); });
  expect_error(ExitCode::io, {"whole", "not text"}, [&] { read_text(file, "whole"); });
  expect_error(ExitCode::io, {"text", "not a whole number"}, [&] { read_integer(file, "text"); });
  expect_error(ExitCode::io, {"text", "not a number"}, [&] { read_real(file, "text"); });
  EXPECT_EQ(read_real(file, "whole"), 3);
  EXPECT_EQ(read_text(file, "text"), "3");
  EXPECT_EQ(read_integer(file, "whole"), 3);
}

// What a stranger's file could use to make this program take memory or read other files.
TEST(Hdf5, NothingIsReadButWhatTheFileHoldsItself) {
  const Scratch scratch;
  { write(create_file(scratch / "other.h5"), "/x", std::vector<double>{1, 2}); }
  { std::ofstream(scratch / "bytes") << std::string(16, '1'); }
  const std::string path = scratch / "a.h5";
  const hsize_t two = 2, huge = hsize_t{1} << 61;
  const auto make = [](hid_t file, const char* name, hid_t type, hsize_t size, hid_t layout) {
    const Handle space(H5Screate_simple(1, &size, nullptr), H5Sclose, "space");
    Handle(H5Dcreate2(file, name, type, space, H5P_DEFAULT, layout, H5P_DEFAULT), H5Dclose, name);
  };
  {
    // In the library's own choice of formats: ours has no datasets made of others.
    const Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose,
                      "make a file");
    write(file, "/x", std::vector<double>{1, 2});
    H5Lcreate_soft("/x", file, "/soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("other.h5", "/x", file, "/external", H5P_DEFAULT, H5P_DEFAULT);
    const auto list = [] { return Handle(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "layout"); };
    const Handle elsewhere = list(), made = list(), chunked = list(), late = list();
    H5Pset_external(elsewhere, (scratch / "bytes").c_str(), 0, 16);
    make(file, "/elsewhere", H5T_IEEE_F64LE, two, elsewhere);
    const Handle space(H5Screate_simple(1, &two, nullptr), H5Sclose, "space");
    H5Pset_virtual(made, space, (scratch / "other.h5").c_str(), "/x", space);
    make(file, "/virtual", H5T_IEEE_F64LE, two, made);
    H5Pset_chunk(chunked, 1, &two);
    make(file, "/chunked", H5T_IEEE_F64LE, two, chunked);
    make(file, "/unwritten", H5T_IEEE_F64LE, two, late);
    make(file, "/huge", H5T_STD_U8LE, huge, late);
    const Handle odd(H5Tcopy(H5T_STD_I64LE), H5Tclose, "type");
    H5Tset_precision(odd, 60);
    make(file, "/odd", odd, two, late);
  }
  const Handle file = open_file(path);
  EXPECT_EQ(Dataset(file, "/soft").size(), 2);  // of this file
  expect_error(ExitCode::io, {"open dataset /external"}, [&] { Dataset(file, "/external"); });
  for (const char* name : {"/elsewhere", "/chunked", "/unwritten", "/huge"})
    expect_error(ExitCode::io, {name, "does not hold all of it"}, [&] { Dataset(file, name); });
  expect_error(ExitCode::io, {"made of other datasets"}, [&] { Dataset(file, "/virtual"); });
  expect_error(ExitCode::io, {"numbers as we store them"}, [&] { Dataset(file, "/odd"); });
  EXPECT_EQ(shape(file, "/chunked"), Dims{2});
  expect_error(ExitCode::io, {"made of other datasets"}, [&] { shape(file, "/virtual"); });
}

TEST(Hdf5, FilesThatCannotBeUsedSayWhy) {
  const Scratch scratch;
  expect_error(ExitCode::io, {"open", "No such file"}, [&] { open_file(scratch / "none"); });
  expect_error(ExitCode::io, {"create", "No such file"}, [&] { create_file(scratch / "no/a"); });
}

}  // namespace
}  // namespace ntk::store::h5
