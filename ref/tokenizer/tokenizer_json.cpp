#include "ref/tokenizer/tokenizer_json.hpp"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "ref/core/json.hpp"
#include "ref/tokenizer/pretokenize.hpp"

namespace dsllm::ref {
namespace {

// A value and where it stands, for messages.
class Place {
 public:
  Place(const SortedJson& value, const std::string& path, std::string name)
      : value_(value), path_(path), name_(std::move(name)) {}

  [[noreturn]] void fail(const std::string& expected, const std::string& got) const {
    throw FileError(path_, name_, expected, got);
  }
  [[noreturn]] void fail(const std::string& expected) const {
    const std::string text = value_.dump(-1, ' ', false, SortedJson::error_handler_t::replace);
    fail(expected, text.size() <= 80 ? text : text.substr(0, text.find_last_of(" \",", 77)) + " ...");
  }

  // A field of an object; an absent one is null.
  Place operator[](const std::string& key) const {
    static const SortedJson null;
    if (!value_.is_object()) fail("an object");
    const auto field = value_.find(key);
    return Place(field == value_.end() ? null : *field, path_, name_.empty() ? key : name_ + "." + key);
  }
  Place operator[](size_t i) const { return Place(value_.at(i), path_, fmt::format("{}[{}]", name_, i)); }
  size_t size() const {
    if (!value_.is_array()) fail("an array");
    return value_.size();
  }

  const SortedJson& value() const { return value_; }
  bool is_null() const { return value_.is_null(); }
  const std::string& string() const {
    if (!value_.is_string()) fail("a string");
    return value_.get_ref<const std::string&>();
  }
  int32_t id() const {
    if (!value_.is_number_unsigned() || value_.get<uint64_t>() > INT32_MAX) fail("an id of 31 bits");
    return static_cast<int32_t>(value_.get<uint64_t>());
  }
  bool boolean_or(bool absent) const {
    if (is_null()) return absent;
    if (!value_.is_boolean()) fail("true or false");
    return value_.get<bool>();
  }
  void expect(const SortedJson& expected) const {
    if (value_ != expected) fail(expected.dump());
  }
  // Absent, or one of the values that mean that nothing is done.
  void expect_off(std::initializer_list<SortedJson> off) const {
    if (is_null()) return;
    for (const SortedJson& value : off)
      if (value_ == value) return;
    fail(fmt::format("{} (nothing else is supported)", off.size() > 0 ? off.begin()->dump() : "null"));
  }

 private:
  const SortedJson& value_;
  const std::string& path_;
  std::string name_;
};

using Ids = std::unordered_map<std::string, int32_t>;

void read_tokens(const Place& vocab, Vocabulary& out, Ids& ids) {
  if (!vocab.value().is_object()) vocab.fail("an object from tokens to ids");
  const size_t n = vocab.value().size();
  out.tokens.resize(n);
  std::vector<bool> taken(n);
  ids.reserve(n);
  for (auto field = vocab.value().begin(); field != vocab.value().end(); ++field) {
    const SortedJson& value = field.value();
    if (!value.is_number_unsigned() || value.get<uint64_t>() >= n)
      vocab[field.key()].fail(fmt::format("an id in [0, {}), so that {} tokens leave no gap", n, n),
                              value.dump());
    const size_t id = value.get<size_t>();
    if (taken[id])
      vocab[field.key()].fail("an id of its own", fmt::format("{}, which '{}' has", id, out.tokens[id]));
    taken[id] = true;
    out.tokens[id] = field.key();
    ids.emplace(field.key(), static_cast<int32_t>(id));
  }
}

// "a b" or ["a", "b"]
std::pair<std::string, std::string> merge_parts(const Place& merge) {
  if (merge.value().is_array()) {
    if (merge.size() != 2) merge.fail("two tokens");
    return {merge[0].string(), merge[1].string()};
  }
  const std::string& text = merge.string();
  const size_t blank = text.find(' ');
  if (blank == std::string::npos || text.find(' ', blank + 1) != std::string::npos)
    merge.fail("two tokens with one space between them");
  return {text.substr(0, blank), text.substr(blank + 1)};
}

void read_merges(const Place& merges, const Ids& ids, Vocabulary& out) {
  const auto id_of = [&](const Place& merge, const std::string& token, const char* role) {
    const auto found = ids.find(token);
    if (found == ids.end())
      merge.fail(fmt::format("a {} that is in the vocabulary", role), fmt::format("'{}'", token));
    return found->second;
  };
  PairMap<int32_t> seen;  // rank + 1
  for (size_t k = 0; k < merges.size(); ++k) {
    const Place merge = merges[k];
    const auto [left, right] = merge_parts(merge);
    const Merge m{id_of(merge, left, "left part"), id_of(merge, right, "right part"),
                  id_of(merge, left + right, "result")};
    int32_t& rank = seen[{m.left, m.right}];
    if (rank != 0) merge.fail("a new pair", fmt::format("the pair of model.merges[{}] again", rank - 1));
    rank = static_cast<int32_t>(k) + 1;
    out.merges.push_back(m);
  }
}

void read_model(const Place& model, Vocabulary& out) {
  // A model without a type is taken by the fields that it has, as the library does.
  model["type"].expect_off({"BPE"});
  model["dropout"].expect_off({});
  model["unk_token"].expect_off({});
  model["continuing_subword_prefix"].expect_off({""});
  model["end_of_word_suffix"].expect_off({""});
  model["fuse_unk"].expect_off({false});
  model["byte_fallback"].expect_off({false});
  model["ignore_merges"].expect_off({false});
  Ids ids;
  read_tokens(model["vocab"], out, ids);
  read_merges(model["merges"], ids, out);
}

void read_added(const Place& added, Vocabulary& out) {
  if (added.is_null()) return;
  for (size_t i = 0; i < added.size(); ++i) {
    const Place token = added[i];
    token["single_word"].expect_off({false});
    token["lstrip"].expect_off({false});
    token["rstrip"].expect_off({false});
    const bool special = token["special"].boolean_or(false);
    out.added.push_back(
        {token["id"].id(), token["content"].string(), special, token["normalized"].boolean_or(!special)});
  }
}

void check_pretokenizer(const Place& pre) {
  if (pre.is_null() || pre["type"].value() != "Sequence")
    pre.fail("the pre-tokenizer of DeepSeek LLM, a Sequence of 7");
  const Place steps = pre["pretokenizers"];
  const std::array<std::string, 5>& patterns = pretokenizer_patterns();
  if (steps.size() != patterns.size() + 2)
    steps.fail("the 7 steps of DeepSeek LLM", fmt::format("{} steps", steps.size()));
  for (size_t i = 0; i < patterns.size(); ++i) {
    steps[i]["type"].expect("Split");
    steps[i]["pattern"].expect({{"Regex", patterns[i]}});
    steps[i]["behavior"].expect("Isolated");
    steps[i]["invert"].expect_off({false});
  }
  steps[5]["type"].expect("Digits");
  steps[5]["individual_digits"].expect(true);
  steps[6]["type"].expect("ByteLevel");
  steps[6]["add_prefix_space"].expect(false);
  steps[6]["use_regex"].expect(false);
}

SortedJson pretokenizer_json() {
  SortedJson steps = SortedJson::array();
  for (const std::string& pattern : pretokenizer_patterns())
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  steps.push_back(
      {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}});
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

std::string quoted(const std::string& text) {
  return Json(text).dump();
}

}  // namespace

Tokenizer parse_tokenizer_json(std::string_view text, const std::string& path) {
  const SortedJson json = parse_sorted_json(text, path);
  const Place root(json, path, "");

  if (const Place normalizer = root["normalizer"]; !normalizer.is_null()) {
    normalizer["type"].expect("Sequence");
    normalizer["normalizers"].expect(SortedJson::array());
  }
  check_pretokenizer(root["pre_tokenizer"]);
  // The ByteLevel post-processor changes offsets only, which nobody asks for here.
  if (const Place post = root["post_processor"]; !post.is_null()) post["type"].expect("ByteLevel");
  root["decoder"]["type"].expect("ByteLevel");
  root["truncation"].expect_off({});
  root["padding"].expect_off({});

  Vocabulary vocabulary;
  read_model(root["model"], vocabulary);
  read_added(root["added_tokens"], vocabulary);
  try {
    return Tokenizer(std::move(vocabulary));
  } catch (const ValueError& e) {
    throw FileError(path, "added_tokens", "ids and contents that agree with the vocabulary", e.what());
  }
}

Tokenizer read_tokenizer_json(const std::string& path) {
  return parse_tokenizer_json(read_file(path), path);
}

// Written by hand around nlohmann's strings, one token or merge a line, in the order of ids: a vocabulary can then be
// read by eye and compared with diff.
std::string format_tokenizer_json(const Vocabulary& vocabulary) {
  std::string out =
      "{\n\"version\": \"1.0\",\n\"truncation\": null,\n\"padding\": null,\n\"added_tokens\": [";
  const auto separator = [&out](bool first) { out += first ? "\n" : ",\n"; };
  for (size_t i = 0; i < vocabulary.added.size(); ++i) {
    const AddedToken& token = vocabulary.added[i];
    separator(i == 0);
    out += fmt::format(
        R"({{"id": {}, "content": {}, "single_word": false, "lstrip": false, "rstrip": false, "normalized": {}, "special": {}}})",
        token.id, quoted(token.content), token.normalized, token.special);
  }
  out += "],\n\"normalizer\": null,\n\"pre_tokenizer\": " + pretokenizer_json().dump() +
         ",\n\"post_processor\": null,\n";
  out +=
      R"("decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},)";
  out += "\n\"model\": {\n";
  out += R"("type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,)";
  out +=
      "\n\"end_of_word_suffix\": null, \"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": "
      "false,\n\"vocab\": {";
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    separator(id == 0);
    out += fmt::format("{}: {}", quoted(vocabulary.tokens[id]), id);
  }
  out += "},\n\"merges\": [";
  for (size_t k = 0; k < vocabulary.merges.size(); ++k) {
    const Merge& merge = vocabulary.merges[k];
    separator(k == 0);
    out += fmt::format("[{}, {}]", quoted(vocabulary.tokens[static_cast<size_t>(merge.left)]),
                       quoted(vocabulary.tokens[static_cast<size_t>(merge.right)]));
  }
  out += "]}\n}\n";
  return out;
}

void write_tokenizer_json(const Vocabulary& vocabulary, const std::string& path) {
  write_file_atomically(path, format_tokenizer_json(vocabulary));
}

}  // namespace dsllm::ref
