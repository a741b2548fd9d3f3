// Ragged rows on a device, with the host's copy of the offsets.
#pragma once

#include <memory>
#include <vector>

#include "device/backend.hpp"

namespace ntk::model {

template <class Real>
class Layout {
 public:
  Layout(device::Backend<Real>& backend, std::vector<std::int64_t> offsets)
      : host_(std::move(offsets)), device_(backend, std::span<const std::int64_t>(host_)) {}
  std::int64_t samples() const { return static_cast<std::int64_t>(host_.size()) - 1; }
  std::int64_t rows() const { return host_.back(); }
  const std::vector<std::int64_t>& offsets() const { return host_; }
  device::RaggedView view() const { return {samples(), device_.data(), host_.data()}; }

 private:
  std::vector<std::int64_t> host_;
  device::Array<std::int64_t, Real> device_;
};

template <class Real>
using LayoutPtr = std::shared_ptr<const Layout<Real>>;

// Integer ids of rows, on the host and on the device.
template <class Real>
class Ids {
 public:
  Ids(device::Backend<Real>& backend, std::vector<std::int32_t> ids)
      : host_(std::move(ids)), device_(backend, std::span<const std::int32_t>(host_)) {}
  const std::vector<std::int32_t>& host() const { return host_; }
  const std::int32_t* device() const { return device_.data(); }

 private:
  std::vector<std::int32_t> host_;
  device::Array<std::int32_t, Real> device_;
};

template <class Real>
using IdsPtr = std::shared_ptr<const Ids<Real>>;

}  // namespace ntk::model
