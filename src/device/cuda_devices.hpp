// The CUDA devices this process can see. Built without CUDA there are none.
#pragma once

#include <string>
#include <vector>

namespace ntk::device {

bool cuda_built();

// "0: NVIDIA H100 80GB HBM3, 79.1 GiB, compute capability 9.0, GPU-uuid"; empty without a driver.
std::vector<std::string> cuda_devices();

}  // namespace ntk::device
