// The scenarios that a row of a table allows: one where the row says everything, and otherwise all that the empty cells
// leave open.
#pragma once

#include <string>
#include <vector>

#include "sim/validate/table.hpp"

namespace dsllm::sim {

struct Choices {
  std::vector<Scenario> scenarios;  // checked; empty if there is none, and then
  std::string reason;               // says why
  std::vector<std::string>
      searched;  // cells that were empty and are choices of the layout: all values are tried
  std::vector<std::string>
      assumed;  // cells that were empty and are not, with what is taken: "vocab_size = 51200"
};

// Searched, if empty: dp, tp, pp, interleave and schedule (1F1B and interleaved 1F1B, which programs run if nothing
// else is said), zero (0 to 2, with a pipeline 0 and 1: a program that divides the weights too is named after it),
// micro_batch, recompute, sp.
// Assumed, if empty: n_kv_heads = n_heads; d_ff = 4 d_model; gated if d_ff is not 4 d_model; tied = 0;
// vocab_size = 51200; gpus = dp tp pp cp; gpus_per_node of the GPU; cp = 1; precision = bf16.
// Without n_layers, d_model, n_heads, seq_len, gpu, gpus or global_batch nothing can be predicted.
//
// What makes no difference is brought into one form: sp without tp, chunks and schedules without a pipeline, and 1F1B
// with several chunks, which is the interleaved schedule.
Choices choices_of(const Measurement& row);

// How a program of the row's kind keeps its numbers; the format has no cells for that. GPT's layers (gated = 0) on GPUs
// up to the A100, except under ZeRO 3, are taken as Megatron-LM's of 2021 to 2023: scores and the masks of dropout are
// stored, and gradients are reduced after the last backward pass (as Korthikanti et al. 2022 say of theirs). All
// others use flash attention and no dropout, and reduce gradients during the last backward pass. Llama's layers (gated = 1)
// on GPUs from the H100 on are taken as an eager program's, whose products do not overlap with collectives of tp: the
// only such table that there was to tune on is nanotron's. Under ZeRO 3 the loss is fused with its gradient, as
// llm-foundry's is; all others keep their logits in fp32 beside it.
Recipe recipe_of(const Measurement& row, const Model& model);

}  // namespace dsllm::sim
