// What a data file says, and what it may not say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/sha256.hpp"
#include "data/example.hpp"

namespace ntk::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

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

TEST_F(Data, NoiseOfEveryLabelSetAndTheirNames) {
  Steps steps = good_steps();
  steps["noise_variance"] = [](Writer& w) {
    w.put("noise_variance", Doubles{1, 2, 3, 4, 5, 6}, 2);
  };
  steps["target"] = [](Writer& w) {
    w.put("target", Doubles{1, 2, 3, 4, 5, 6}, 2);
    w.put_texts("target", "columns", {"one", "zwölf"});
  };
  const DataFile data = read(steps);
  EXPECT_THAT(data.noise_variance, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(data.noise_sets, 2);
  EXPECT_THAT(data.target_names, ElementsAre("one", "zwölf"));
  EXPECT_EQ(read(good_steps()).noise_sets, 1);
  EXPECT_TRUE(read(good_steps()).target_names.empty());
  // One column is the noise of all label sets.
  EXPECT_EQ(error_with("noise_variance", Doubles{1, 2, 3}, 1), "no error");
  EXPECT_THAT(error_with("noise_variance", Doubles{1, 2, 3, 4, 5, 6, 7, 8, 9}, 3),
              AllOf(HasSubstr("has the shape (3, 3)"), HasSubstr("2 label sets")));
  EXPECT_THAT(error_with("noise_variance", Doubles{1, 2, 3, 4}, 2), HasSubstr("the shape (2, 2)"));
  EXPECT_THAT(error_with("noise_variance", Doubles{1, 2, 3, 4, -5, 6}, 2),
              AllOf(HasSubstr("row 2 (source_row 20)"), HasSubstr("noise_variance -5")));
  for (const auto& names : {std::vector<std::string>{"a"}, {"a", "a"}, {"a", ""}}) {
    steps["target"] = [&](Writer& w) {
      w.put("target", Doubles{1, 2, 3, 4, 5, 6}, 2);
      w.put_texts("target", "columns", names);
    };
    EXPECT_THAT(error(steps), HasSubstr("names for 2 label sets"));
  }
}

TEST_F(Data, TasksHaveNames) {
  Steps steps = good_steps();
  const auto tasks = [&](const Int32s& values, const std::vector<std::string>& names) {
    steps["task"] = [=](Writer& w) {
      w.put("task", values);
      if (!names.empty()) w.put_texts("task", "tasks", names);
    };
  };
  tasks({1, 0, 1}, {"films", "bücher"});
  EXPECT_THAT(read(steps).task, ElementsAre(1, 0, 1));
  EXPECT_THAT(read(steps).tasks, ElementsAre("films", "bücher"));
  EXPECT_TRUE(read(good_steps()).task.empty());
  tasks({1, 0, 2}, {"films", "bücher"});
  EXPECT_THAT(error(steps), AllOf(HasSubstr("row 2 (source_row 20)"), HasSubstr("the task 2"),
                                  HasSubstr("2 tasks")));
  tasks({0, 0, -1}, {"films"});
  EXPECT_THAT(error(steps), HasSubstr("the task -1"));
  tasks({0, 0}, {"films"});
  EXPECT_THAT(error(steps), HasSubstr("task"));
  tasks({0, 1, 1}, {"films", "films"});
  EXPECT_THAT(error(steps), HasSubstr("not distinct"));
  tasks({0, 0, 0}, {});
  EXPECT_THAT(error(steps), HasSubstr("the attribute tasks"));
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
