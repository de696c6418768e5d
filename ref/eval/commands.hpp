// dsllm-ref generate, as a function.
#pragma once

#include <ostream>
#include <string>

#include "ref/eval/generate.hpp"

namespace dsllm {

struct GenerateOptions {
  std::string model;  // a folder in Hugging Face form, with tokenizer.json
  std::string prompt;
  SampleSettings sample;
};
// Prints the prompt and what follows it, piece by piece and never half a character; a line with the speed goes to
// messages. Stops at the end-of-sentence token. Throws FileError, ValueError.
void generate_command(const GenerateOptions& options, std::ostream& out, std::ostream& messages);

}  // namespace dsllm
