// Reads the committed autograd fixtures (tests/fixtures/README.md) as inputs of the kernel stage.
#pragma once

#include <string>
#include <vector>

#include "kernel/panels.hpp"
#include "model/model.hpp"
#include "store/hdf5.hpp"
#include "support/files.hpp"

namespace ntk::test {

class Fixture {
 public:
  explicit Fixture(const std::string& name)
      : name_(name), file_(store::h5::open_file(fixtures() + "/kernels/" + name + ".h5")) {}

  bool has(const std::string& path) const { return store::h5::exists(file_, path); }
  template <class T>
  std::vector<T> read(const std::string& path) const {
    return store::h5::Dataset(file_, path).read_all<T>();
  }
  std::string text(const std::string& attribute) const {
    return store::h5::read_attribute(file_, attribute).get<std::string>();
  }
  std::vector<std::string> groups() const {
    const std::string parent = "kernel/groups/";
    std::vector<std::string> names;
    for (const auto& object : store::h5::objects(file_)) {
      if (object.path.starts_with(parent)) names.push_back(object.path.substr(parent.size()));
    }
    return names;
  }

  // The samples of the training list, or of the second list.
  kernel::SampleSet samples(bool evaluate = false) const {
    const std::string prefix = evaluate ? "evaluate_" : "";
    kernel::SampleSet set;
    set.name = evaluate ? "second" : "";
    set.tokens.tokens = read<std::int32_t>(prefix + "tokens");
    set.tokens.offsets = read<std::int64_t>(prefix + "offsets");
    set.tokens.types = has(prefix + "token_type")
                           ? read<std::int32_t>(prefix + "token_type")
                           : std::vector<std::int32_t>(set.tokens.tokens.size(), 0);
    return set;
  }

  model::ModelDescription model() const {
    model::ModelDescription d;
    d.path = fixtures() + "/models/" + text("model");
    d.config = model::read_config(d.path);
    d.checkpoint = std::make_shared<model::Checkpoint>(d.path);
    d.choices.pooling = text("pooling") == "mean" ? model::Pooling::mean : model::Pooling::cls;
    d.choices.own_head = text("head") == "checkpoint";
    if (!d.choices.own_head) {
      d.head = model::read_head(fixtures() + "/kernels/" + name_ + ".head.safetensors",
                                d.config.hidden_size);
      d.choices.outputs = d.head.outputs;
    }
    d.architecture = model::make_architecture(d.config, *d.checkpoint, d.choices);
    model::select_parameters(d.architecture, {"*"}, {});
    return d;
  }

 private:
  std::string name_;
  store::h5::Handle file_;
};

}  // namespace ntk::test
