#include "spectrum/spectrum_file.hpp"

#include <filesystem>

#include "base/log.hpp"
#include "base/sha256.hpp"
#include "store/disk.hpp"

namespace ntk::spectrum {

namespace h5 = store::h5;

std::string fingerprint(const Job::Spectrum& options, const store::KernelReader& kernel,
                        const std::string& kernel_path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(kernel_path, error);
  const auto time = std::filesystem::last_write_time(kernel_path, error).time_since_epoch().count();
  const nlohmann::json inputs = {{"version", spectrum_format_version},
                                 {"method", options.method},
                                 {"centre", options.centre},
                                 {"vectors", options.vectors},
                                 {"leading", options.leading},
                                 {"kernels", options.kernels},
                                 {"kernel", kernel.attributes()},
                                 {"bytes", size},
                                 {"modified", time}};
  return sha256_text(inputs.dump());
}

std::optional<nlohmann::json> stored_result(const std::string& path, const std::string& fingerprint,
                                            bool projections, const std::string& labels) {
  if (!store::file_exists(path)) return std::nullopt;
  try {
    const h5::Handle file = h5::open_file(path);
    const auto is = [&](const char* name, const nlohmann::json& value) {
      return h5::has_attribute(file, name) && h5::read_attribute(file, name) == value;
    };
    if (!is("format", spectrum_format) || !is("complete", 1) || !is("fingerprint", fingerprint) ||
        !(is("projections", 1) || !projections) || !(labels.empty() || is("labels", labels))) {
      return std::nullopt;
    }
    nlohmann::json result = nlohmann::json::parse(h5::read_text(file, "result"));
    result["reused"] = true;
    return result;
  } catch (const std::exception& error) {
    log::warn("{} cannot be used and is made again ({})", path, error.what());
    return std::nullopt;
  }
}

SpectrumFile::SpectrumFile(const std::string& path)
    : path_(path), partial_(path + ".partial"), file_(h5::create_file(partial_)) {}

void SpectrumFile::finish(const store::KernelReader& kernel, const std::string& fingerprint,
                          bool projections, const std::string& labels,
                          const nlohmann::json& result) {
  const nlohmann::json attributes = kernel.attributes();
  h5::write_attribute(file_, "format", spectrum_format);
  h5::write_attribute(file_, "format_version", spectrum_format_version);
  h5::write_attribute(file_, "kernel_identity",
                      attributes.contains("identity") ? attributes["identity"] : attributes);
  h5::write_attribute(file_, "fingerprint", fingerprint);
  h5::write_attribute(file_, "projections", projections ? 1 : 0);
  h5::write_attribute(file_, "labels", labels);
  h5::write_attribute(file_, "result", result.dump());
  h5::write_attribute(file_, "complete", 1);
  h5::check(H5Fflush(file_, H5F_SCOPE_GLOBAL), "write " + partial_);
  file_.close("close " + partial_);
  store::sync_path(partial_);
  store::rename_durably(partial_, path_);
}

}  // namespace ntk::spectrum
