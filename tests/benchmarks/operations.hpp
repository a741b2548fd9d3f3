// Rates of a backend's operations on one panel, forward and backward passes and forming.
#pragma once

#include <memory>
#include <vector>

#include "jacobian/settings.hpp"
#include "measure.hpp"
#include "model/layout.hpp"

namespace ntk::bench {

template <class Real>
class OperationRates {
 public:
  OperationRates(device::Backend<Real>& backend, const jacobian::Settings& settings,
                 const Shape& shape, double least)
      : backend_(backend),
        settings_(settings),
        s_(shape),
        least_(least),
        layout_(backend, equal_offsets(shape.samples, shape.tokens)),
        x_(random_array(backend, shape.rows() * shape.inner, 1)),
        y_(random_array(backend, shape.rows() * shape.inner, 2)),
        dy_(random_array(backend, shape.copies * shape.rows() * shape.inner, 3)),
        dx_(random_array(backend, shape.copies * shape.rows() * shape.inner, 4)),
        vector_(random_array(backend, shape.inner, 5)),
        statistics_(random_array(backend, 2 * shape.rows(), 6)) {}

  // Bytes a second of adding one large array to another: what memory gives.
  double copy_bandwidth() {
    const std::int64_t count = dy_.size();
    return bytes(3 * count) / seconds([&] { backend_.add(count, x_of_copies(), dx_.data()); });
  }

  std::vector<Rate> all() {
    transfers();
    rows();
    attention();
    passes();
    gradients();
    structured();
    return std::move(rates_);
  }

 private:
  static double bytes(std::int64_t numbers) {
    return static_cast<double>(numbers) * static_cast<double>(sizeof(Real));
  }
  const Real* x_of_copies() const { return dy_.data(); }
  template <class Body>
  double seconds(Body&& body) {
    return seconds_of(backend_, least_, std::forward<Body>(body));
  }
  template <class Body>
  void add(const std::string& name, std::int64_t numbers, double operations, Body&& body) {
    rates_.push_back({name, seconds(std::forward<Body>(body)), bytes(numbers), operations});
  }

  void transfers() {
    std::vector<Real> host(static_cast<std::size_t>(s_.rows() * s_.width));
    const std::size_t size = host.size() * sizeof(Real);
    const std::int64_t count = s_.rows() * s_.width;
    add("upload", count, 0, [&] { backend_.upload(y_.data(), host.data(), size); });
    add("copy_out", count, 0, [&] { backend_.copy_out(x_.data(), size)->data(); });
  }

  void rows() {
    const std::int64_t rows = s_.rows(), w = s_.width, inner = s_.inner, c = s_.copies;
    const auto kind = device::Activation::gelu_erf;
    std::vector<std::int32_t> ids, first_rows;
    for (std::int64_t r = 0; r < rows; ++r) {
      ids.push_back(static_cast<std::int32_t>(r * 7919 % s_.vocabulary));
    }
    for (std::int64_t i = 0; i < s_.samples; ++i) {
      first_rows.push_back(static_cast<std::int32_t>(i * s_.tokens));
    }
    const model::Ids<Real> tokens(backend_, ids), firsts(backend_, first_rows);
    const auto table = random_array(backend_, s_.vocabulary * w, 7);
    add("add_bias", 2 * rows * inner, 0,
        [&] { backend_.add_bias(rows, inner, vector_.data(), y_.data()); });
    add("gather", 2 * rows * w, 0,
        [&] { backend_.gather(rows, w, tokens.device(), table.data(), false, y_.data()); });
    add("scatter_add", 3 * c * s_.samples * w, 0, [&] {
      backend_.scatter_add(s_.copies, s_.samples, rows, w, firsts.device(), x_.data(), dx_.data());
    });
    add("mean_pool", rows * w + s_.samples * w, 0,
        [&] { backend_.mean_pool(layout_.view(), w, x_.data(), y_.data()); });
    add("layer_norm", 2 * rows * w, 0, [&] {
      backend_.layer_norm(rows, w, Real(1e-12), x_.data(), vector_.data(), vector_.data(),
                          y_.data(), statistics_.data());
    });
    add("layer_norm_backward", (1 + 3 * c) * rows * w, 0, [&] {
      backend_.layer_norm_backward(rows, s_.copies, w, x_.data(), statistics_.data(),
                                   vector_.data(), dy_.data(), dx_.data());
    });
    add("activation", 2 * rows * inner, 0,
        [&] { backend_.activation(kind, rows * inner, x_.data(), y_.data()); });
    add("activation_backward", (2 + 3 * c) * rows * inner, 0, [&] {
      backend_.activation_backward(kind, c * rows * inner, rows * inner, x_.data(), y_.data(),
                                   dy_.data(), dx_.data());
    });
    add("sum_rows", c * rows * inner, 0,
        [&] { backend_.sum_rows(layout_.view(), rows, s_.copies, inner, dy_.data(), dx_.data()); });
    add("sum_rows_normalised", (1 + c) * rows * w, 0, [&] {
      backend_.sum_rows_normalised(layout_.view(), rows, s_.copies, w, x_.data(),
                                   statistics_.data(), dy_.data(), dx_.data());
    });
  }

  // Every product of a sample's rows by each other counts.
  void attention() {
    const std::int64_t w = s_.width, c = s_.copies, count = s_.rows() * w;
    const auto v = layout_.view();
    const auto heads = static_cast<int>(s_.heads);
    const double product = 2.0 * static_cast<double>(s_.rows() * s_.tokens * w);
    const auto k = random_array(backend_, count, 8);
    device::Array<Real, Real> dk(backend_, c * count), dv(backend_, c * count);
    dk.zero();
    dv.zero();
    add("attention", 4 * count, 2 * product,
        [&] { backend_.attention(v, v, heads, w, x_.data(), k.data(), k.data(), y_.data()); });
    add("attention_backward", (3 + 7 * c) * count, (1 + 4.0 * static_cast<double>(c)) * product,
        [&] {
          backend_.attention_backward(v, v, heads, w, s_.copies, x_.data(), k.data(), k.data(),
                                      dy_.data(), dx_.data(), dk.data(), dv.data());
        });
  }

  // The linear maps of forward and backward passes.
  void passes() {
    const std::int64_t rows = s_.rows(), w = s_.width, inner = s_.inner, c = s_.copies;
    const double one = 2.0 * static_cast<double>(rows * w * inner);
    const auto weight = random_array(backend_, w * inner, 9, 0.02);
    add("gemm forward", rows * (w + inner) + w * inner, one, [&] {
      backend_.gemm(true, rows, inner, w, x_.data(), w, weight.data(), w, false, y_.data(), inner);
    });
    add("gemm backward", c * rows * (2 * w + inner) + w * inner, static_cast<double>(c) * one, [&] {
      backend_.gemm(false, c * rows, w, inner, dy_.data(), inner, weight.data(), w, true,
                    dx_.data(), w);
    });
  }

  // What the contraction multiplies: a slice of a linear map's gradients, and rows as they are.
  void gradients() {
    const std::int64_t w = s_.width, formed = s_.copies * s_.samples;
    const std::int64_t count = settings_.slice_outputs(w, s_.inner), columns = count * w;
    const device::FactorView<Real> f{x_.data(), dy_.data(), s_.rows(), layout_.view()};
    device::Array<char, Real> memory(backend_, backend_.operand_bytes(formed, columns));
    const device::Operands to{memory.data(), 0, columns, settings_.chunk_columns};
    rates_.push_back(
        {"form " + std::to_string(count) + " x " + std::to_string(w),
         seconds([&] { backend_.form(f, s_.copies, w, s_.inner, 0, count, to, 0); }),
         bytes(s_.rows() * (w + s_.copies * count)) + static_cast<double>(memory.size()),
         2.0 * static_cast<double>(s_.copies * s_.rows() * columns)});
    const std::int64_t put = std::min(columns, dy_.size() / formed);
    const device::Operands rows{memory.data(), 0, put, settings_.chunk_columns};
    rates_.push_back(
        {"put_rows", seconds([&] { backend_.put_rows(formed, dy_.data(), rows, 0); }),
         bytes(formed * put) + static_cast<double>(backend_.operand_bytes(formed, put)), 0});
  }

  // Two panels of a site that lives on one token a sample.
  void structured() {
    const std::int64_t n = s_.copies * s_.samples, w = s_.width;
    const model::Layout<Real> pooled(backend_, equal_offsets(s_.samples, 1));
    device::Array<double, Real> tile(backend_, n * n);
    tile.zero();
    const device::FactorView<Real> f{x_.data(), dy_.data(), s_.samples, pooled.view()};
    const typename device::Backend<Real>::StructuredBlock block{f, f, 0, 0, tile.data(), n, false};
    const jacobian::SitePair site{w,          w,         s_.samples, s_.samples, s_.samples,
                                  s_.samples, s_.copies, false,      false};
    const double operations = jacobian::structured_operations(site);
    rates_.push_back({"structured, one token", seconds([&] {
                        backend_.contract_structured({&block, 1}, s_.copies, w, w, s_.samples,
                                                     s_.samples, false);
                      }),
                      bytes(2 * (s_.samples + n) * w) + 16.0 * static_cast<double>(n * n),
                      operations});
  }

  device::Backend<Real>& backend_;
  const jacobian::Settings& settings_;
  Shape s_;
  double least_;
  model::Layout<Real> layout_;
  device::Array<Real, Real> x_, y_, dy_, dx_, vector_, statistics_;
  std::vector<Rate> rates_;
};

}  // namespace ntk::bench
