#include "ref/tokenizer/pretoken_counts.hpp"

#include <algorithm>

#include "ref/core/parallel.hpp"
#include "ref/tokenizer/pretokenize.hpp"
#include "ref/tokenizer/whole_tokens.hpp"

namespace dsllm::ref {
namespace {

// Counts in the order of first occurrence, and a hash table of their places.
class Counter {
 public:
  void add(std::string_view pretoken, int64_t count) {
    const uint64_t hash = hash_bytes(pretoken);
    if (2 * (counts_.size() + 1) > places_.size()) grow();
    size_t i = static_cast<size_t>(hash) & (places_.size() - 1);
    for (; places_[i] != 0; i = (i + 1) & (places_.size() - 1)) {
      PretokenCount& known = counts_[places_[i] - 1];
      if (known.pretoken == pretoken) {
        known.count += count;
        return;
      }
    }
    counts_.push_back({pretoken, count});
    places_[i] = counts_.size();
  }

  const std::vector<PretokenCount>& counts() const { return counts_; }

 private:
  void grow() {
    places_.assign(2 * places_.size(), 0);
    for (size_t k = 0; k < counts_.size(); ++k) {
      size_t i = static_cast<size_t>(hash_bytes(counts_[k].pretoken)) & (places_.size() - 1);
      while (places_[i] != 0) i = (i + 1) & (places_.size() - 1);
      places_[i] = k + 1;
    }
  }

  std::vector<PretokenCount> counts_;
  std::vector<size_t> places_ = std::vector<size_t>(1024);  // place in counts_ + 1; 0 is free
};

// Parts of about 1 MiB that end behind a newline, or where the text does.
std::vector<std::string_view> cut(std::span<const std::string_view> texts) {
  constexpr size_t part_bytes = size_t{1} << 20;
  std::vector<std::string_view> parts;
  for (std::string_view text : texts) {
    while (!text.empty()) {
      const size_t newline = text.size() <= part_bytes ? std::string_view::npos : text.find('\n', part_bytes);
      parts.push_back(text.substr(0, newline == std::string_view::npos ? newline : newline + 1));
      text.remove_prefix(parts.back().size());
    }
  }
  return parts;
}

}  // namespace

std::vector<PretokenCount> count_pretokens(std::span<const std::string_view> texts) {
  const std::vector<std::string_view> parts = cut(texts);
  Counter total;
  // A few parts at a time, so that not all their tables are in memory at once; added up in the order of the parts.
  const size_t at_once = 4 * static_cast<size_t>(std::max(1, threads()));
  for (size_t first = 0; first < parts.size(); first += at_once) {
    std::vector<Counter> counters(std::min(at_once, parts.size() - first));
    parallel_for(static_cast<int64_t>(counters.size()), [&](int64_t i) {
      Counter& counter = counters[static_cast<size_t>(i)];
      const std::string_view part = parts[first + static_cast<size_t>(i)];
      pretokenize(part, [&](size_t begin, size_t end) { counter.add(part.substr(begin, end - begin), 1); });
    });
    for (const Counter& counter : counters)
      for (const PretokenCount& entry : counter.counts()) total.add(entry.pretoken, entry.count);
  }
  return total.counts();
}

}  // namespace dsllm::ref
