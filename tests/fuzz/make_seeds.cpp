// Makes the HDF5 seeds: make_seeds FOLDER writes FOLDER/{data,kernel,resume,spectrum}/*.
#include <nlohmann/json.hpp>

#include "data/hdf5_writer.hpp"
#include "fuzz_target.hpp"
#include "kernel_spec.hpp"
#include "parallel/mpi.hpp"
#include "spectrum/spectrum_file.hpp"
#include "store/kernel_layout.hpp"

namespace {

using namespace ntk;
namespace fs = std::filesystem;
namespace h5 = store::h5;

// Copies everything into a new file without the room for more that ours have in metadata.
void compact(const std::string& from, const std::string& to) {
  const h5::Handle source = h5::open_file(from);
  const h5::Handle small(H5Pcreate(H5P_FILE_CREATE), H5Pclose, "make a property list");
  h5::check(H5Pset_sym_k(small, 1, 1), "choose small nodes of groups");
  const h5::Handle target(H5Fcreate(to.c_str(), H5F_ACC_TRUNC, small, H5P_DEFAULT), H5Fclose,
                          "create " + to);
  for (const auto& [path, dataset] : h5::objects(source)) {
    if (path.find('/') != std::string::npos) continue;  // copied with its group
    h5::check(H5Ocopy(source, path.c_str(), target, path.c_str(), H5P_DEFAULT, H5P_DEFAULT),
              "copy " + path);
  }
  const nlohmann::json attributes = h5::read_attributes(source);
  for (const auto& [name, value] : attributes.items()) {
    h5::write_attribute(target, name, value);
  }
}

void data_seeds(const std::string& folder) {
  {
    test::Hdf5Writer file(folder + "/classes");
    file.put<std::int32_t>("tokens", {1, 2, 3, 4, 5, 6});
    file.put<std::int64_t>("offsets", {0, 2, 3, 6});
    file.put<std::int32_t>("token_type", {0, 1, 0, 0, 0, 1});
    file.put<std::int32_t>("label", {1, 0, 1});
    file.put_texts("label", "classes", {"no", "yes"});
    file.put<std::int64_t>("group", {0, 0, 1});
    file.put<std::int64_t>("source_row", {3, 1, 2});
  }
  {
    test::Hdf5Writer file(folder + "/targets");
    file.put_chunked<std::int32_t>("tokens", std::vector<std::int32_t>(1500, 7), 1500, true);
    file.put<std::int64_t>("offsets", {0, 700, 1500});
    file.put<double>("target", {0.5, -1, 2, 0.25}, 2);
    file.put<float>("reference", {0.25f, 0.5f});
    file.put<double>("reference_variance", {0, 1});
    file.put<double>("noise_variance", {0.1, 0.2});
  }
}

void spectrum_seed(const std::string& folder) {
  const h5::Handle file = h5::create_file(folder + "/reusable");
  h5::write(file, "/total/raw/eigenvalues", std::vector<double>{2, 1});
  h5::write(file, "/total/raw/eigenvectors", std::vector<double>{1, 0, 0, 1}, {2, 2});
  const nlohmann::json attributes = {{"format", spectrum::spectrum_format},
                                     {"format_version", spectrum::spectrum_format_version},
                                     {"fingerprint", "fingerprint"},
                                     {"projections", 1},
                                     {"result", R"({"total":{"raw":{"n":2,"trace":1.5}}})"},
                                     {"complete", 1}};
  for (const auto& [name, value] : attributes.items()) h5::write_attribute(file, name, value);
}

// Of the smaller kernel and of the grown one: unfinished. Of the grown one: complete.
void kernel_seeds(const std::string& seeds) {
  for (const bool grown : {false, true}) {
    const test::TemporaryFolder scratch;
    const store::KernelSpec spec = fuzz::kernel_spec(grown);
    const auto go_on = [&](bool all) {
      store::KernelWriter writer(MPI_COMM_SELF, scratch.path(), spec);
      for (const auto& unit : fuzz::units_of(spec)) {
        if ((all || unit.range == 0) && !writer.done(unit)) {
          writer.write(unit, fuzz::tile_data(spec, unit));
        }
      }
      if (all) writer.finish(false, {{0}, 1e-9, 1, 1e-9}, {});
    };
    go_on(false);
    compact(scratch.path() + "/kernel.h5.partial",
            seeds + "/resume/" + (grown ? "unfinished" : "smaller"));
    go_on(true);
    if (grown) compact(scratch.path() + "/kernel.h5", seeds + "/kernel/lower");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const parallel::ScopedMpi mpi(&argc, &argv);
  if (argc != 2) return 2;
  const std::string seeds = argv[1];
  for (const char* target : {"data", "kernel", "resume", "spectrum"}) {
    fs::create_directories(seeds + "/" + target);
  }
  data_seeds(seeds + "/data");
  kernel_seeds(seeds);
  spectrum_seed(seeds + "/spectrum");
  return 0;
}
