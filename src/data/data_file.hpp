// Data files: tokenised samples with their labels, made by jobs/prepare_data.py. Layout in
// docs/file-format.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ntk::data {

// Optional members are empty when the file has no such dataset. Everything is in file order.
struct DataFile {
  std::string path;
  std::string sha256;  // of the file
  std::int64_t rows = 0;

  bool has_tokens = false;
  std::vector<std::int32_t> tokens;  // all samples' tokens, one after the other
  std::vector<std::int64_t> offsets{
      0};  // (rows + 1): row i has tokens [offsets[i], offsets[i + 1])
  std::vector<std::int32_t> token_type;  // optional, like tokens

  // Labels: either classes, or real-valued targets.
  std::vector<std::int32_t> label;   // (rows) in [0, classes)
  std::vector<std::string> classes;  // names
  std::vector<double> target;        // (rows, target_sets) row-major: label sets for one output
  std::int64_t target_sets = 0;
  std::vector<std::string> target_names;  // (target_sets), distinct; optional

  std::vector<double> reference;           // optional (rows): what a label would be without noise
  std::vector<double> reference_variance;  // optional (rows): variance of the reference
  // Optional (rows, noise_sets) row-major: variance of a label about it. noise_sets is 1, the same
  // variances for all label sets, or target_sets, each its own.
  std::vector<double> noise_variance;
  std::int64_t noise_sets = 1;
  std::vector<std::int64_t> group;       // optional (rows): never split between train and test
  std::vector<std::int32_t> task;        // optional (rows) in [0, tasks)
  std::vector<std::string> tasks;        // names
  std::vector<std::int64_t> source_row;  // (rows), distinct; 0 ... rows-1 when the file has none
  bool has_source_row = false;

  std::int64_t length(std::int64_t row) const {
    const auto i = static_cast<std::size_t>(row);
    return offsets[i + 1] - offsets[i];
  }
  std::vector<std::int64_t> lengths() const;  // of every row, in tokens
  // C: the number of classes, or 1 for targets.
  std::int64_t outputs() const {
    return classes.empty() ? 1 : static_cast<std::int64_t>(classes.size());
  }
};

// Whether a file must have tokens.
enum class Tokens { required, optional };

// Reads and checks a data file. Throws Error(input), naming row and source row where there is one:
// no file, not HDF5, wrong rank, type or length of a dataset, no row, an empty sample, a negative
// token, a label outside the classes, a value that is not finite, a source row twice.
DataFile read_data(const std::string& path, Tokens tokens = Tokens::required);

// What a model can take.
struct ModelLimits {
  std::int64_t vocab_size = 0, type_vocab_size = 0;
  std::int64_t max_tokens = 0;
  std::int64_t pad_token_id = 0;
};

// The rows that the model can run, in file order. Samples of more than `max_tokens` tokens are an
// error when `overlong` is "refuse", left out and said when it is "drop". Throws Error(input) for
// token ids at or beyond `vocab_size`, token types at or beyond `type_vocab_size`, padding at the
// end of a sample, no row left.
std::vector<std::int64_t> check_against_model(const DataFile& data, const ModelLimits& model,
                                              const std::string& overlong);

}  // namespace ntk::data
