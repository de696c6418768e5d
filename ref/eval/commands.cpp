#include "ref/eval/commands.hpp"

#include <fmt/format.h>

#include <chrono>

#include "ref/core/error.hpp"
#include "ref/model/eigen_engine.hpp"
#include "ref/tokenizer/stream_decoder.hpp"
#include "ref/tokenizer/tokenizer_json.hpp"

namespace dsllm {

void generate_command(const GenerateOptions& options, std::ostream& out, std::ostream& messages) {
  options.sample.validate();
  const ref::Tokenizer tokenizer = ref::read_tokenizer_json(options.model + "/tokenizer.json");
  const std::vector<int32_t> prompt =
      tokenizer.encode(options.prompt, {.add_bos = tokenizer.bos().has_value()});
  const int64_t needed = static_cast<int64_t>(prompt.size()) + options.sample.max_tokens;
  const std::unique_ptr<TextEngine> engine = ref::open_text_engine(options.model, needed);
  if (static_cast<int64_t>(prompt.size()) > engine->config().seq_len)
    throw ValueError("generate", fmt::format("a prompt of at most {} tokens", engine->config().seq_len),
                     fmt::to_string(prompt.size()));
  if (tokenizer.size() > engine->config().vocab_size)
    throw ValueError("generate", fmt::format("a tokenizer of at most {} ids", engine->config().vocab_size),
                     fmt::to_string(tokenizer.size()));

  std::vector<int32_t> stop;
  if (tokenizer.eos()) stop.push_back(*tokenizer.eos());
  ref::StreamDecoder text(tokenizer);
  out << options.prompt << std::flush;
  const auto start = std::chrono::steady_clock::now();
  const std::vector<int32_t> written = generate(*engine, prompt, options.sample, stop, [&](int32_t id) {
    // Rows of the embedding beyond the tokenizer's ids pad it to a round size; a trained model never chooses them.
    if (id < tokenizer.size()) out << text.push(id) << std::flush;
    return out.good();
  });
  out << text.finish() << "\n" << std::flush;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  messages << fmt::format("{} tokens of prompt, {} written, {:.1f} tokens/s\n", prompt.size(), written.size(),
                          static_cast<double>(prompt.size() + written.size()) / seconds.count());
}

}  // namespace dsllm
