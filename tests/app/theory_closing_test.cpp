// The closing sentences on a report made by hand.
#include "app/theory_closing.hpp"

#include <gtest/gtest.h>

#include <set>

namespace ntk::app {
namespace {

using nlohmann::json;

json quantity(double value) {
  return {{"value", value}, {"unit", "1"}, {"rule", "by hand"}};
}
json between(double value, double low, double high) {
  return {{"value", value}, {"low", low}, {"high", high}};
}

json made_report() {
  const auto rule = [](const char* name, double risk, double ratio) {
    return json{{"rule", name},
                {"risk", {4.0, risk}},
                {"low", {3.5, 2.6}},
                {"high", {4.5, 3.6}},
                {"to_oracle", {1, ratio}},
                {"to_oracle_low", {1, ratio - 0.05}},
                {"to_oracle_high", {1, ratio + 0.05}},
                {"slope", between(-0.13, -0.196, -0.064)}};
  };
  json alpha = quantity(1.162);
  alpha["sd"] = 0.002;
  json growth = quantity(1.52), rwy = quantity(2.1), gcv = quantity(8), closed = quantity(1.9);
  growth["target_in_rkhs"] = false;
  closed["law"] = "power";
  closed["relative_difference"] = -0.12;
  rwy["steps"] = quantity(2.46);
  rwy["closed_form"] = closed;
  rwy["vacuous"] = true;
  rwy["training_steps"] = quantity(120);
  rwy["epochs"] = quantity(1.5);
  json share = quantity(0.07), never = quantity(1.1);
  share["n"] = 512;
  never["n"] = 256;
  return {{"kernel", {{"samples", 512}}},
          {"decay",
           {{"alpha", alpha},
            {"alpha_drift", quantity(0.23)},
            {"plateau",
             {{"found", false},
              {"text", "no plateau: exponent 0.6 up to a knee near k = 120, 1.4 beyond"}}},
            {"worst_case_exponent", quantity(-0.538)}}},
          {"training", {{"stable", true}}},
          {"labels",
           {{{"name", "target"},
             {"label_variance", quantity(4.49)},
             {"noise_variance", quantity(1.01)},
             {"effective_noise", quantity(2.2)},
             {"growth", growth},
             {"plug_in",
              {{"slope", quantity(-0.166)},
               {"curve",
                {{{"n", 256}, {"risk", 2.6}, {"standard_error", 0.07}},
                 {{"n", 512}, {"risk", 2.37}, {"standard_error", 0.05}}}}}},
             {"target",
              {{"alignment", quantity(0.0473)},
               {"predictions",
                {{"noisy", between(-0.16, -0.169, -0.155)},
                 {"noise_free", between(-0.19, -0.2, -0.18)},
                 {"ridge_noisy", between(-0.16, -0.169, -0.155)}}}}},
             {"regime",
              {{"noise_share", share},
               {"null_to_best", quantity(1.55)},
               {"never_to_best", never},
               {"stopping_matters", false}}},
             {"stopping", {{"rwy", rwy}, {"gcv", gcv}}}}}},
          {"learning_curves",
           {{"sizes", {23, 191}},
            {"seeds", 20},
            {"test_rows", 128},
            {"labels",
             {{{"name", "target"},
               {"excess", true},
               {"rules",
                {rule("oracle", 3.07, 1), rule("discrepancy", 3.089, 1.006),
                 rule("rwy", 3.36, 1.094), rule("never", 3.49, 1.1364)}},
               {"plug_in",
                {{"risk", {4, 2.69}},
                 {"low", {3, 2.17}},
                 {"high", {5, 3.15}},
                 {"slope", between(-0.103, -0.151, -0.032)}}},
               {"corrected",
                {{"risk", 2.75},
                 {"low", 2.11},
                 {"high", 3.59},
                 {"error", -0.105},
                 {"covered", 0.95}}}}}}}},
          {"limits", {"something"}},
          {"caveats",
           {"alpha drifts between its windows", "target not in the RKHS at this n (target)",
            "read it beside measured risks"}}};
}

TEST(TheoryClosing, SaysWhatOneWouldQuote) {
  const std::vector<std::string> expected{
      "In short: kernel total, 512 samples",
      "  Decay: no plateau: exponent 0.6 up to a knee near k = 120, 1.4 beyond; one exponent for "
      "all "
      "is 1.162 ± 0.002, and drifts by +0.23 within its window.",
      "  Exponents: n^-0.538 in the worst case, n^-0.16 (-0.169 to -0.155) with this target and "
      "its "
      "noise, n^-0.19 before the noise matters (ridge regression too): summaries and no "
      "predictions, for no power law passes.",
      "  Labels (target): variance 4.49, of it noise 1.01, while the fit takes 2.2 for noise; "
      "alignment with the kernel 0.0473.",
      "  Predicted excess risk at n = 512: 2.37 ± 0.05 by label noise alone, falling as n^-0.166 "
      "from n = 256 on.",
      "  Measured risk at n = 191: 3.07 (2.6 to 3.6), falling as n^-0.13 (-0.196 to -0.064) from n "
      "= 23 on; best stop, 20 training sets, 128 test rows.",
      "  From such 191 rows alone the prediction is 2.69 (2.17 to 3.15), slope -0.103 (-0.151 to "
      "-0.032); corrected by their own halves 2.75 (2.11 to 3.59), -10 % off; 95 % of these "
      "intervals hold what is measured.",
      "  Regime at n = 512: label noise makes 7 % of the predicted risk, the labels' mean has 1.55 "
      "x it; never stopping has 1.1 x it at n = 256: stopping hardly matters here.",
      "  Stopping early gains 12 % (8 to 16 %) over never stopping (measured, n = 191); of the "
      "rules "
      "that need no oracle discrepancy reaches 1.006 x its risk, rwy 1.094 x.",
      "  RWY stops after 2.46 steps of 1/l_1 (-12 % by the closed form of a power law); its norm "
      "grows 1.52 x from n/2 to n: a heuristic here; its bound is vacuous.",
      "  Your training stops by rwy after 120 steps (1.5 epochs).",
      "  Caveat: read it beside measured risks.",
      "  1 thing could not be said: see `limit` above."};
  const auto lines = closing_lines("total", made_report());
  ASSERT_EQ(lines.size(), expected.size());
  for (std::size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i], expected[i]);
}

TEST(TheoryClosing, LeavesOutWhatIsNotThere) {
  auto report = made_report();
  report["learning_curves"] = nullptr;
  report["training"] = nullptr;
  auto& set = report["labels"][0];
  set["target"]["predictions"] = nullptr;
  set["regime"]["never_to_best"] = nullptr;
  set["regime"]["stopping_matters"] = nullptr;
  set["growth"] = nullptr;
  set["stopping"].erase("rwy");
  set["plug_in"]["curve"][1]["risk"] = nullptr;
  std::string text;
  for (const auto& line : closing_lines("total", report)) text += line + "\n";
  EXPECT_NE(text.find("risk at n = 256: 2.6 ± 0.07"), std::string::npos) << text;
  for (const char* word : {"Measured", "RWY", "Your training", "never stopping", "null", "nan"}) {
    EXPECT_EQ(text.find(word), std::string::npos) << word << "\n" << text;
  }
  // A kernel that nothing can be said about.
  const json empty{{"kernel", {{"samples", 12}}},
                   {"limits", {"nothing is predicted"}},
                   {"caveats", json::array()}};
  EXPECT_EQ(closing_lines("head", empty).size(), 2u);
}

}  // namespace
}  // namespace ntk::app
