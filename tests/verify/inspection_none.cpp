// In programs whose kernels are not compiled for the inspector.
#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "tests/verify/inspection.hpp"

namespace dsllm::tests {

bool can_inspect() {
  return false;
}

static void refuse() {
  throw Error("--inspect", "kernels that are compiled for the inspector", "others");
}

void check_inspection(const InspectionOptions&) {
  refuse();
}

void begin_inspection() {
  refuse();
}

std::string end_inspection() {
  refuse();
  return {};
}

Profile profile(const Pair&, const Candidate&, const InspectionOptions&) {
  refuse();
  return {};
}

}  // namespace dsllm::tests
