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
  warp.done_[rank] = true;
  _longjmp(warp.scheduler_, 1);
}

void FakeWarp::run(const std::function<void(int)>& body) {
  body_ = &body;
  entering = this;
  for (int i = 0; i < warp_size; ++i) done_[i] = started_[i] = false;
  for (int done = 0; done < warp_size;) {
    done = 0;
    for (current_ = 0; current_ < warp_size; ++current_) {
      if (!done_[current_]) resume();
      done += done_[current_] ? 1 : 0;
    }
    if (done != 0 && done != warp_size) {
      throw std::logic_error("threads of a warp do not come to the same barriers");
    }
  }
}

void FakeWarp::resume() {
  if (_setjmp(scheduler_) != 0) return;  // the fiber came to a barrier or to its end
  if (started_[current_]) _longjmp(waiting_[current_], 1);
  started_[current_] = true;
  ucontext_t& fiber = fibers_[current_];
  getcontext(&fiber);
  fiber.uc_stack.ss_sp = stacks_[static_cast<std::size_t>(current_)].get();
  fiber.uc_stack.ss_size = stack_bytes;
  fiber.uc_link = nullptr;
  makecontext(&fiber, &FakeWarp::enter, 0);
  setcontext(&fiber);
}

void FakeWarp::barrier() {
  if (_setjmp(waiting_[current_]) == 0) _longjmp(scheduler_, 1);
}

}  // namespace ntk::device::cuda
