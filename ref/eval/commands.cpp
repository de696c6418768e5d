#include "ref/eval/commands.hpp"

#include <fmt/format.h>

#include <chrono>
#include <optional>

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
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  std::optional<Clock::time_point> first;  // when the first token came: the prompt has been read
  const std::vector<int32_t> written = generate(*engine, prompt, options.sample, stop, [&](int32_t id) {
    if (!first) first = Clock::now();
    // Rows of the embedding beyond the tokenizer's ids pad it to a round size; a trained model never chooses them.
    if (id < tokenizer.size()) out << text.push(id) << std::flush;
    return out.good();
  });
  out << text.finish() << "\n" << std::flush;
  if (!first) return;
  const std::chrono::duration<double> reading = *first - start, writing = Clock::now() - *first;
  messages << fmt::format("prompt: {} tokens in {:.2f} s; written: {} tokens", prompt.size(), reading.count(),
                          written.size());
  if (written.size() > 1)
    messages << fmt::format(", {:.1f} a second", static_cast<double>(written.size() - 1) / writing.count());
  messages << "\n";
}

}  // namespace dsllm
