#include "device/counting_backend.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "device/cpu/cpu_backend.hpp"
#include "device/cuda.hpp"

namespace ntk::device {
namespace {

// Addresses without memory behind them, in blocks as the device gives them.
class Addresses final : public MemorySource {
 public:
  explicit Addresses(Kind kind) : kind_(kind) {}
  void* take(std::size_t bytes) override {
    next_ += (bytes + alignment - 1) / alignment * alignment;
    return reinterpret_cast<void*>(next_);
  }
  void give_back(void*) noexcept override {}
  std::size_t granularity(std::size_t bytes) const override {
    return kind_ == Kind::cuda ? cuda_granularity(bytes) : cpu::HostMemory().granularity(bytes);
  }
  std::string owner() const override { return kind_ == Kind::cuda ? "of a GPU" : "of a rank"; }

 private:
  static constexpr std::size_t alignment = 4096;
  Kind kind_;
  std::uintptr_t next_ = std::uintptr_t{1} << 20;
};

// Pairs of a query and a key of one sample.
double score_count(RaggedView q, RaggedView k) {
  double pairs = 0;
  for (std::int64_t s = 0; s < q.samples; ++s) {
    pairs += static_cast<double>((q.host[s + 1] - q.host[s]) * (k.host[s + 1] - k.host[s]));
  }
  return pairs;
}

}  // namespace

template <class Real>
CountingBackend<Real>::CountingBackend(Kind kind, Precision precision, std::size_t limit_bytes)
    : kind_(kind), precision_(precision), pool_(std::make_unique<Addresses>(kind), limit_bytes) {}

template <class Real>
void CountingBackend<Real>::download(void* host, const void*, std::size_t bytes) {
  std::memset(host, 0, bytes);
}

template <class Real>
std::unique_ptr<HostCopy> CountingBackend<Real>::copy_out(const void*, std::size_t bytes) {
  struct Zeros final : HostCopy {
    explicit Zeros(std::size_t count) : zeros(count) {}
    const void* data() override { return zeros.data(); }
    std::vector<char> zeros;
  };
  return std::make_unique<Zeros>(bytes);
}

// Takes no time, but, on one thread of a CPU, its memory. On a GPU it takes what is left.
template <class Real>
GemmTiming CountingBackend<Real>::time_gemm() {
  if (kind_ == Kind::cpu) {
    const Array<Real, Real> a(*this, cpu::timed_order * cpu::timed_order);
    const Array<Real, Real> c(*this, cpu::timed_rows * cpu::timed_order);
  }
  return {};
}

template <class Real>
void CountingBackend<Real>::gemm(bool, std::int64_t m, std::int64_t n, std::int64_t k, const Real*,
                                 std::int64_t, const Real*, std::int64_t, bool, Real*,
                                 std::int64_t) {
  counts_.linear += 2.0 * static_cast<double>(m) * static_cast<double>(n * k);
}

template <class Real>
void CountingBackend<Real>::attention(RaggedView q_rows, RaggedView k_rows, int heads,
                                      std::int64_t width, const Real*, const Real*, const Real*,
                                      Real*) {
  counts_.attention += 4.0 * score_count(q_rows, k_rows) * static_cast<double>(width);
  if (kind_ == Kind::cpu) return;
  const Array<double, Real> rows(*this, 2 * k_rows.rows() * heads);
  const Array<Real, Real> matrices(*this, 2 * k_rows.rows() * width);
}

// Scores again, and for each copy the four maps of a vector-Jacobian product.
template <class Real>
void CountingBackend<Real>::attention_backward(RaggedView q_rows, RaggedView k_rows, int heads,
                                               std::int64_t width, int copies, const Real*,
                                               const Real*, const Real*, const Real*, Real*, Real*,
                                               Real*) {
  counts_.attention +=
      (2.0 + 8.0 * copies) * score_count(q_rows, k_rows) * static_cast<double>(width);
  if (kind_ == Kind::cpu) return;
  const Array<double, Real> rows(*this, 2 * k_rows.rows() * heads);
  const Array<Real, Real> matrices(*this, 2 * k_rows.rows() * width);
}

template <class Real>
void CountingBackend<Real>::form(const FactorView<Real>& f, int copies, std::int64_t inputs,
                                 std::int64_t, std::int64_t, std::int64_t count, const Operands&,
                                 int) {
  counts_.form += 2.0 * copies * static_cast<double>(f.rows) * static_cast<double>(count * inputs);
}

template <class Real>
void CountingBackend<Real>::contract(const Operands& operands,
                                     std::span<const typename Backend<Real>::Product> products) {
  std::int64_t most = 0;  // numbers of a product
  for (const auto& p : products) {
    most = std::max(most, p.m * p.n);
    operand_peak_ = std::max(operand_peak_, (std::max(p.p, p.q) + 1) * operands.stride);
    counts_.products += (p.symmetric ? 1.0 : 2.0) * static_cast<double>(p.m * p.n) *
                        static_cast<double>(operands.columns);
  }
  if (kind_ == Kind::cpu) return;
  const auto count = static_cast<std::int64_t>(products.size());
  const std::int64_t lane = cuda_lane_bytes / static_cast<std::int64_t>(sizeof(Real));
  std::vector<Array<Real, Real>> scratch;
  for (std::int64_t l = 0; l < std::min<std::int64_t>(count, cuda_lanes); ++l) {
    scratch.emplace_back(*this, std::max(most, std::min(lane, count * most)));
  }
}

template <class Real>
void CountingBackend<Real>::contract_structured(
    std::span<const typename Backend<Real>::StructuredBlock> blocks, int copies,
    std::int64_t inputs, std::int64_t outputs, std::int64_t, std::int64_t, bool class_diagonal) {
  const double planes = class_diagonal ? copies : static_cast<double>(copies) * copies;
  for (const auto& b : blocks) {
    const std::int64_t m = b.p.samples.rows(), n = b.q.samples.rows();
    // A block on the diagonal of a symmetric tile is computed in full, and is needed by half.
    counts_.structured += 2.0 * static_cast<double>(m * n) *
                          (static_cast<double>(inputs) + planes * static_cast<double>(outputs + 1));
    if (kind_ == Kind::cpu) continue;
    const Array<Real, Real> aa(*this, m * n), gg(*this, m * n);
    const Array<double, Real> w(*this, b.p.samples.samples * n);
    const Array<char, Real> x(*this, operand_bytes(m, std::max(inputs, outputs)));
    const Array<char, Real> y(*this, operand_bytes(n, std::max(inputs, outputs)));
  }
}

template <class Real>
void CountingBackend<Real>::contract_matches(
    std::span<const typename Backend<Real>::MatchBlock> blocks, std::int64_t width) {
  for (const auto& b : blocks) {
    counts_.matches += 2.0 * static_cast<double>(b.p.samples * b.q.samples * width);
  }
}

template class CountingBackend<float>;
template class CountingBackend<double>;

}  // namespace ntk::device
