#include "ref/tokenizer/stream_decoder.hpp"

#include <string_view>
#include <utility>

#include "ref/tokenizer/unicode.hpp"

namespace dsllm::ref {

std::string StreamDecoder::push(int32_t id) {
  waiting_ += tokenizer_.bytes(id, options_);
  std::string_view rest = waiting_;
  while (!rest.empty()) {
    const Utf8Step step = next_utf8(rest);
    if (step.kind == Utf8Step::incomplete) break;
    rest.remove_prefix(step.length);
  }
  std::string text;
  append_repaired_utf8(std::string_view(waiting_).substr(0, waiting_.size() - rest.size()), text);
  waiting_ = std::string(rest);
  return text;
}

std::string StreamDecoder::finish() {
  std::string text;
  append_repaired_utf8(std::exchange(waiting_, {}), text);
  return text;
}

}  // namespace dsllm::ref
