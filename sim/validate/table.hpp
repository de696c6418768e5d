// Tables of measured training runs: a CSV file, one run a row. An empty cell means that its source does not say.
//
//     name,n_layers,d_model,n_heads,n_kv_heads,d_ff,gated,tied,vocab_size,seq_len,gpu,gpus,gpus_per_node,dp,tp,pp,cp,
//     interleave,schedule,zero,micro_batch,global_batch,recompute,sp,precision,measured_step_time_s,
//     measured_memory_bytes,oom
//
// The columns may stand in any order; all must be there, and no other. Cells may be quoted ("" is a quote), lines may end
// with CR LF, and empty lines and lines that begin with '#' are skipped. gated, tied, sp and oom are 0 or 1 (or false and
// true); whole numbers may be written as 8.0. Batches count sequences.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/scenario.hpp"

namespace dsllm::sim {

struct Measurement {
  int64_t line = 0;  // of the file, from 1
  std::string name;

  std::optional<int64_t> n_layers, d_model, n_heads, n_kv_heads, d_ff;
  std::optional<bool> gated, tied;
  std::optional<int64_t> vocab_size, seq_len;

  std::optional<std::string> gpu;  // a name of ref/core/gpu.hpp
  std::optional<int64_t> gpus, gpus_per_node;

  std::optional<int64_t> dp, tp, pp, cp, interleave;
  std::optional<ScheduleKind> schedule;
  std::optional<int64_t> zero, micro_batch, global_batch;
  std::optional<Recompute> recompute;
  std::optional<bool> sp;
  std::optional<std::string> precision;  // bf16, fp16, fp8

  std::optional<double> measured_step_time_s;
  std::optional<double> measured_memory_bytes;  // the most that a rank held
  std::optional<bool> oom;                      // the run ended for want of memory
};

// Throws FileError naming the file, the line, the column, the rule and what stands there.
std::vector<Measurement> parse_table(std::string_view text, const std::string& path);
std::vector<Measurement> read_table(const std::string& path);

// The name in ref/core/gpu.hpp of a GPU as tables write it ("H100-SXM", "a100_40gb"), or nothing.
std::optional<std::string> gpu_from_table(std::string_view name);

}  // namespace dsllm::sim
