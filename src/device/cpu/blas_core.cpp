#include "device/cpu/blas_core.hpp"

#include <cblas.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

namespace ntk::device::cpu {

std::string blas_name() {
  const std::string config = openblas_get_config();  // "OpenBLAS 0.3.21 NO_LAPACKE ..."
  const auto second = config.find(' ', config.find(' ') + 1);
  return config.substr(0, second);
}

std::string blas_core() {
  return openblas_get_corename();
}

std::string better_core(const std::string& core, bool has_avx2, bool has_avx512) {
  static const std::set<std::string> sse = {"Prescott",  "Katmai",       "Coppermine", "Northwood",
                                            "Banias",    "Core2",        "Penryn",     "Dunnington",
                                            "Nehalem",   "Atom",         "Athlon",     "Opteron",
                                            "Barcelona", "Opteron_SSE3", "Unknown"};
  static const std::set<std::string> avx = {"Sandybridge", "Bulldozer", "Piledriver"};
  if (has_avx512 && (sse.contains(core) || avx.contains(core))) return "SkylakeX";
  if (has_avx2 && (sse.contains(core) || avx.contains(core))) return "Haswell";
  return "";
}

std::string cure_slow_blas(char** argv) {
  bool avx2 = false, avx512 = false;  // better_core knows nothing better elsewhere
#ifdef __x86_64__
  avx2 = __builtin_cpu_supports("avx2") != 0;
  avx512 = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0;
#endif
  const std::string core = blas_core();
  const std::string better = better_core(core, avx2, avx512);
  if (better.empty()) return "";
  if (std::getenv("OPENBLAS_CORETYPE") == nullptr) {
    setenv("OPENBLAS_CORETYPE", better.c_str(), 1);
    // By its own path: after "/proc/self/exe" tools would know the process as "exe".
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (!error) execv(self.c_str(), argv);  // returns only on failure
  }
  return "OpenBLAS runs its " + core + " kernels on a processor that can do " + better +
         " (several times slower) set OPENBLAS_CORETYPE=" + better;
}

void set_blas_threads(int threads) {
  openblas_set_num_threads(threads);
}

}  // namespace ntk::device::cpu
