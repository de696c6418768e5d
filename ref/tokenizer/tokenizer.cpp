#include "ref/tokenizer/tokenizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <initializer_list>
#include <utility>

#include "ref/core/error.hpp"
#include "ref/tokenizer/byte_level.hpp"
#include "ref/tokenizer/pretokenize.hpp"
#include "ref/tokenizer/unicode.hpp"

namespace dsllm::ref {
namespace {

// The bytes of a token as the `tokenizers` library decodes it: its characters read as bytes, or, if one of them spells
// none (as in <｜begin▁of▁sentence｜>), the token's own UTF-8.
std::string decoded_bytes(const std::string& spelled) {
  const std::optional<std::string> bytes = unspell_bytes(spelled);
  return bytes ? *bytes : spelled;
}

void check_vocabulary(const Vocabulary& v) {
  const int64_t n = static_cast<int64_t>(v.tokens.size());
  if (n + static_cast<int64_t>(v.added.size()) > INT32_MAX)
    throw ValueError("Tokenizer", "ids of 31 bits", fmt::format("{} tokens", n));
  for (size_t id = 0; id < v.tokens.size(); ++id)
    if (find_invalid_utf8(v.tokens[id]) != v.tokens[id].size())
      throw ValueError("Tokenizer", fmt::format("token {} in valid UTF-8", id), "other bytes");
  const auto known = [n](int32_t id) { return id >= 0 && id < n; };
  PairMap<char> seen;
  for (size_t k = 0; k < v.merges.size(); ++k) {
    const Merge& m = v.merges[k];
    if (!known(m.left) || !known(m.right) || !known(m.result))
      throw ValueError("Tokenizer", fmt::format("ids in [0, {}) for merge {}", n, k),
                       fmt::format("({}, {}) -> {}", m.left, m.right, m.result));
    if (std::exchange(seen[{m.left, m.right}], 1) != 0)
      throw ValueError("Tokenizer", "every pair merged once",
                       fmt::format("({}, {}) again as merge {}", m.left, m.right, k));
  }
}

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {
  const Vocabulary& v = vocabulary_;
  check_vocabulary(v);

  std::array<int32_t, 256> byte_ids;
  byte_ids.fill(-1);
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    bytes_.push_back(decoded_bytes(v.tokens[id]));
    if (bytes_.back().size() == 1 && v.tokens[id] == spell_bytes(bytes_.back())) {
      int32_t& byte_id = byte_ids[static_cast<uint8_t>(bytes_.back()[0])];
      if (byte_id >= 0)
        throw ValueError("Tokenizer", fmt::format("token {} once", byte_id),
                         fmt::format("it again as {}", id));
      byte_id = static_cast<int32_t>(id);
    }
  }
  bpe_ = std::make_unique<const Bpe>(byte_ids, v.merges);

  added_of_.assign(v.tokens.size(), -1);
  std::vector<size_t> groups[2];
  for (size_t i = 0; i < v.added.size(); ++i) {
    const AddedToken& token = v.added[i];
    const auto fail = [&](const std::string& expected, const std::string& got) {
      throw ValueError("Tokenizer", fmt::format("{} for added token {}", expected, i), got);
    };
    if (token.content.empty() || find_invalid_utf8(token.content) != token.content.size())
      fail("a content of valid UTF-8, not empty,", fmt::format("'{}'", token.content));
    if (!added_ids_.emplace(token.content, token.id).second)
      fail("a content of its own", fmt::format("'{}' again", token.content));
    if (token.id >= 0 && token.id < static_cast<int32_t>(v.tokens.size())) {
      if (v.tokens[static_cast<size_t>(token.id)] != token.content)
        fail(fmt::format("the spelling of id {}, '{}',", token.id, v.tokens[static_cast<size_t>(token.id)]),
             fmt::format("'{}'", token.content));
    } else if (token.id == size()) {
      bytes_.push_back(decoded_bytes(token.content));
      added_of_.push_back(-1);
    } else {
      fail(fmt::format("the next id, {},", size()), fmt::format("{}", token.id));
    }
    added_of_[static_cast<size_t>(token.id)] = static_cast<int32_t>(i);
    groups[token.normalized ? 1 : 0].push_back(i);
  }
  first_ = TokenMatcher(v.added, groups[0]);
  second_ = TokenMatcher(v.added, groups[1]);

  // A token whose merges lead elsewhere (an added one, or one that a later merge spells again) is never the encoding
  // of its own bytes.
  auto whole = std::make_unique<WholeTokens>(v.tokens.size());
  Bpe::Scratch scratch;
  std::vector<int32_t> ids;
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    ids.clear();
    bpe_->encode(bytes_[id], scratch, ids);
    if (ids.size() == 1 && ids[0] == static_cast<int32_t>(id) && bpe_->has_all_bytes(bytes_[id]))
      whole->insert(bytes_[id], ids[0]);
  }
  whole_ = std::move(whole);

  const auto first_known = [this](std::initializer_list<const char*> contents) {
    std::optional<int32_t> id;
    for (const char* content : contents)
      if (!id) id = added_id(content);
    return id;
  };
  bos_ = first_known({"<｜begin▁of▁sentence｜>", "<s>", "<|begin_of_text|>", "<|endoftext|>"});
  eos_ = first_known({"<｜end▁of▁sentence｜>", "</s>", "<|end_of_text|>", "<|endoftext|>"});
}

std::optional<int32_t> Tokenizer::added_id(const std::string& content) const {
  const auto found = added_ids_.find(content);
  return found == added_ids_.end() ? std::nullopt : std::optional(found->second);
}

// Pre-tokens that are not one token are looked up in what this call has already encoded: a slot says where in the
// text the pre-token stood and where in out its ids are. A slot is simply taken over by the next pre-token that
// hashes to it, so that no text can make the look-up slow.
class Tokenizer::Run {
 public:
  Run(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options,
      std::vector<int32_t>& out)
      : tokenizer_(tokenizer),
        text_(text),
        options_(options),
        out_(out),
        seen_(std::bit_ceil(std::clamp(text.size() / 16, size_t{16}, size_t{1} << 15))) {}

  void encode() {
    split(text_, tokenizer_.first_, [this](std::string_view part) {
      split(part, tokenizer_.second_, [this](std::string_view plain) { encode_plain(plain); });
    });
  }

 private:
  struct Seen {
    std::string_view pretoken;
    size_t begin = 0, count = 0;  // in out
  };

  // Cuts a part of the text at the added tokens of one group, puts out their ids, and calls f for what is between.
  template <class F>
  void split(std::string_view part, const TokenMatcher& matcher, F&& f) {
    if (matcher.empty()) return f(part);
    size_t plain_from = 0;
    for (size_t at = 0;;) {
      const TokenMatcher::Match match = matcher.find(part, at);
      at = match.end;
      const AddedToken* token =
          match.token == TokenMatcher::none ? nullptr : &tokenizer_.vocabulary_.added[match.token];
      if (token && token->special && !options_.parse_special) continue;
      if (match.begin > plain_from) f(part.substr(plain_from, match.begin - plain_from));
      if (!token) return;
      out_.push_back(token->id);
      plain_from = at;
    }
  }

  void encode_plain(std::string_view part) {
    pretokenize(part, [&](size_t begin, size_t end) { encode_pretoken(part.substr(begin, end - begin)); });
  }

  void encode_pretoken(std::string_view pretoken) {
    const uint64_t hash = hash_bytes(pretoken);
    const int32_t id = tokenizer_.whole_->find(pretoken, hash);
    if (id >= 0) return out_.push_back(id);
    Seen& seen = seen_[(hash >> 20) & (seen_.size() - 1)];
    if (seen.pretoken == pretoken) {
      for (size_t i = 0; i < seen.count; ++i) out_.push_back(out_[seen.begin + i]);
      return;
    }
    if (options_.unknown_byte == UnknownByte::error && !tokenizer_.bpe_->has_all_bytes(pretoken))
      fail(pretoken);
    const size_t begin = out_.size();
    tokenizer_.bpe_->encode(pretoken, scratch_, out_);
    seen = {pretoken, begin, out_.size() - begin};
  }

  [[noreturn]] void fail(std::string_view pretoken) const {
    size_t at = static_cast<size_t>(pretoken.data() - text_.data());
    while (tokenizer_.bpe_->byte_id(static_cast<uint8_t>(text_[at])) >= 0) ++at;
    throw ValueError("encode", "bytes that the vocabulary has",
                     fmt::format("0x{:02X} at offset {}", static_cast<unsigned char>(text_[at]),
                                 options_.text_offset + at));
  }

  const Tokenizer& tokenizer_;
  const std::string_view text_;
  const EncodeOptions& options_;
  std::vector<int32_t>& out_;
  std::vector<Seen> seen_;
  Bpe::Scratch scratch_;
};

void Tokenizer::encode(std::string_view text, const EncodeOptions& options, std::vector<int32_t>& out) const {
  if (options.add_bos) {
    if (!bos_) throw ValueError("encode", "a vocabulary with a beginning-of-sentence token", "none");
    out.push_back(*bos_);
  }
  const size_t invalid = find_invalid_utf8(text);
  if (invalid == text.size()) {
    Run(*this, text, options, out).encode();
  } else if (options.invalid_utf8 == InvalidUtf8::replace) {
    std::string repaired;
    append_repaired_utf8(text, repaired);
    Run(*this, repaired, options, out).encode();
  } else {
    throw ValueError("encode", "valid UTF-8",
                     fmt::format("0x{:02X} at offset {}", static_cast<unsigned char>(text[invalid]),
                                 options.text_offset + invalid));
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<int32_t> out;
  encode(text, options, out);
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, const DecodeOptions& options) const {
  std::string raw, text;
  for (const int32_t id : ids) raw += bytes(id, options);
  append_repaired_utf8(raw, text);
  return text;
}

std::string_view Tokenizer::bytes(int32_t id, const DecodeOptions& options) const {
  check_id("decode", id);
  const int32_t added = added_of_[static_cast<size_t>(id)];
  if (added >= 0) {
    const AddedToken& token = vocabulary_.added[static_cast<size_t>(added)];
    if (token.special && options.skip_special) return {};
    if (options.repair) return token.content;
  }
  return bytes_[static_cast<size_t>(id)];
}

void Tokenizer::check_id(const char* operation, int32_t id) const {
  if (id < 0 || id >= size())
    throw ValueError(operation, fmt::format("ids in [0, {})", size()), fmt::format("{}", id));
}

}  // namespace dsllm::ref
