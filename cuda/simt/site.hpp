// Where in a kernel something is called. CUDA's own names take no such argument, so it comes as a default one, which the
// compiler fills in at the place of the call.
#pragma once

#include <cstdint>
#include <cstring>

namespace dsllm::cuda::simt {

struct Site {
  const char* file = "";
  int64_t line = 0;
};

inline bool same_place(Site a, Site b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

}  // namespace dsllm::cuda::simt

// Two parameters at the end of a function that wants to know its caller, and the Site made of them.
#define SIMT_CALLER const char *caller_file = __builtin_FILE(), int caller_line = __builtin_LINE()
#define SIMT_SITE             \
  ::dsllm::cuda::simt::Site { \
    caller_file, caller_line  \
  }
