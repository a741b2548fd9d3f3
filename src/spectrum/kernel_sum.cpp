#include "spectrum/kernel_sum.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/error.hpp"
#include "base/text.hpp"

namespace ntk::spectrum {

namespace {

class SumReader {
 public:
  SumReader(const std::string& kernel, const std::string& text,
            const std::vector<std::string>& groups)
      : kernel_(kernel), text_(text), rest_(text), groups_(groups) {}

  std::vector<Term> read() {
    std::vector<Term> terms;
    double sign = skip('-') ? -1 : (skip('+'), 1);
    do {
      Term term = product();
      term.weight *= sign;
      const auto same = std::find_if(terms.begin(), terms.end(),
                                     [&](const Term& t) { return t.dataset == term.dataset; });
      if (same == terms.end()) {
        terms.push_back(term);
      } else {
        same->weight += term.weight;
      }
    } while ((sign = skip('+') ? 1 : skip('-') ? -1 : 0) != 0);
    if (!rest_.empty()) refuse(fmt::format("\"{}\" stands where + or - should", printable(rest_)));
    return terms;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    fail(ExitCode::usage,
         "cannot read spectrum.kernels {} = \"{}\" ({}) write a sum like \"all\" or "
         "\"0.5 * GROUP + GROUP\"; the groups of this kernel file: {}",
         kernel_, printable(text_), why, groups_.empty() ? "none" : join(groups_));
  }

  void blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t'))
      rest_.remove_prefix(1);
  }
  bool skip(char c) {
    blanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    blanks();
    return true;
  }

  std::optional<double> number() {
    blanks();
    // Only what begins like a number is one: from_chars would take a group called "inf".
    if (rest_.empty() ||
        !(std::isdigit(static_cast<unsigned char>(rest_.front())) || rest_.front() == '.')) {
      return std::nullopt;
    }
    double value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc()) refuse("a factor is not a number");
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }

  std::string name() {
    blanks();
    const auto length = std::min(rest_.find_first_of(" \t+-*"), rest_.size());
    const std::string word(rest_.substr(0, length));
    if (word.empty()) refuse("the name of a group is missing");
    rest_.remove_prefix(length);
    if (word == "all" || word == "total") return "total";
    if (std::find(groups_.begin(), groups_.end(), word) == groups_.end()) {
      refuse(fmt::format("there is no group \"{}\"", printable(word)));
    }
    return word;
  }

  Term product() {
    Term term;
    if (const auto factor = number()) {
      term.weight = *factor;
      if (!skip('*')) refuse("a factor needs * and a group behind it");
      term.dataset = name();
      return term;
    }
    term.dataset = name();
    if (skip('*')) {
      const auto factor = number();
      if (!factor) refuse("* needs a number");
      term.weight = *factor;
    }
    return term;
  }

  const std::string &kernel_, &text_;
  std::string_view rest_;
  const std::vector<std::string>& groups_;
};

}  // namespace

std::vector<Term> parse_sum(const std::string& kernel, const std::string& text,
                            const std::vector<std::string>& groups) {
  return SumReader(kernel, text, groups).read();
}

}  // namespace ntk::spectrum
