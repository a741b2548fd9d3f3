#include "spectrum/projections.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "parallel/collectives.hpp"
#include "spectrum/scalapack.hpp"

namespace ntk::spectrum {

namespace {

// C (m x n) = A (m x k) op(B), column-major.
void product(char trans_a, std::int64_t m, std::int64_t n, std::int64_t k, const double* a,
             std::int64_t lda, const double* b, std::int64_t ldb, std::vector<double>& c) {
  c.assign(static_cast<std::size_t>(m * n), 0.0);
  if (m == 0 || n == 0 || k == 0) return;
  const int im = static_cast<int>(m), in = static_cast<int>(n), ik = static_cast<int>(k);
  const int la = static_cast<int>(lda), lb = static_cast<int>(ldb);
  const double one = 1, zero = 0;
  dgemm_(&trans_a, "N", &im, &in, &ik, &one, a, &la, b, &lb, &zero, c.data(), &im);
}

std::vector<double> repeated(const std::vector<double>& values, std::int64_t columns,
                             std::int64_t times) {
  std::vector<double> rows;
  rows.reserve(values.size() * static_cast<std::size_t>(times));
  for (auto at = values.begin(); at != values.end(); at += columns) {
    for (std::int64_t c = 0; c < times; ++c) rows.insert(rows.end(), at, at + columns);
  }
  return rows;
}

}  // namespace

std::vector<Field> fields_of(const store::SampleTable& samples, const std::vector<double>& outputs,
                             std::int64_t output_columns, std::int64_t rows_per_sample) {
  std::vector<Field> fields;
  const auto add = [&](const char* name, const std::vector<double>& values, std::int64_t columns,
                       bool variance = false) {
    if (values.empty()) return;
    fields.push_back({name, columns, repeated(values, columns, rows_per_sample), variance});
  };
  add("target", samples.target, samples.label_sets);
  add("reference", samples.reference, 1);
  add("noise_variance", samples.noise_variance, samples.noise_sets, true);
  if (!samples.label.empty()) {
    const auto classes = static_cast<std::int64_t>(samples.classes.size());
    std::vector<double> hot(samples.label.size() * samples.classes.size(), 0.0);
    for (std::size_t i = 0; i < samples.label.size(); ++i) {
      const std::int64_t c = samples.label[i];
      if (c >= 0 && c < classes) hot[i * samples.classes.size() + static_cast<std::size_t>(c)] = 1;
    }
    // (samples, C) row-major is the column of rows r = sample C + output.
    if (rows_per_sample == classes) {
      fields.push_back({"label", 1, std::move(hot)});
    } else if (rows_per_sample == 1) {
      fields.push_back({"label", classes, std::move(hot)});
    }
  }
  if (!outputs.empty() && (rows_per_sample == 1 || rows_per_sample == output_columns)) {
    fields.push_back({"outputs", rows_per_sample == 1 ? output_columns : 1, outputs});
  }
  return fields;
}

std::vector<double> project(const BlockCyclicMatrix& u, const Field& field) {
  const std::int64_t m = field.columns, k = u.columns();
  ensure(static_cast<std::int64_t>(field.values.size()) == u.rows() * m,
         "{}: {} values for {} rows", field.name, field.values.size(), u.rows());
  const auto& map = u.distribution();
  std::vector<double> own(static_cast<std::size_t>(u.local_rows() * m)), part;
  for (std::int64_t i = 0; i < u.local_rows(); ++i) {
    std::copy_n(field.values.begin() + map.rows().to_global(i) * m, m, own.begin() + i * m);
  }
  if (field.variance) {
    part.assign(static_cast<std::size_t>(m * u.local_columns()), 0.0);
    for (std::int64_t j = 0; j < u.local_columns(); ++j) {
      const double* vector = u.column(j);
      for (std::int64_t i = 0; i < u.local_rows(); ++i) {
        for (std::int64_t c = 0; c < m; ++c) {
          part[static_cast<std::size_t>(j * m + c)] +=
              vector[i] * vector[i] * own[static_cast<std::size_t>(i * m + c)];
        }
      }
    }
  } else {
    // Row-major (rows, m) is column-major (m, rows).
    product('N', m, u.local_columns(), u.local_rows(), own.data(), m, u.data(),
            u.leading_dimension(), part);
  }
  std::vector<double> result(static_cast<std::size_t>(k * m), 0.0);
  for (std::int64_t j = 0; j < u.local_columns(); ++j) {
    std::copy_n(part.begin() + j * m, m, result.begin() + map.columns().to_global(j) * m);
  }
  parallel::sum_to(u.grid().comm(), result);
  return result;
}

std::vector<double> multiply(const std::vector<double>& strip, std::int64_t rows,
                             const BlockCyclicMatrix& u, std::int64_t modes) {
  const auto& map = u.distribution();
  const std::int64_t n = u.rows(), local = u.local_rows();
  const std::int64_t columns = map.columns().local_below(modes);
  std::vector<double> own(static_cast<std::size_t>(local * rows)), part;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < local; ++i) {
      own[static_cast<std::size_t>(r * local + i)] =
          strip[static_cast<std::size_t>(r * n + map.rows().to_global(i))];
    }
  }
  product('T', columns, rows, local, u.data(), u.leading_dimension(), own.data(),
          std::max<std::int64_t>(1, local), part);
  std::vector<double> result(static_cast<std::size_t>(rows * modes), 0.0);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t j = 0; j < columns; ++j) {
      result[static_cast<std::size_t>(r * modes + map.columns().to_global(j))] =
          part[static_cast<std::size_t>(r * columns + j)];
    }
  }
  parallel::sum_to(u.grid().comm(), result);
  return result;
}

}  // namespace ntk::spectrum
