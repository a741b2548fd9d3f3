// How a data file holds what it says: whole, in itself, and packed as we know it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "data/example.hpp"

namespace ntk::data {
namespace {

using testing::HasSubstr;

TEST_F(Data, FilesThatAreNone) {
  const auto error_at = [](const std::string& path) {
    return test::error_of(ExitCode::input, [&] { read_data(path); });
  };
  EXPECT_THAT(error_at(folder_.path("none.h5")), HasSubstr("no data file"));
  EXPECT_THAT(error_at(folder_.path()), HasSubstr("no data file"));
  EXPECT_THAT(error_at(folder_.write("text.h5", "label,text\n")),
              HasSubstr("cannot be read as HDF5"));
  EXPECT_THAT(error_at(folder_.write("empty.h5", "")), HasSubstr("cannot be read as HDF5"));
}

TEST_F(Data, TruncatedFilesAreRefused) {
  const std::string path = write(good_steps());
  std::string whole(std::filesystem::file_size(path), '\0');
  std::ifstream(path, std::ios::binary)
      .read(whole.data(), static_cast<std::streamsize>(whole.size()));
  for (std::size_t part = 1; part < 20; ++part) {
    const std::string cut = folder_.write("cut.h5", whole.substr(0, whole.size() * part / 20));
    EXPECT_NE(test::error_of(ExitCode::input, [&] { read_data(cut); }), "no error") << part;
  }
}

TEST_F(Data, ClaimsBeyondTheFile) {
  const hsize_t packed = 200000;  // what a packed dataset in a file of this size could hold
  for (const auto& [elements, chunked] : {std::pair{packed, true},
                                          {packed, false},
                                          {hsize_t{1} << 33, true},
                                          {hsize_t{1} << 33, false},
                                          {hsize_t{1} << 62, true}}) {
    Steps steps = good_steps();
    steps["tokens"] = [count = elements, pieces = chunked](Writer& w) {
      w.claim("tokens", count, pieces);
    };
    EXPECT_THAT(error(steps), HasSubstr("more elements than the file holds")) << elements;
  }
}

TEST_F(Data, ChunksAndDeflateAreReadWhereTheyAreThere) {
  const hsize_t tokens = 10 * Writer::chunk - 5;
  for (const bool deflate : {false, true}) {
    for (const hsize_t written : {tokens, 3 * Writer::chunk}) {
      Steps steps = good_steps();
      steps.erase("token_type");
      steps["tokens"] = [=](Writer& w) {
        w.put_chunked("tokens", Int32s(written, 7), tokens, deflate);
      };
      steps["offsets"] = [=](Writer& w) {
        w.put("offsets", Int64s{0, 2, 5, static_cast<std::int64_t>(tokens)});
      };
      if (written == tokens) {
        EXPECT_EQ(read(steps).tokens, Int32s(tokens, 7));
      } else {
        EXPECT_THAT(error(steps), HasSubstr("more elements than the file holds"));
      }
    }
  }
}

// A data file may come from a stranger: it must not make us read other files.
TEST_F(Data, NothingIsReadFromOtherPlaces) {
  {
    Writer other(folder_.path("other.h5"));
    other.put("reference", Doubles{1, 2, 3});
  }
  folder_.write("bytes", std::string(24, '1'));
  const hsize_t three = 3;
  const auto error_of = [&](const auto& step) {
    Steps steps = good_steps();
    steps["reference"] = [&](Writer& w) { step(w.id()); };
    return error(steps);
  };
  // As if it were not there: the column is optional.
  Steps linked = good_steps();
  linked["reference"] = [&](Writer& w) {
    H5Lcreate_external("other.h5", "/reference", w.id(), "reference", H5P_DEFAULT, H5P_DEFAULT);
  };
  EXPECT_TRUE(read(linked).reference.empty());
  linked = good_steps();
  linked["tokens"] = [](Writer& w) {
    w.put("elsewhere", Int32s{5, 6, 7, 8, 9, 4});
    H5Lcreate_soft("/elsewhere", w.id(), "tokens", H5P_DEFAULT, H5P_DEFAULT);
  };
  EXPECT_THAT(error(linked), HasSubstr("there is no such dataset"));

  const hid_t space = H5Screate_simple(1, &three, nullptr);
  const auto create = [&](hid_t file, hid_t layout) {
    H5Dclose(
        H5Dcreate2(file, "reference", H5T_IEEE_F64LE, space, H5P_DEFAULT, layout, H5P_DEFAULT));
    H5Pclose(layout);
  };
  EXPECT_THAT(error_of([&](hid_t file) {
                const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
                H5Pset_external(layout, folder_.path("bytes").c_str(), 0, 24);
                create(file, layout);
              }),
              HasSubstr("or has them elsewhere"));
  EXPECT_THAT(error_of([&](hid_t file) {
                const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
                H5Pset_virtual(layout, space, folder_.path("other.h5").c_str(), "/reference",
                               space);
                create(file, layout);
              }),
              HasSubstr("made of datasets of other files"));
  H5Sclose(space);
}

// Nor may it make us take more memory than its size allows, or convert what HDF5 seldom converts.
TEST_F(Data, UnusualPackingAndTypesAreRefused) {
  const auto error_of = [&](hid_t type, hsize_t chunk, int deflates) {
    Steps steps = good_steps();
    steps["reference"] = [=](Writer& w) {
      const hsize_t three = 3;
      const double values[] = {1, 2, 3};
      const hid_t space = H5Screate_simple(1, &three, nullptr);
      const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
      H5Pset_chunk(layout, 1, &chunk);
      for (int i = 0; i < deflates; ++i) H5Pset_deflate(layout, 9);
      const hid_t set =
          H5Dcreate2(w.id(), "reference", type, space, H5P_DEFAULT, layout, H5P_DEFAULT);
      H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
      H5Dclose(set);
      H5Pclose(layout);
      H5Sclose(space);
    };
    return error(steps);
  };
  EXPECT_EQ(error_of(H5T_IEEE_F64LE, 3, 1), "no error");
  EXPECT_EQ(error_of(H5T_IEEE_F32BE, 3, 0), "no error");
  EXPECT_THAT(error_of(H5T_IEEE_F64LE, 3, 2), HasSubstr("packed in an unusual way"));
  const hid_t odd = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_ebias(odd, 100);
  EXPECT_THAT(error_of(odd, 3, 0), HasSubstr("not of type float64"));
  H5Tclose(odd);

  Steps latin = labelled_steps();
  latin["label"] = [](Writer& w) {
    w.put("label", Int32s{1, 0, 2});
    w.put_texts("label", "classes", {"no", "yes", "gr\xf6\xdf er"});
  };
  EXPECT_THAT(error(latin), HasSubstr("not UTF-8"));
}

}  // namespace
}  // namespace ntk::data
