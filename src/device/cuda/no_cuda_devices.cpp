#include "device/cuda_devices.hpp"

namespace ntk::device {

bool cuda_built() {
  return false;
}

std::vector<std::string> cuda_devices() {
  return {};
}

}  // namespace ntk::device
