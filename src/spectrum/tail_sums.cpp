#include "spectrum/tail_sums.hpp"

#include "parallel/collectives.hpp"

namespace ntk::spectrum {

namespace {

std::vector<double> row_squares(const BlockCyclicMatrix& a) {
  std::vector<double> sums(static_cast<std::size_t>(a.rows()), 0.0);
  const auto& rows = a.distribution().rows();
  for (std::int64_t j = 0; j < a.local_columns(); ++j) {
    for (std::int64_t i = 0; i < a.local_rows(); ++i) {
      sums[static_cast<std::size_t>(rows.to_global(i))] += a.local(i, j) * a.local(i, j);
    }
  }
  parallel::sum_to(a.grid().comm(), sums);
  return sums;
}

// (rows, columns) -> (columns, rows), row-major both.
std::vector<double> transposed(const std::vector<double>& values, std::int64_t rows,
                               std::int64_t columns) {
  std::vector<double> result;
  result.reserve(values.size());
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t r = 0; r < rows; ++r) {
      result.push_back(values[static_cast<std::size_t>(r * columns + c)]);
    }
  }
  return result;
}

}  // namespace

std::vector<NamedTable> row_sums(const BlockCyclicMatrix& a) {
  return {{"diagonal", 1, diagonal(a)}, {"row_squares", 1, row_squares(a)}};
}

std::vector<NamedTable> products(const BlockCyclicMatrix& a, const std::vector<Field>& fields) {
  const std::int64_t n = a.rows();
  std::vector<NamedTable> tables;
  for (const Field& field : fields) {
    if (field.variance) continue;
    const std::int64_t m = field.columns;
    const auto product = multiply(transposed(field.values, n, m), m, a, n);
    tables.push_back({field.name, m, transposed(product, m, n)});
  }
  return tables;
}

}  // namespace ntk::spectrum
