// What reduced precisions lose on the shapes of a BERT-base and of a 2048-wide model: the table in
// docs/numerics.md. Started by tests/precision_campaign.sh.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "support/precision_study.hpp"

using namespace ntk;
using device::Precision;

namespace {

struct Core {
  const char* name;
  test::TensorCore core;
};
constexpr Core cores[] = {{"8.0", test::ampere}, {"9.0", test::hopper}};

struct Shape {
  std::int64_t inputs, outputs;
};
constexpr Shape shapes[] = {{768, 768}, {768, 3072}, {3072, 768}, {2048, 2048}, {2048, 8192}};

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t most = argc > 1 ? std::atoll(argv[1]) : std::int64_t{1} << 40;  // columns
  const int threads = static_cast<int>(std::thread::hardware_concurrency());
  std::printf(
      "| shape | columns | precision | capability | rms | max | bound | bias | bias bound | "
      "least eigenvalue / (u largest) |\n|---|---|---|---|---|---|---|---|---|---|\n");
  for (const auto& shape : shapes) {
    const std::int64_t columns = std::min(most / shape.inputs, shape.outputs) * shape.inputs;
    for (const auto& [name, core] : cores) {
      const auto errors =
          test::study({shape.inputs, shape.outputs, columns, 32}, core,
                      {Precision::tf32, Precision::bf16x2, Precision::bf16x3}, threads);
      for (const auto& e : errors) {
        const bool fp32 = e.precision == Precision::fp32;
        if (fp32 && &core != &cores[0].core) continue;
        std::printf("| %ld x %ld | %ld | %s | %s | %.1e | %.1e | %.1e | %.1e | %.1e | %.2g |\n",
                    shape.inputs, shape.outputs, columns,
                    std::string(device::facts(e.precision).name).c_str(), fp32 ? "" : name, e.rms,
                    e.max, test::entry_bound(e.precision, core), e.bias,
                    test::bias_bound(e.precision, core), e.least_eigenvalue);
        std::fflush(stdout);
      }
    }
  }
}
