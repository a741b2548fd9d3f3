// The linear map from features to outputs, f = W phi + b, and where it comes from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/safetensors.hpp"

namespace ntk::model {

struct Head {
  std::int64_t outputs = 0;   // C
  std::vector<float> weight;  // (C, hidden)
  std::vector<float> bias;    // (C)
  std::string record{};       // JSON text: how it was fitted; empty for one that was not
};

// Weights normal with standard deviation `std` from a generator of our own (the same numbers with
// every standard library), bias 0.
Head random_head(std::int64_t outputs, std::int64_t hidden, double std, std::int64_t seed);

// A .safetensors file with `weight` [C, hidden] and `bias` [C], and the record in its metadata
// under "probe"; Error(input) for other shapes.
Head read_head(const std::string& path, std::int64_t hidden);

// Writes it in the form that read_head reads.
void write_head(const std::string& path, const Head& head, std::int64_t hidden);

}  // namespace ntk::model
