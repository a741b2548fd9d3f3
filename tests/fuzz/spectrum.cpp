// Input: a spectrum.h5 in the place where the spectrum stage looks for one that it can reuse; also
// what `ntk inspect` says about any HDF5 file.
#include "app/inspect.hpp"
#include "fuzz_target.hpp"
#include "spectrum/spectrum_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace ntk;
  const std::string path = fuzz::folder().write("spectrum.h5", fuzz::text(bytes, size));
  fuzz::expect_result_or_error([&] { spectrum::stored_result(path, "fingerprint", true); });
  fuzz::expect_result_or_error([&] { app::inspect(path); });
  return 0;
}
