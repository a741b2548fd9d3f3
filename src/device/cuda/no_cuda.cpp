// Stands in for the CUDA backend in builds without it.
#include "base/error.hpp"
#include "device/cuda.hpp"
#include "device/cuda_eigen.hpp"

namespace ntk::device {
namespace {
constexpr const char* problem = "this program was built without CUDA";

[[noreturn]] void not_configured() {
  throw Error(ExitCode::resources,
              fmt::format("no CUDA device can be used ({}) configure with -DNTK_CUDA=ON, or use "
                          "device = \"cpu\"",
                          problem));
}
}  // namespace

bool cuda_built() {
  return false;
}
CudaDevices cuda_devices() {
  return {{}, problem};
}
std::size_t cuda_free_bytes(int) {
  not_configured();
}
std::string cuda_versions() {
  return "none";
}
template <class Real>
std::unique_ptr<Backend<Real>> make_cuda_backend(int, Precision, std::size_t) {
  not_configured();
}
template std::unique_ptr<Backend<float>> make_cuda_backend<float>(int, Precision, std::size_t);
template std::unique_ptr<Backend<double>> make_cuda_backend<double>(int, Precision, std::size_t);

EigenMemory cuda_eigen_memory(int, std::int64_t, bool) {
  not_configured();
}
std::vector<double> cuda_eigen(int, std::int64_t, const double*, std::int64_t, double*) {
  not_configured();
}
std::string cuda_eigen_version() {
  return "none";
}

}  // namespace ntk::device
