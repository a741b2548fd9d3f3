// The named reduced precisions on a CPU, for tests: operands in the formats of
// device/kernels/operand.hpp, multiplied term by term as the CUDA backend has cuBLAS do it, with
// sums that are cut like those of tensor cores. Everything else is the CPU backend's.
#pragma once

#include "device/cpu/cpu_backend.hpp"
#include "device/precision.hpp"
#include "support/truncating_product.hpp"

namespace ntk::test {

class EmulatedBackend final : public device::cpu::CpuBackend<float> {
 public:
  EmulatedBackend(device::Precision precision, int threads, const TensorCore& core = ampere)
      : CpuBackend(threads, 0), precision_(precision), core_(core) {}

  std::int64_t operand_bytes(std::int64_t rows, std::int64_t columns) const override;
  void form(const device::FactorView<float>& f, int copies, std::int64_t inputs,
            std::int64_t outputs, std::int64_t first, std::int64_t count,
            const device::Operands& to, int slot) override;
  void put_rows(std::int64_t rows, const float* x, const device::Operands& to, int slot) override;
  void contract(const device::Operands& operands, std::span<const Product> products) override;
  void contract_structured(std::span<const StructuredBlock> blocks, int copies, std::int64_t inputs,
                           std::int64_t outputs, std::int64_t p_stride, std::int64_t q_stride,
                           bool class_diagonal) override;

 private:
  device::Precision precision_;
  TensorCore core_;
};

}  // namespace ntk::test
