// Input: values for --set, one a line, up to a line "---", then a job file. A job that is accepted
// must survive being written and read again.
#include "base/job.hpp"

#include <vector>

#include "fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace ntk;
  std::string_view file = fuzz::text(bytes, size);
  std::vector<std::string> overrides;
  if (const auto rule = file.find("---\n"); rule != std::string_view::npos) {
    for (std::size_t from = 0; from < rule;) {
      const std::size_t to = std::min(file.find('\n', from), rule);
      overrides.emplace_back(file.substr(from, to - from));
      from = to + 1;
    }
    file.remove_prefix(rule + 4);
  }
  fuzz::expect_result_or_error([&] {
    const Job job = read_job(fuzz::folder().write("job.toml", file), overrides);
    const std::string resolved = to_toml(job);
    const Job again = read_job(fuzz::folder().write("run.toml", resolved), {});
    fuzz::check(to_toml(again) == resolved, "a job that changes when it is written and read");
  });
  return 0;
}
