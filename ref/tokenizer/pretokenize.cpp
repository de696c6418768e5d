#include "ref/tokenizer/pretokenize.hpp"

namespace dsllm::ref {

std::vector<std::string_view> pretokenize(std::string_view text) {
  std::vector<std::string_view> pieces;
  pretokenize(text, [&](size_t begin, size_t end) { pieces.push_back(text.substr(begin, end - begin)); });
  return pieces;
}

const std::array<std::string, 5>& pretokenizer_patterns() {
  static const std::array<std::string, 5> patterns = [] {
    std::string letters = "\\s?[";
    for (const CodeRange& r : letter_ranges) {
      append_utf8(r.first, letters);
      if (r.first == r.last) continue;
      letters += '-';
      append_utf8(r.last, letters);
    }
    letters += "]+";
    return std::array<std::string, 5>{
        "[\r\n]", letters,
        // [!-/:-~, the same in full width, the quotation marks 2018-201F, 3000-3002]
        "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+", "\\s+$",
        "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+"};
  }();
  return patterns;
}

}  // namespace dsllm::ref
