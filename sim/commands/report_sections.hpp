// The parts of a report that follow from the scenario alone: the model's parameters and FLOPs, the memory of every stage,
// and what a whole training takes.
#pragma once

#include <cstdint>
#include <ostream>
#include <vector>

#include "ref/core/json.hpp"
#include "sim/memory.hpp"
#include "sim/scenario.hpp"

namespace dsllm::sim {

void print_model(std::ostream& out, const Model& model);
Json model_json(const Model& model);

// rows[s]: what a rank of stage s needs at most.
void print_memory(std::ostream& out, const Scenario& scenario, const Machine& machine,
                  const std::vector<RankMemory>& rows);
Json memory_json(const Machine& machine, const std::vector<RankMemory>& rows);

// The trained model at work on one group of tp GPUs: its weights in two bytes, and how many sequences' keys and values fit
// beside them.
struct Generation {
  double weight_bytes = 0;           // of a rank
  double cache_bytes_per_token = 0;  // of a rank
  int64_t sequences = 0;             // of seq_len tokens
};
Generation generation_of(const Scenario& scenario, const Machine& machine);
void print_generation(std::ostream& out, const Scenario& scenario, const Generation& generation);
Json generation_json(const Generation& generation);

// What one micro-batch leaves in one layer of a rank, tensor by tensor, and until when.
void print_activations(std::ostream& out, const Scenario& scenario);
Json activations_json(const Scenario& scenario);

// A training of `tokens` tokens at step_s a step.
struct Training {
  double tokens = 0, steps = 0, seconds = 0, gpu_hours = 0, cost = 0;
};
Training training_of(const Scenario& scenario, double step_s, double tokens, double price_per_gpu_hour);
void print_training(std::ostream& out, const Scenario& scenario, const Training& training,
                    double price_per_gpu_hour);
Json training_json(const Training& training);

}  // namespace dsllm::sim
