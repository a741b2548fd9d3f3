// Input: a safetensors file. Its header is checked and every tensor read in every way there is.
#include "model/safetensors.hpp"

#include "fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace ntk;
  fuzz::expect_result_or_error([&] {
    const model::SafetensorsFile file(
        fuzz::folder().write("model.safetensors", fuzz::text(bytes, size)));
    for (const auto& name : file.names()) {
      fuzz::expect_result_or_error([&] { file.read<float>(name); });
      fuzz::expect_result_or_error([&] { file.read<double>(name); });
      if (file.viewable_f32(name)) fuzz::expect_result_or_error([&] { file.view_f32(name); });
    }
    file.info("no such tensor");
  });
  return 0;
}
