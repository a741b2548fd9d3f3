#include "device/cuda/launch.hpp"

namespace ntk::device::cuda {
namespace {
constexpr std::size_t stack_bytes = 128 << 10;
}

FakeWarp* FakeWarp::entering = nullptr;

FakeWarp& fake_warp() {
  static FakeWarp warp;
  return warp;
}

FakeWarp::FakeWarp() {
  for (int i = 0; i < warp_size; ++i) stacks_.push_back(std::make_unique<char[]>(stack_bytes));
}

void FakeWarp::enter() {
  FakeWarp& warp = *entering;
  const int rank = warp.current_;
  (*warp.body_)(rank);
  warp.done_[rank] = true;  // and on to uc_link, the scheduler
}

void FakeWarp::run(const std::function<void(int)>& body) {
  body_ = &body;
  entering = this;
  for (int i = 0; i < warp_size; ++i) {
    done_[i] = false;
    getcontext(&fibers_[i]);
    fibers_[i].uc_stack.ss_sp = stacks_[static_cast<std::size_t>(i)].get();
    fibers_[i].uc_stack.ss_size = stack_bytes;
    fibers_[i].uc_link = &scheduler_;
    makecontext(&fibers_[i], &FakeWarp::enter, 0);
  }
  for (int done = 0; done < warp_size;) {
    done = 0;
    for (current_ = 0; current_ < warp_size; ++current_) {
      if (!done_[current_]) swapcontext(&scheduler_, &fibers_[current_]);
      done += done_[current_] ? 1 : 0;
    }
    if (done != 0 && done != warp_size) {
      throw std::logic_error("threads of a warp do not come to the same barriers");
    }
  }
}

void FakeWarp::barrier() {
  swapcontext(&fibers_[current_], &scheduler_);
}

}  // namespace ntk::device::cuda
