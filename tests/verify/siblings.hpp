// The other builds of this program: dsllm-verify-inspect and dsllm-verify-device, in the same folder.
#pragma once

#include <string>
#include <vector>

namespace dsllm::tests {

// The path of a program beside this one, or "" if there is none.
std::string sibling(const std::string& name);

// Becomes that program. Throws Error if it cannot be started.
[[noreturn]] void become(const std::string& path, char** arguments);

struct Finished {
  int code = 0;  // exit status, or 128 + the signal that ended it
  std::string out;
};
// Runs it to the end; its standard error is ours. Throws Error if it cannot be started.
Finished run_program(const std::string& path, const std::vector<std::string>& arguments);

}  // namespace dsllm::tests
