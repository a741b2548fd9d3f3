// Symmetric eigenproblems in fp64 on one GPU (cuSOLVER's divide and conquer). Built without CUDA,
// everything here that needs a device is Error(resources).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ntk::device {

// Bytes that a solve takes beside the host's matrix and vectors.
struct EigenMemory {
  std::size_t device = 0;  // matrix, eigenvalues, workspace
  std::size_t host = 0;    // workspace
};

// Asks cuSOLVER. Throws Error(resources) for a device that cannot be used, and for an order that
// cuSOLVER refuses (before CUDA 13 it counts the workspace in 32 bits: about 26,000 with vectors).
EigenMemory cuda_eigen_memory(int device, std::int64_t order, bool vectors);

// Ascending eigenvalues of the symmetric matrix of which `matrix` holds at least the lower triangle
// (host, column-major, leading dimension `ld`). Column k of `vectors` becomes the unit eigenvector
// of value k; same layout, may be `matrix` itself, null = values only. Entries must be finite.
// Throws Error(resources) naming call, device and host for whatever the device refuses, and
// Error(numerical) with cuSOLVER's info where it does not converge.
std::vector<double> cuda_eigen(int device, std::int64_t order, const double* matrix,
                               std::int64_t ld, double* vectors);

std::string cuda_eigen_version();  // "cuSOLVER 12.0.4"

}  // namespace ntk::device
