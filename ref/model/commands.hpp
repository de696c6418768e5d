// dsllm-ref params and dsllm-ref logits, as functions.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "ref/core/config.hpp"

namespace dsllm {

struct ParamsOptions {
  std::string preset, config_file;  // exactly one of them
  bool json = false;
};
// Prints a table of the parameters, total last; or one JSON object. Throws UsageError, FileError, ConfigError.
void params_command(const ParamsOptions& options, std::ostream& out);

struct LogitsOptions {
  std::string model;         // a folder in Hugging Face form
  std::vector<int32_t> ids;  // a text that begins at position 0
  std::string out;  // .npy [ids, vocab_size], float32: row t are the logits of the token after ids[t]
};
// Throws FileError, ValueError.
void logits_command(const LogitsOptions& options, std::ostream& messages);

// The model of a config file: the object itself, its field "model" (as `pretrain` reads it), or a Hugging Face
// config.json, known by its field "hidden_size".
ModelConfig read_model_config(const std::string& path);

}  // namespace dsllm
