// Input: a data file (HDF5).
#include "data/data_file.hpp"

#include "fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace ntk;
  const std::string path = fuzz::folder().write("data.h5", fuzz::text(bytes, size));
  fuzz::expect_result_or_error([&] { data::read_data(path, data::Tokens::optional); });
  fuzz::expect_result_or_error([&] {
    const data::DataFile data = data::read_data(path, data::Tokens::required);
    data::check_against_model(data, {.vocab_size = 100, .type_vocab_size = 2, .max_tokens = 8},
                              "drop");
  });
  return 0;
}
