// Input: a kernel.h5.partial that a job finds in its run directory. Whatever it holds, it is
// refused, or gone on with and finished; a finished file must then be readable and complete.
#include "fuzz_target.hpp"
#include "kernel_spec.hpp"
#include "parallel/mpi.hpp"

namespace {

void go_on(const std::string& directory) {
  using namespace ntk;
  static const store::KernelSpec spec = fuzz::kernel_spec();
  store::KernelWriter writer(MPI_COMM_SELF, directory, spec);
  for (const auto& unit : fuzz::units_of(spec)) {
    if (!writer.done(unit)) writer.write(unit, fuzz::tile_data(spec, unit));
  }
  writer.read_total(0);
  writer.finish(true, {{0}, 1e-9, 1, 1e-9}, {});
  store::KernelReader(directory + "/kernel.h5");
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);  // no daemon beside each process
  // Never ended: under libFuzzer's -fork that would wait two minutes.
  [[maybe_unused]] static const auto* mpi = new ntk::parallel::ScopedMpi(argc, argv);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace ntk;
  fuzz::folder().clear();
  fuzz::folder().write("kernel.h5.partial", fuzz::text(bytes, size));
  fuzz::expect_result_or_error([] { go_on(fuzz::folder().path()); });
  return 0;
}
