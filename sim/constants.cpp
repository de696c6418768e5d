#include "sim/constants.hpp"

namespace dsllm::sim {

const Constants& constants() {
  static const Constants fitted;
  return fitted;
}

}  // namespace dsllm::sim
