// Input: a config.json; the same bytes serve as the index of a sharded model, which has no shards.
#include "model/config.hpp"

#include "fuzz_target.hpp"
#include "model/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace ntk;
  const std::string_view content = fuzz::text(bytes, size);
  fuzz::folder().write("config.json", content);
  fuzz::folder().write("model.safetensors.index.json", content);
  fuzz::expect_result_or_error([] { model::read_config(fuzz::folder().path()); });
  fuzz::expect_result_or_error([] { model::Checkpoint{fuzz::folder().path()}; });
  return 0;
}
