#include "data/data_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <numeric>

#include "base/sha256.hpp"
#include "data/hdf5_writer.hpp"
#include "support/files.hpp"

namespace ntk::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using Int32s = std::vector<std::int32_t>;
using Int64s = std::vector<std::int64_t>;
using Doubles = std::vector<double>;
using Writer = test::Hdf5Writer;

// A valid file is the sum of these steps; a test replaces or drops one.
using Steps = std::map<std::string, std::function<void(Writer&)>>;

Steps good_steps() {
  return {{"tokens",
           [](Writer& w) {
             w.put("tokens", Int32s{5, 6, 7, 8, 9, 4});
           }},
          {"offsets",
           [](Writer& w) {
             w.put("offsets", Int64s{0, 2, 5, 6});
           }},
          {"token_type",
           [](Writer& w) {
             w.put("token_type", Int32s{0, 1, 0, 0, 1, 0});
           }},
          {"target",
           [](Writer& w) {
             w.put("target", Doubles{1, 2, 3, 4, 5, 6}, 2);
           }},
          {"reference",
           [](Writer& w) {
             w.put("reference", Doubles{1, 2, 3});
           }},
          {"reference_variance",
           [](Writer& w) {
             w.put("reference_variance", Doubles{0, 1, 2});
           }},
          {"noise_variance",
           [](Writer& w) {
             w.put("noise_variance", Doubles{0.5, 1, 2});
           }},
          {"group",
           [](Writer& w) {
             w.put("group", Int64s{7, 7, 8});
           }},
          {"source_row", [](Writer& w) {
             w.put("source_row", Int64s{30, 10, 20});
           }}};
}

Steps labelled_steps() {
  Steps steps = good_steps();
  steps.erase("target");
  steps["label"] = [](Writer& w) {
    w.put("label", Int32s{1, 0, 2});
    w.put_texts("label", "classes", {"no", "yes", "größer"});
  };
  return steps;
}

class Data : public testing::Test {
 protected:
  std::string write(const Steps& steps) {
    const std::string path = folder_.path("data.h5");
    Writer writer(path);
    for (const auto& [name, step] : steps) step(writer);
    return path;
  }
  DataFile read(const Steps& steps, Tokens tokens = Tokens::required) {
    return read_data(write(steps), tokens);
  }
  std::string error(const Steps& steps, Tokens tokens = Tokens::required) {
    const std::string path = write(steps);
    return test::error_of(ExitCode::input, [&] { read_data(path, tokens); });
  }
  // The error when `name` holds `values` instead.
  template <class T>
  std::string error_with(const std::string& name, const std::vector<T>& values, int columns = 0) {
    Steps steps = good_steps();
    steps[name] = [&](Writer& w) { w.put(name, values, static_cast<hsize_t>(columns)); };
    return error(steps);
  }
  std::string error_without(const std::string& name) {
    Steps steps = good_steps();
    steps.erase(name);
    return error(steps);
  }
  test::TemporaryFolder folder_;
};

TEST_F(Data, TargetsAndEveryColumn) {
  const DataFile data = read(good_steps());
  EXPECT_EQ(data.rows, 3);
  EXPECT_TRUE(data.has_tokens);
  EXPECT_THAT(data.tokens, ElementsAre(5, 6, 7, 8, 9, 4));
  EXPECT_THAT(data.offsets, ElementsAre(0, 2, 5, 6));
  EXPECT_THAT(data.lengths(), ElementsAre(2, 3, 1));
  EXPECT_EQ(data.length(1), 3);
  EXPECT_THAT(data.token_type, ElementsAre(0, 1, 0, 0, 1, 0));
  EXPECT_THAT(data.target, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(data.target_sets, 2);
  EXPECT_EQ(data.outputs(), 1);
  EXPECT_THAT(data.reference, ElementsAre(1, 2, 3));
  EXPECT_THAT(data.reference_variance, ElementsAre(0, 1, 2));
  EXPECT_THAT(data.noise_variance, ElementsAre(0.5, 1, 2));
  EXPECT_THAT(data.group, ElementsAre(7, 7, 8));
  EXPECT_THAT(data.source_row, ElementsAre(30, 10, 20));
  EXPECT_EQ(data.sha256, sha256_file(data.path));
}

TEST_F(Data, ClassesOfVariableAndFixedLength) {
  const DataFile data = read(labelled_steps());
  EXPECT_THAT(data.label, ElementsAre(1, 0, 2));
  EXPECT_THAT(data.classes, ElementsAre("no", "yes", "größer"));
  EXPECT_EQ(data.outputs(), 3);
  EXPECT_TRUE(data.target.empty());
  Steps steps = labelled_steps();
  steps["label"] = [](Writer& w) {
    w.put("label", Int32s{1, 0, 2});
    w.put_texts("label", "classes", {"no", "yes", "größer"}, 8);
  };
  EXPECT_THAT(read(steps).classes, ElementsAre("no", "yes", "größer"));
}

TEST_F(Data, OptionalColumnsMayBeAbsent) {
  Steps steps;
  for (const char* name : {"tokens", "offsets", "target"}) steps[name] = good_steps().at(name);
  const DataFile data = read(steps);
  EXPECT_TRUE(data.token_type.empty());
  EXPECT_TRUE(data.reference.empty());
  EXPECT_TRUE(data.group.empty());
  EXPECT_THAT(data.source_row, ElementsAre(0, 1, 2));
}

TEST_F(Data, NarrowerTypesOfTheSameKindAreTaken) {
  Steps steps = good_steps();
  steps["tokens"] = [](Writer& w) { w.put("tokens", std::vector<std::int16_t>{5, 6, 7, 8, 9, 4}); };
  steps["reference"] = [](Writer& w) { w.put("reference", std::vector<float>{0.5f, 2, 3}); };
  steps["group"] = [](Writer& w) { w.put("group", std::vector<std::uint32_t>{1, 1, 4000000000u}); };
  const DataFile data = read(steps);
  EXPECT_THAT(data.tokens, ElementsAre(5, 6, 7, 8, 9, 4));
  EXPECT_THAT(data.reference, ElementsAre(0.5, 2, 3));
  EXPECT_THAT(data.group, ElementsAre(1, 1, 4000000000));
}

TEST_F(Data, FilesWithoutTokensOnlyWhereAllowed) {
  Steps steps = good_steps();
  for (const char* name : {"tokens", "offsets", "token_type"}) steps.erase(name);
  EXPECT_THAT(error(steps), HasSubstr("cannot read tokens"));
  const DataFile data = read(steps, Tokens::optional);
  EXPECT_FALSE(data.has_tokens);
  EXPECT_EQ(data.rows, 3);
  EXPECT_TRUE(data.lengths().empty());
  EXPECT_THAT(data.source_row, ElementsAre(30, 10, 20));
  Steps labelled = labelled_steps();
  for (const char* name : {"tokens", "offsets", "token_type"}) labelled.erase(name);
  EXPECT_EQ(read(labelled, Tokens::optional).rows, 3);
  EXPECT_TRUE(read(good_steps(), Tokens::optional).has_tokens);
}

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

TEST_F(Data, MissingDatasets) {
  EXPECT_THAT(error_without("offsets"),
              AllOf(HasSubstr("cannot read offsets"), HasSubstr("no such dataset")));
  EXPECT_THAT(error_without("target"), HasSubstr("neither label nor target"));
  Steps both = labelled_steps();
  both["target"] = good_steps().at("target");
  EXPECT_THAT(error(both), HasSubstr("both label and target"));
  Steps nameless = labelled_steps();
  nameless["label"] = [](Writer& w) { w.put("label", Int32s{1, 0, 2}); };
  EXPECT_THAT(error(nameless), HasSubstr("attribute classes of label"));
}

TEST_F(Data, WrongRanksAndTypes) {
  EXPECT_THAT(error_with("tokens", Int64s{5, 6, 7, 8, 9, 4}), HasSubstr("not of type int32"));
  EXPECT_THAT(error_with("tokens", Doubles{5, 6, 7, 8, 9, 4}), HasSubstr("not of type int32"));
  EXPECT_THAT(error_with("tokens", std::vector<std::uint32_t>{5, 6, 7, 8, 9, 4}),
              HasSubstr("not of type int32"));
  EXPECT_THAT(error_with("reference", Int32s{1, 2, 3}), HasSubstr("not of type float64"));
  EXPECT_THAT(error_with("tokens", Int32s{5, 6, 7, 8, 9, 4}, 2), HasSubstr("has 2 dimensions"));
  EXPECT_THAT(error_with("target", Doubles{1, 2, 3}), HasSubstr("has 1 dimensions, 2 were due"));
  Steps numbers = labelled_steps();
  numbers["label"] = [](Writer& w) {
    w.put("label", Int32s{1, 0, 2});
    w.put_texts("label", "other", {"a"});
  };
  EXPECT_THAT(error(numbers), HasSubstr("attribute classes of label"));
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

TEST_F(Data, Offsets) {
  EXPECT_THAT(error_with("offsets", Int64s{1, 2, 5, 6}), HasSubstr("does not begin with 0"));
  EXPECT_THAT(error_with("offsets", Int64s{}), HasSubstr("does not begin with 0"));
  EXPECT_THAT(error_with("offsets", Int64s{0, 5, 2, 6}), HasSubstr("at row 1"));
  EXPECT_THAT(error_with("offsets", Int64s{0, 2, 9, 6}), HasSubstr("at row 1"));
  EXPECT_THAT(error_with("offsets", Int64s{0, 2, 4, 5}), HasSubstr("end at 5 (6 tokens"));
  EXPECT_THAT(error_with("offsets", Int64s{0, 2, 5, 7}), HasSubstr("at row 2"));
}

TEST_F(Data, EmptySamplesAreNamed) {
  EXPECT_THAT(error_with("offsets", Int64s{0, 6, 6, 6}),
              AllOf(HasSubstr("row 1 (source_row 10)"), HasSubstr("is empty")));
}

TEST_F(Data, NoSamples) {
  Steps steps = {{"tokens", [](Writer& w) { w.put("tokens", Int32s{}); }},
                 {"offsets", [](Writer& w) { w.put("offsets", Int64s{0}); }},
                 {"target", [](Writer& w) { w.put("target", Doubles{}, 1); }}};
  EXPECT_THAT(error(steps), HasSubstr("has no samples"));
}

TEST_F(Data, BadValuesAreNamedWithTheirRow) {
  EXPECT_THAT(error_with("tokens", Int32s{5, 6, 7, 8, -9, 4}),
              AllOf(HasSubstr("row 1 (source_row 10)"), HasSubstr("token -9")));
  EXPECT_THAT(error_with("token_type", Int32s{0, 0, 0, 0, 0, -1}),
              AllOf(HasSubstr("row 2 (source_row 20)"), HasSubstr("token type -1")));
  EXPECT_THAT(error_with("target", Doubles{1, 2, 3, NAN, 5, 6}, 2),
              AllOf(HasSubstr("row 1 (source_row 10)"), HasSubstr("target nan")));
  EXPECT_THAT(error_with("target", Doubles{1, 2, 3, 4, 5, INFINITY}, 2), HasSubstr("target inf"));
  EXPECT_THAT(error_with("reference", Doubles{1, NAN, 3}), HasSubstr("reference nan"));
  EXPECT_THAT(error_with("reference_variance", Doubles{1, -1, 3}),
              HasSubstr("reference_variance -1"));
  EXPECT_THAT(error_with("noise_variance", Doubles{1, 1, -0.5}), HasSubstr("noise_variance -0.5"));
  EXPECT_THAT(error_with("source_row", Int64s{1, 2, 1}),
              AllOf(HasSubstr("row 2 (source_row 1)"), HasSubstr("second")));
}

TEST_F(Data, LabelsOutsideTheClasses) {
  for (const std::int32_t bad : {-1, 3}) {
    Steps steps = labelled_steps();
    steps["label"] = [=](Writer& w) {
      w.put("label", Int32s{1, bad, 2});
      w.put_texts("label", "classes", {"a", "b", "c"});
    };
    EXPECT_THAT(error(steps),
                AllOf(HasSubstr("row 1 (source_row 10)"), HasSubstr("label " + std::to_string(bad)),
                      HasSubstr("3 classes")));
  }
  Steps twice = labelled_steps();
  twice["label"] = [](Writer& w) {
    w.put("label", Int32s{1, 0, 0});
    w.put_texts("label", "classes", {"a", "a"});
  };
  EXPECT_THAT(error(twice), HasSubstr("not distinct"));
}

TEST_F(Data, LengthsThatDiffer) {
  EXPECT_THAT(error_with("token_type", Int32s{0, 1}), HasSubstr("token_type"));
  EXPECT_THAT(error_with("target", Doubles{1, 2, 3, 4}, 2), HasSubstr("has 2 rows (3 were due)"));
  // As many values as due where their number does not fit into 64 bits.
  Steps none = good_steps();
  none["tokens"] = [](Writer& w) { w.put("tokens", Int32s{5, 6, 7, 8}); };
  none["offsets"] = [](Writer& w) { w.put("offsets", Int64s{0, 1, 2, 3, 4}); };
  none["target"] = [](Writer& w) { w.put_empty("target", {0, hsize_t{1} << 62}); };
  for (const char* name :
       {"token_type", "reference", "reference_variance", "noise_variance", "group", "source_row"}) {
    none.erase(name);
  }
  EXPECT_THAT(error(none), HasSubstr("has 0 rows (4 were due)"));
  EXPECT_THAT(error_with("reference", Doubles{1, 2}), HasSubstr("has 2 entries (3 were due)"));
  EXPECT_THAT(error_with("noise_variance", Doubles{1, 2, 3, 4}), HasSubstr("noise_variance"));
  EXPECT_THAT(error_with("group", Int64s{1}), HasSubstr("group"));
  EXPECT_THAT(error_with("source_row", Int64s{1}), HasSubstr("source_row"));
  Steps short_labels = labelled_steps();
  short_labels["label"] = [](Writer& w) {
    w.put("label", Int32s{1, 0});
    w.put_texts("label", "classes", {"a", "b"});
  };
  EXPECT_THAT(error(short_labels), HasSubstr("label"));
}

TEST_F(Data, AgainstTheModel) {
  const DataFile data = read(good_steps());
  const auto check = [&](std::int64_t vocab, std::int64_t types, std::int64_t longest,
                         const char* overlong) {
    return check_against_model(data, {vocab, types, longest, 0}, overlong);
  };
  const auto error_for = [&](auto... arguments) {
    return test::error_of(ExitCode::input, [&] { check(arguments...); });
  };
  EXPECT_THAT(check(10, 2, 3, "refuse"), ElementsAre(0, 1, 2));
  EXPECT_THAT(check(10, 2, 3, "drop"), ElementsAre(0, 1, 2));
  EXPECT_THAT(check(10, 2, 2, "drop"), ElementsAre(0, 2));
  EXPECT_THAT(error_for(10, 2, 2, "refuse"),
              AllOf(HasSubstr("row 1 (source_row 10)"), HasSubstr("has 3 tokens"),
                    HasSubstr("positions for 2"), HasSubstr("data.overlong")));
  EXPECT_THAT(error_for(10, 2, 0, "drop"), HasSubstr("no sample"));
  EXPECT_THAT(error_for(9, 2, 3, "refuse"),
              AllOf(HasSubstr("row 1 (source_row 10)"), HasSubstr("token 9"),
                    HasSubstr("vocab_size is 9")));
  EXPECT_THAT(error_for(10, 1, 3, "refuse"),
              AllOf(HasSubstr("row 0 (source_row 30)"), HasSubstr("token type 1")));
}

TEST_F(Data, PaddedSamplesAreRefused) {
  const DataFile data = read(good_steps());  // 5 6 | 7 8 9 | 4
  const auto error_for = [&](std::int64_t pad_token_id, const char* overlong) {
    const ModelLimits model{10, 2, 3, pad_token_id};
    return test::error_of(ExitCode::input, [&] { check_against_model(data, model, overlong); });
  };
  for (const std::int64_t inside : {5, 7, 8}) EXPECT_EQ(error_for(inside, "refuse"), "no error");
  for (const char* overlong : {"refuse", "drop"}) {
    EXPECT_THAT(error_for(9, overlong),
                AllOf(HasSubstr("row 1 (source_row 10)"), HasSubstr("pad_token_id = 9"),
                      HasSubstr("without padding")));
  }
}

}  // namespace
}  // namespace ntk::data
