// Seconds that work on a device takes, until it is done there.
#pragma once

#include <utility>

#include "base/stopwatch.hpp"
#include "device/backend.hpp"

namespace ntk::device {

template <class Real, class Body>
void timed(Backend<Real>& backend, double& seconds, Body&& body) {
  Stopwatch watch(seconds);
  std::forward<Body>(body)();
  backend.synchronize();
}

}  // namespace ntk::device
