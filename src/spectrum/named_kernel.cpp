#include "spectrum/named_kernel.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"

namespace ntk::spectrum {
namespace {

void require_name(const std::string& name) {
  const auto fits = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("_-./").find(c) != std::string_view::npos;
  };
  require(!name.empty() && std::all_of(name.begin(), name.end(), fits) && name.front() != '/' &&
              name.back() != '/' && name.find("//") == std::string::npos && name.front() != '.' &&
              name.find("/.") == std::string::npos,
          ExitCode::usage,
          "\"{}\" cannot name a kernel of spectrum.kernels (it becomes a group of spectrum.h5) use "
          "letters, digits, _ - . and / between them",
          printable(name));
}

}  // namespace

std::vector<NamedKernel> named_kernels(const std::map<std::string, std::string>& kernels,
                                       const std::vector<std::string>& groups) {
  std::vector<NamedKernel> named;
  for (const auto& [name, text] : kernels) {
    require_name(name);
    named.push_back({name, parse_sum(name, text, groups)});
  }
  return named;
}

BlockSource weighted_sum(const std::vector<Term>& terms, DatasetSource read) {
  return [&terms, read = std::move(read)](std::int64_t row, std::int64_t column, std::int64_t rows,
                                          std::int64_t columns, double* out) {
    const auto count = static_cast<std::size_t>(rows * columns);
    if (terms.size() == 1) {
      read(terms[0].dataset, row, column, rows, columns, out);
      if (terms[0].weight != 1) {
        for (std::size_t e = 0; e < count; ++e) out[e] *= terms[0].weight;
      }
      return;
    }
    std::fill_n(out, count, 0.0);
    std::vector<double> one(count);
    for (const Term& term : terms) {
      read(term.dataset, row, column, rows, columns, one.data());
      for (std::size_t e = 0; e < count; ++e) out[e] += term.weight * one[e];
    }
  };
}

}  // namespace ntk::spectrum
