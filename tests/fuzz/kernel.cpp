// Input: a complete kernel.h5. Everything that the spectrum and theory stages read is read.
#include "fuzz_target.hpp"
#include "store/kernel_file.hpp"

namespace {

// The largest block of a matrix that is read: as callers do, memory is taken for the shape.
constexpr std::int64_t largest_side = 64;

void read_all(const std::string& path) {
  using namespace ntk;
  const store::KernelReader reader(path);
  fuzz::expect_result_or_error([&] { reader.attributes(); });
  fuzz::expect_result_or_error([&] { reader.error(); });
  const std::int64_t side = std::min(reader.order(), largest_side);
  std::vector<std::string> matrices = reader.groups();
  matrices.push_back("total");
  std::vector<double> block(static_cast<std::size_t>(side * side));
  for (const auto& matrix : matrices) {
    fuzz::expect_result_or_error(
        [&] { reader.read_block(matrix, 0, 0, side, side, block.data()); });
    fuzz::expect_result_or_error([&] {
      const std::int64_t last = reader.order() - side;
      reader.read_block(matrix, last, last, side, side, block.data());
    });
  }
  std::vector<std::string> sets = reader.evaluate_sets();
  sets.push_back("");
  for (const auto& set : sets) {
    fuzz::expect_result_or_error([&] { reader.samples(set); });
    fuzz::expect_result_or_error([&] { reader.outputs(set); });
    for (const auto& matrix : matrices) {
      if (set.empty()) continue;
      fuzz::expect_result_or_error([&] {
        const std::int64_t rows = std::min(reader.evaluate_rows(set), largest_side);
        reader.read_evaluate_block(set, matrix, 0, 0, rows, side, block.data());
      });
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace ntk;
  const std::string path = fuzz::folder().write("kernel.h5", fuzz::text(bytes, size));
  fuzz::expect_result_or_error([&] { read_all(path); });
  return 0;
}
