// A probe head for a kernel job: features over all ranks, the fit on the first.
#pragma once

#include "kernel/probe_head.hpp"

namespace ntk::app {

// The fit for kernel::KernelRequest: on the CPU in fp32 features and an fp64 fit, whatever the
// kernel's device and precision, by `threads` threads a rank. The same bits on any number of ranks
// and threads.
kernel::HeadFit probe_fit(int threads);

}  // namespace ntk::app
