// The kernels of [spectrum] kernels: their names, and how their sums are read from a kernel file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "spectrum/block_cyclic.hpp"
#include "spectrum/kernel_sum.hpp"

namespace ntk::spectrum {

struct NamedKernel {
  std::string name;  // path of its group in spectrum.h5
  std::vector<Term> terms;
};

// Of a job's names and sums. Throws Error(usage) for a name that cannot be a group, or a sum of
// others than `groups`.
std::vector<NamedKernel> named_kernels(const std::map<std::string, std::string>& kernels,
                                       const std::vector<std::string>& groups);

// Fetches a block of one dataset, as a BlockSource does of a matrix.
using DatasetSource =
    std::function<void(const std::string& dataset, std::int64_t row, std::int64_t column,
                       std::int64_t rows, std::int64_t columns, double* out)>;

// The weighted sum of datasets; `terms` must outlive it.
BlockSource weighted_sum(const std::vector<Term>& terms, DatasetSource read);

}  // namespace ntk::spectrum
