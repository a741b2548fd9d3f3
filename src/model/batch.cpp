#include "model/batch.hpp"

#include <numeric>

namespace ntk::model {

template <class Real>
Batch<Real>::Batch(device::Backend<Real>& backend, const TokenBatch& samples,
                   std::int64_t first_position, Pooling pooling) {
  const auto count = samples.offsets.size() - 1;
  std::vector<std::int32_t> position;
  position.reserve(samples.tokens.size());
  std::vector<std::int32_t> stands_for(count);
  for (std::size_t s = 0; s < count; ++s) {
    const std::int64_t first = samples.offsets[s], last = samples.offsets[s + 1];
    for (std::int64_t r = first; r < last; ++r) {
      position.push_back(static_cast<std::int32_t>(first_position + r - first));
    }
    stands_for[s] = static_cast<std::int32_t>(pooling == Pooling::last ? last - 1 : first);
  }
  std::vector<std::int64_t> one_each(count + 1);
  std::iota(one_each.begin(), one_each.end(), std::int64_t{0});
  rows = std::make_shared<Layout<Real>>(backend, samples.offsets);
  pooled = std::make_shared<Layout<Real>>(backend, std::move(one_each));
  tokens = std::make_shared<Ids<Real>>(backend, samples.tokens);
  types = std::make_shared<Ids<Real>>(backend, samples.types);
  positions = std::make_shared<Ids<Real>>(backend, std::move(position));
  if (pooling != Pooling::mean) {
    pooled_rows = std::make_shared<Ids<Real>>(backend, std::move(stands_for));
  }
}

template struct Batch<float>;
template struct Batch<double>;

}  // namespace ntk::model
