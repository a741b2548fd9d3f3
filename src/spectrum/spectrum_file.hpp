// spectrum.h5 on the rank that writes it, and the question whether there is one already.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/job.hpp"
#include "store/hdf5.hpp"
#include "store/kernel_file.hpp"

namespace ntk::spectrum {

inline constexpr const char* spectrum_format = "ntkspectra-spectrum";
inline constexpr std::int64_t spectrum_format_version = 2;

// Digest of all that a spectrum file follows from: options, the kernel's identity, and the kernel
// file's size and time of modification.
std::string fingerprint(const Job::Spectrum& options, const store::KernelReader& kernel,
                        const std::string& kernel_path);

// The stage's result as stored in a complete file with this fingerprint (and with projections, if
// needed, and with those of the given labels of this mark, if it has any); nothing when there is no
// such file or it cannot be read.
std::optional<nlohmann::json> stored_result(const std::string& path, const std::string& fingerprint,
                                            bool projections, const std::string& labels = "");

// Written under PATH.partial; `finish` syncs it and gives it its name.
class SpectrumFile {
 public:
  explicit SpectrumFile(const std::string& path);
  hid_t id() const { return file_; }
  // Root attributes: format, version, kernel identity, fingerprint, the mark of given labels
  // (or nothing), the stage's result, complete.
  void finish(const store::KernelReader& kernel, const std::string& fingerprint, bool projections,
              const std::string& labels, const nlohmann::json& result);

 private:
  std::string path_, partial_;
  store::h5::Handle file_;
};

}  // namespace ntk::spectrum
