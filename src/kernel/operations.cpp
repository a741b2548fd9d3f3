#include "kernel/operations.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace ntk::kernel {

namespace {
// What blocks take more than their sizes (MemoryPool's size classes).
constexpr double pool_classes = 1.125;

// A segment's values and, for every cotangent, theirs.
double record_copies(int copies) {
  return 1.0 + 1.5 * copies;
}
}  // namespace

Operations::Operations(const model::Architecture& architecture, const model::ModelConfig& config,
                       const jacobian::Settings& settings, const Panels& panels)
    : architecture_(architecture), config_(config), settings_(settings), panels_(panels) {}

double Operations::forward(const Panel& panel) const {
  double sum = 0;
  for (const auto& p : architecture_.parameters) {
    if (!p.is_linear()) continue;
    sum += 2.0 * static_cast<double>(p.pooled ? panel.samples : panel.tokens) *
           static_cast<double>(p.count());
  }
  // scores and mixing: 4 T^2 d a sample and layer, with the panel's mean length
  const double mean = static_cast<double>(panel.tokens) / static_cast<double>(panel.samples);
  return sum + 4.0 * static_cast<double>(config_.num_hidden_layers * config_.hidden_size) * mean *
                   static_cast<double>(panel.tokens);
}

double Operations::once(int panel) const {
  return forward(panels_.at(panel)) * (1.0 + settings_.copies);
}

double Operations::forming(const Panel& panel) const {
  double form = 0;
  for (const auto& p : architecture_.parameters) {
    if (!p.is_linear() || !p.selected || p.pooled) continue;
    form += 2.0 * static_cast<double>(panel.tokens) * static_cast<double>(p.count());
  }
  return form;
}

double Operations::build(int panel) const {
  const Panel& at = panels_.at(panel);
  const auto& costs = settings_.costs;
  return costs.forward * forward(at) +
         settings_.copies * (costs.backward * forward(at) + costs.form * forming(at));
}

double Operations::build_operations(int panel) const {
  const Panel& at = panels_.at(panel);
  return (2.0 + settings_.copies) * forward(at) + settings_.copies * forming(at);
}

template <class F>
double Operations::over_sites(int p, int q, F f) const {
  const Panel &a = panels_.at(p), &b = panels_.at(q);
  double sum = 0;
  for (std::size_t i = 0; i < architecture_.parameters.size(); ++i) {
    const auto& parameter = architecture_.parameters[i];
    if (!parameter.selected) continue;
    const bool linear = parameter.is_linear();
    const bool one_row = parameter.pooled || !linear;
    // Vectors are contracted as gradients of one column a number; tables by token matches, of
    // which a pair of samples has some: counted as one row of the table's width.
    const jacobian::SitePair site{linear ? parameter.shape[1] : 1,
                                  linear ? parameter.shape[0] : parameter.shape.back(),
                                  one_row ? a.samples : a.tokens,
                                  one_row ? b.samples : b.tokens,
                                  a.samples,
                                  b.samples,
                                  settings_.copies,
                                  settings_.class_diagonal,
                                  p == q};
    sum += f(static_cast<int>(i), site, linear);
  }
  return sum;
}

double Operations::contraction(int p, int q) const {
  return over_sites(p, q, [](int, const jacobian::SitePair& s, bool linear) {
    const double direct = jacobian::explicit_operations(s);
    return linear ? std::min(direct, jacobian::structured_operations(s)) : direct;
  });
}

double Operations::weighted_contraction(int p, int q) const {
  return over_sites(p, q, [this](int parameter, const jacobian::SitePair& s, bool linear) {
    return linear && settings_.method(parameter, s) == jacobian::Method::structured
               ? jacobian::structured_cost(settings_.costs, s)
               : jacobian::explicit_time(settings_.costs, s);
  });
}

std::vector<double> record_widths(const model::Architecture& architecture, double pooled_rows) {
  // Sums, norms and attention beside the linear maps.
  std::vector<double> widths(architecture.segments.size(),
                             6.0 * static_cast<double>(architecture.hidden));
  for (const auto& p : architecture.parameters) {
    if (!p.is_linear()) continue;
    const std::int64_t out = p.shape[0], in = p.shape[1];
    const bool activated = out > in;  // the map up into an activation
    widths[static_cast<std::size_t>(p.segment)] +=
        (p.pooled ? pooled_rows : 1.0) * static_cast<double>(activated ? 2 * out : out);
  }
  return widths;
}

std::int64_t longest_panel(const model::Architecture& architecture, int copies, device::Kind kind,
                           std::size_t real) {
  const auto widths = record_widths(architecture, 1.0);
  const double token = *std::max_element(widths.begin(), widths.end()) * record_copies(copies) *
                       static_cast<double>(real);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(panel_record_bytes(kind) / token));
}

std::vector<double> Operations::record_widths(const Panel& panel) const {
  return kernel::record_widths(
      architecture_, static_cast<double>(panel.samples) / static_cast<double>(panel.tokens));
}

double Operations::panel_bytes(int panel, std::size_t real, std::size_t operand) const {
  const Panel& at = panels_.at(panel);
  const auto widths = record_widths(at);
  std::int64_t slice = 0;
  for (const auto& p : architecture_.parameters) {
    if (p.is_linear() && p.selected) {
      slice = std::max(slice, settings_.slice_outputs(p.shape[1], p.shape[0]) * p.shape[1]);
    }
  }
  const auto tokens = static_cast<double>(at.tokens);
  const double inputs = tokens * static_cast<double>(architecture_.hidden) *
                        static_cast<double>(architecture_.segments.size());
  const double record =
      tokens * *std::max_element(widths.begin(), widths.end()) * record_copies(settings_.copies);
  const auto formed = static_cast<double>(settings_.copies * at.samples * slice);
  return pool_classes *
         ((inputs + record) * static_cast<double>(real) + formed * static_cast<double>(operand));
}

double Operations::kept_bytes(int panel, std::size_t real) const {
  const Panel& at = panels_.at(panel);
  const auto widths = record_widths(at);
  return pool_classes * static_cast<double>(at.tokens) *
         std::accumulate(widths.begin(), widths.end(), 0.0) * static_cast<double>(real);
}

}  // namespace ntk::kernel
