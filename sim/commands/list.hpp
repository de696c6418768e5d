// The models and GPUs that a scenario can name.
#pragma once

#include <ostream>

namespace dsllm::sim {

struct ListOptions {
  bool json = false;
};

void models_command(const ListOptions& options, std::ostream& out);
void gpus_command(const ListOptions& options, std::ostream& out);

}  // namespace dsllm::sim
