#include "ref/tokenizer/train.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <queue>
#include <unordered_map>

#include "ref/core/error.hpp"
#include "ref/tokenizer/byte_level.hpp"
#include "ref/tokenizer/pretoken_counts.hpp"
#include "ref/tokenizer/unicode.hpp"

namespace dsllm::ref {
namespace {

class Trainer {
 public:
  Trainer(const std::vector<PretokenCount>& pretokens, const TrainOptions& options)
      : options_(options), queue_(Later{&options_, &bytes_}) {
    for (const std::string& special : options.special_tokens) {
      if (special.empty() || known_.contains(special) || find_invalid_utf8(special) != special.size()) {
        std::string shown;
        append_repaired_utf8(special, shown);
        throw ValueError("train_bpe", "special tokens in UTF-8 that are not empty, each once",
                         fmt::format("'{}'", shown));
      }
      vocabulary_.added.push_back({token_id(special, special), special, true, false});
    }
    add_alphabet(pretokens);
    if (options.vocab_size < size() || options.vocab_size > INT32_MAX)
      throw ValueError("train_bpe",
                       fmt::format("a vocab_size of at least {} (special tokens and alphabet)", size()),
                       fmt::format("{}", options.vocab_size));
    add_words(pretokens);
  }

  Vocabulary run() {
    const int64_t rarest = std::max<int64_t>(1, options_.min_frequency);
    while (size() < options_.vocab_size && !queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      const int64_t count = pairs_[top.pair].count;
      if (count != top.count) {  // it has become rarer since it was put here
        if (count > 0) queue_.push({count, top.pair});
        continue;
      }
      if (count < rarest) break;
      merge(top.pair);
      if (options_.progress) options_.progress({size(), options_.vocab_size, count});
    }
    return std::move(vocabulary_);
  }

 private:
  struct Word {
    size_t begin, size;  // in symbols_
    int64_t count;
  };
  struct PairState {
    int64_t count = 0;
    std::vector<uint32_t> words;  // where it may stand; each at most once, since words are visited in order
    bool is_new = false;          // and not in the queue yet
  };
  struct Candidate {
    int64_t count;
    Pair pair;
  };
  struct Later {  // whether a is merged after b
    const TrainOptions* options;
    const std::vector<std::string>* bytes;
    bool operator()(const Candidate& a, const Candidate& b) const {
      if (a.count != b.count) return a.count < b.count;
      if (options->ties == TieBreak::smaller_ids) return a.pair > b.pair;
      const auto of = [this](int32_t id) -> const std::string& { return (*bytes)[static_cast<size_t>(id)]; };
      return std::tie(of(a.pair.left), of(a.pair.right)) < std::tie(of(b.pair.left), of(b.pair.right));
    }
  };

  int64_t size() const { return static_cast<int64_t>(vocabulary_.tokens.size()); }

  // The id of the token with this spelling, which is added if it is new.
  int32_t token_id(const std::string& spelled, const std::string& bytes) {
    const auto [entry, is_new] = known_.emplace(spelled, static_cast<int32_t>(size()));
    if (is_new) {
      vocabulary_.tokens.push_back(spelled);
      bytes_.push_back(bytes);
    }
    return entry->second;
  }

  // The bytes in the order of the characters that spell them.
  void add_alphabet(const std::vector<PretokenCount>& pretokens) {
    std::array<bool, 256> occurs{};
    for (const PretokenCount& entry : pretokens)
      for (const char b : entry.pretoken) occurs[static_cast<uint8_t>(b)] = true;
    for (char32_t c = 0; c < 0x200; ++c) {
      const std::optional<uint8_t> byte = char_to_byte(c);
      if (!byte || !(occurs[*byte] || (options_.all_bytes && occurs_in_utf8(*byte)))) continue;
      const std::string bytes(1, static_cast<char>(*byte));
      byte_ids_[*byte] = token_id(spell_bytes(bytes), bytes);
    }
  }

  void add_words(const std::vector<PretokenCount>& pretokens) {
    for (const PretokenCount& entry : pretokens) {
      if (entry.pretoken.size() < 2) continue;  // holds no pair
      const Word word{symbols_.size(), entry.pretoken.size(), entry.count};
      for (const char b : entry.pretoken) symbols_.push_back(byte_ids_[static_cast<uint8_t>(b)]);
      words_.push_back(word);
      if (words_.size() > UINT32_MAX)
        throw ValueError("train_bpe", "fewer than 2^32 different pre-tokens", "more");
      const uint32_t index = static_cast<uint32_t>(words_.size() - 1);
      for (size_t i = word.begin; i + 1 < symbols_.size(); ++i)
        add({symbols_[i], symbols_[i + 1]}, index, word.count);
    }
    queue_new();
  }

  // The pair stands `count` times more in this word.
  void add(Pair pair, uint32_t word, int64_t count) {
    PairState& state = pairs_[pair];
    state.count += count;
    if (state.words.empty() || state.words.back() != word) state.words.push_back(word);
    if (!state.is_new) {
      state.is_new = true;
      new_pairs_.push_back(pair);
    }
  }

  void queue_new() {
    for (const Pair pair : new_pairs_) {
      PairState& state = pairs_[pair];
      state.is_new = false;
      if (state.count > 0) queue_.push({state.count, pair});
    }
    new_pairs_.clear();
  }

  void merge(Pair pair) {
    const std::string bytes =
        bytes_[static_cast<size_t>(pair.left)] + bytes_[static_cast<size_t>(pair.right)];
    const int32_t result = token_id(spell_bytes(bytes), bytes);
    vocabulary_.merges.push_back({pair.left, pair.right, result});
    const std::vector<uint32_t> words = std::move(pairs_[pair].words);
    for (const uint32_t word : words) merge_in(word, pair, result);
    pairs_[pair] = {};  // a a a, merged at its beginning, has counted a a down too
    queue_new();
  }

  // Left to right; what has been read is closed up in place, and the counts of the neighbors follow.
  void merge_in(uint32_t index, Pair pair, int32_t result) {
    Word& word = words_[index];
    int32_t* s = symbols_.data() + word.begin;
    size_t kept = 0;
    for (size_t i = 0; i < word.size; ++kept) {
      if (s[i] != pair.left || i + 1 == word.size || s[i + 1] != pair.right) {
        s[kept] = s[i++];
        continue;
      }
      if (kept > 0) {
        pairs_[{s[kept - 1], pair.left}].count -= word.count;
        add({s[kept - 1], result}, index, word.count);
      }
      if (i + 2 < word.size) {
        pairs_[{pair.right, s[i + 2]}].count -= word.count;
        add({result, s[i + 2]}, index, word.count);
      }
      s[kept] = result;
      i += 2;
    }
    word.size = kept;
  }

  const TrainOptions& options_;
  Vocabulary vocabulary_;
  std::vector<std::string> bytes_;  // [id]
  std::unordered_map<std::string, int32_t> known_;
  std::array<int32_t, 256> byte_ids_{};
  std::vector<int32_t> symbols_;  // of all words
  std::vector<Word> words_;
  PairMap<PairState> pairs_;
  std::vector<Pair> new_pairs_;
  // Every pair that occurs is in it with at least its count. Counts that fall are corrected when they come up.
  std::priority_queue<Candidate, std::vector<Candidate>, Later> queue_;
};

}  // namespace

Vocabulary train_bpe(std::span<const std::string_view> texts, const TrainOptions& options) {
  for (size_t i = 0; i < texts.size(); ++i)
    if (const size_t at = find_invalid_utf8(texts[i]); at != texts[i].size())
      throw ValueError(
          "train_bpe", "valid UTF-8",
          fmt::format("0x{:02X} at offset {} of text {}", static_cast<unsigned char>(texts[i][at]), at, i));
  return Trainer(count_pretokens(texts), options).run();
}

}  // namespace dsllm::ref
