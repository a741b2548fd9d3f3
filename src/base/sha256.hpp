// SHA-256 of files and bytes, as 64 lower-case hexadecimal digits.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace ntk {

// Accumulates bytes. Throws Error(internal) when the library fails.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  std::string hex();  // ends the accumulation: call once

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256_text(std::string_view text);

// Reads the file in pieces. Throws Error(input) when there is none, Error(io) when reading fails.
std::string sha256_file(const std::string& path);

}  // namespace ntk
