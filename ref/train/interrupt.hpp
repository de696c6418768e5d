// Ctrl-C and SIGTERM as a question that a loop can ask, so that it stops at a good moment.
#pragma once

#include <csignal>

namespace dsllm {

// While one of these lives, the first SIGINT or SIGTERM only makes requested() true; a second one ends the process as
// usual. One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();  // restores what was before
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  static bool requested();

 private:
  struct sigaction before_int_ {
  }, before_term_{};
};

}  // namespace dsllm
