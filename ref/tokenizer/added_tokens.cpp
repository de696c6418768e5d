#include "ref/tokenizer/added_tokens.hpp"

#include <algorithm>

namespace dsllm::ref {

TokenMatcher::TokenMatcher(const std::vector<AddedToken>& all, const std::vector<size_t>& tokens) {
  if (tokens.empty()) return;
  by_lead_.resize(256);
  for (const size_t token : tokens) {
    const std::string& content = all[token].content;
    by_lead_[static_cast<unsigned char>(content[0])].push_back({content, token});
  }
  for (std::vector<Candidate>& candidates : by_lead_) {
    std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
      return a.content.size() > b.content.size();
    });
  }
}

TokenMatcher::Match TokenMatcher::find(std::string_view text, size_t from) const {
  for (size_t i = from; i < text.size() && !empty(); ++i)
    for (const Candidate& candidate : by_lead_[static_cast<unsigned char>(text[i])])
      if (text.substr(i, candidate.content.size()) == candidate.content)
        return {i, i + candidate.content.size(), candidate.token};
  return {text.size(), text.size(), none};
}

}  // namespace dsllm::ref
