#include "jacobian/cost.hpp"

#include <algorithm>

namespace ntk::jacobian {

double explicit_operations(const SitePair& s) {
  const double planes = s.class_diagonal ? s.copies : static_cast<double>(s.copies) * s.copies;
  const double full = 2.0 * planes * static_cast<double>(s.samples_p * s.samples_q) *
                      static_cast<double>(s.inputs * s.outputs);
  return s.symmetric ? full / 2 : full;
}
double structured_operations(const SitePair& s) {
  const double planes = s.class_diagonal ? s.copies : static_cast<double>(s.copies) * s.copies;
  const double full = 2.0 * static_cast<double>(s.rows_p) * static_cast<double>(s.rows_q) *
                      (static_cast<double>(s.inputs) + planes * static_cast<double>(s.outputs + 1));
  return s.symmetric ? full / 2 : full;
}

double explicit_cost(const CostTable& table, const SitePair& s) {
  return explicit_operations(s) / table.product_share;
}
double structured_cost(const CostTable& table, const SitePair& s) {
  const double planes = s.class_diagonal ? s.copies : static_cast<double>(s.copies) * s.copies;
  const double sums =
      table.token_sum * planes * static_cast<double>(s.rows_p) * static_cast<double>(s.rows_q);
  return structured_operations(s) / table.product_share + (s.symmetric ? sums / 2 : sums);
}

double explicit_time(const CostTable& table, const SitePair& s) {
  const auto side = [&](std::int64_t samples) {
    const double rows = static_cast<double>(s.class_diagonal ? samples : s.copies * samples);
    return std::min(rows, std::clamp(rows / 2, 128.0, 288.0));
  };
  const double layouts = 1 / side(s.samples_p) + 1 / side(s.samples_q);
  return explicit_operations(s) * (table.product + table.packing * layouts);
}

Method choose(const CostTable& table, const SitePair& s) {
  return structured_cost(table, s) < explicit_cost(table, s) ? Method::structured
                                                             : Method::explicit_;
}

}  // namespace ntk::jacobian
