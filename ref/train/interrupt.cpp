#include "ref/train/interrupt.hpp"

namespace dsllm {
namespace {

volatile std::sig_atomic_t signaled = 0;

extern "C" void note_signal(int) {
  signaled = 1;
}

}  // namespace

Interrupt::Interrupt() {
  signaled = 0;
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);  // the second one is not caught
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &before_int_);
  ::sigaction(SIGTERM, &action, &before_term_);
}

Interrupt::~Interrupt() {
  ::sigaction(SIGINT, &before_int_, nullptr);
  ::sigaction(SIGTERM, &before_term_, nullptr);
}

bool Interrupt::requested() {
  return signaled != 0;
}

}  // namespace dsllm
