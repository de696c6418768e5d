#include "ref/tokenizer/commands.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <istream>
#include <ostream>
#include <span>
#include <utility>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "ref/core/json.hpp"
#include "ref/tokenizer/stream_decoder.hpp"
#include "ref/tokenizer/tokenizer_json.hpp"
#include "ref/tokenizer/train.hpp"
#include "ref/tokenizer/unicode.hpp"

namespace dsllm::ref {
namespace {

// The bytes of a file: mapped, or read if it is a pipe.
class Input {
 public:
  explicit Input(const std::string& path) {
    if (std::filesystem::is_regular_file(path)) {
      file_ = MappedFile(path);
    } else {
      bytes_ = read_file(path);
    }
  }
  std::string_view text() const {
    const std::span<const std::byte> mapped = file_.bytes();
    return mapped.empty() ? std::string_view(bytes_)
                          : std::string_view(reinterpret_cast<const char*>(mapped.data()), mapped.size());
  }

 private:
  MappedFile file_;
  std::string bytes_;
};

void check_written(const std::ostream& out) {
  if (!out) throw FileError("output", "", "space for the output", "a failed write");
}

void append_ids(std::span<const int32_t> ids, std::string_view separator, std::string& text) {
  for (const int32_t id : ids) {
    if (!text.empty()) text += separator;
    const fmt::format_int digits(id);
    text.append(digits.data(), digits.size());
  }
}

// Calls f(line, place) for every line; place is for messages.
template <class F>
void for_each_line(std::istream& in, F&& f) {
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) f(line, fmt::format("input: line {}", number));
}

// Calls f(part, offset) with parts of about 1 MiB that end behind a newline, and a last one that may not. With `whole`
// there is only that one.
template <class F>
void for_each_part(std::istream& in, bool whole, F&& f) {
  constexpr size_t piece = size_t{1} << 20;
  std::string waiting;
  uint64_t offset = 0;
  while (in) {
    const size_t old = waiting.size();
    waiting.resize(old + piece);
    in.read(waiting.data() + old, piece);
    waiting.resize(old + static_cast<size_t>(in.gcount()));
    const size_t newline = std::string_view(waiting).substr(old).rfind('\n');
    if (whole || newline == std::string_view::npos) continue;
    const size_t end = old + newline + 1;
    f(std::string_view(waiting).substr(0, end), offset);
    offset += end;
    waiting.erase(0, end);
  }
  if (in.bad()) throw FileError("input", "", "a readable input", "a failed read");
  if (!waiting.empty()) f(std::string_view(waiting), offset);
}

// A newline ends a pre-token, but an added token may hold one.
bool can_cut_at_newlines(const Tokenizer& tokenizer) {
  for (const AddedToken& token : tokenizer.vocabulary().added)
    if (token.content.find('\n') != std::string::npos) return false;
  return true;
}

}  // namespace

void tokenizer_train(const TokenizerTrainCommand& command, std::ostream& log) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<Input> inputs;
  std::vector<std::string_view> texts;
  size_t bytes = 0;
  for (const std::string& path : command.inputs) {
    inputs.emplace_back(path);
    const std::string_view text = inputs.back().text();
    if (const size_t at = find_invalid_utf8(text); at != text.size())
      throw FileError(path, fmt::format("byte {}", at), "valid UTF-8",
                      fmt::format("0x{:02X}", static_cast<unsigned char>(text[at])));
    bytes += text.size();
  }
  for (const Input& input : inputs) texts.push_back(input.text());
  log << fmt::format("tokenizer train: {} files, {:.1f} MB\n", inputs.size(),
                     static_cast<double>(bytes) * 1e-6)
      << std::flush;

  int64_t next_report = 0;
  TrainOptions options;
  options.vocab_size = command.vocab_size;
  options.min_frequency = command.min_frequency;
  options.special_tokens = command.special;
  options.all_bytes = command.all_bytes;
  options.ties = command.greater_bytes ? TieBreak::greater_bytes : TieBreak::smaller_ids;
  options.progress = [&](const TrainProgress& p) {
    if (p.tokens < next_report) return;
    if (next_report > 0)
      log << fmt::format("tokenizer train: {} of {} tokens, the last pair stood {} times\n", p.tokens,
                         p.vocab_size, p.count)
          << std::flush;
    next_report = p.tokens + std::max<int64_t>(1, p.vocab_size / 8);
  };
  const Vocabulary vocabulary = train_bpe(texts, options);
  write_tokenizer_json(vocabulary, command.out);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  log << fmt::format("tokenizer train: {} tokens, {} merges, {:.2f} s; {}\n", vocabulary.tokens.size(),
                     vocabulary.merges.size(), seconds.count(), command.out)
      << std::flush;
}

void tokenizer_encode(const TokenizerEncodeCommand& command, std::istream& in, std::ostream& out) {
  const Tokenizer tokenizer = read_tokenizer_json(command.tokenizer);
  EncodeOptions options;
  options.add_bos = command.bos;
  options.parse_special = command.parse_special;
  if (command.replace_invalid) options.invalid_utf8 = InvalidUtf8::replace;
  if (command.drop_unknown) options.unknown_byte = UnknownByte::drop;

  std::vector<int32_t> ids;
  std::string text;
  if (command.jsonl) {
    for_each_line(in, [&](const std::string& line, const std::string& place) {
      const Json json = parse_json(line, place);
      if (!json.is_string()) throw FileError(place, "", "a JSON string", json.type_name());
      ids.clear();
      try {
        tokenizer.encode(json.get_ref<const std::string&>(), options, ids);
      } catch (const ValueError& e) {
        throw FileError(place, "", "text that can be encoded", e.what());
      }
      text.clear();
      append_ids(ids, ",", text);
      out << '[' << text << "]\n";
    });
    return check_written(out);
  }
  const char* separator = "";
  for_each_part(in, !can_cut_at_newlines(tokenizer), [&](std::string_view part, uint64_t offset) {
    ids.clear();
    options.text_offset = offset;
    tokenizer.encode(part, options, ids);
    options.add_bos = false;
    text.clear();
    append_ids(ids, " ", text);
    if (!text.empty()) out << std::exchange(separator, " ") << text;
  });
  if (options.add_bos) out << tokenizer.encode("", options)[0];  // of an empty text
  out << '\n';
  check_written(out);
}

void tokenizer_decode(const TokenizerDecodeCommand& command, std::istream& in, std::ostream& out) {
  const Tokenizer tokenizer = read_tokenizer_json(command.tokenizer);
  const DecodeOptions options{.repair = command.repair, .skip_special = command.skip_special};
  if (command.jsonl) {
    for_each_line(in, [&](const std::string& line, const std::string& place) {
      const Json json = parse_json(line, place);
      std::vector<int32_t> ids;
      const auto is_id = [](const Json& id) {
        return id.is_number_unsigned() && id.get<uint64_t>() <= INT32_MAX;
      };
      if (!json.is_array() || !std::all_of(json.begin(), json.end(), is_id))
        throw FileError(place, "", "a JSON array of ids",
                        line.size() <= 80 ? line : line.substr(0, 77) + "...");
      for (const Json& id : json) ids.push_back(id.get<int32_t>());
      try {
        out << Json(tokenizer.decode(ids, options)).dump() << '\n';
      } catch (const ValueError& e) {
        throw FileError(place, "", "ids of the vocabulary", e.what());
      }
    });
    return check_written(out);
  }
  StreamDecoder decoder(tokenizer, options);
  for (std::string word; in >> word;) {
    int32_t id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size())
      throw FileError("input", "", "ids with white space between them",
                      fmt::format("'{}'", word.substr(0, 40)));
    out << decoder.push(id);
  }
  out << decoder.finish();
  check_written(out);
}

}  // namespace dsllm::ref
