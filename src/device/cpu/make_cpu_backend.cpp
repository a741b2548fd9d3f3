#include "device/cpu/cpu_backend.hpp"

namespace ntk::device {

template <class Real>
std::unique_ptr<Backend<Real>> make_cpu_backend(int threads, std::size_t limit_bytes) {
  return std::make_unique<cpu::CpuBackend<Real>>(threads, limit_bytes);
}
template std::unique_ptr<Backend<float>> make_cpu_backend<float>(int, std::size_t);
template std::unique_ptr<Backend<double>> make_cpu_backend<double>(int, std::size_t);

}  // namespace ntk::device
