// What `dsllm-ref tokenizer train | encode | decode` does, behind the command line.
//
// Every function throws FileError or ValueError; what has been written to `out` by then stays.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace dsllm::ref {

struct TokenizerTrainCommand {
  std::vector<std::string> inputs = {};  // text files
  std::string out = {};                  // the tokenizer.json to write
  int64_t vocab_size = 0;
  int64_t min_frequency = 0;
  std::vector<std::string> special = {};
  bool all_bytes = false;      // see TrainOptions
  bool greater_bytes = false;  // TieBreak::greater_bytes
};
// Prints a few plain lines about what it does to `log`.
void tokenizer_train(const TokenizerTrainCommand& command, std::ostream& log);

struct TokenizerEncodeCommand {
  std::string tokenizer = {};  // a tokenizer.json
  bool jsonl = false;
  bool bos = false;              // in front of the text, or of every line's text
  bool parse_special = false;    // see EncodeOptions
  bool replace_invalid = false;  // InvalidUtf8::replace
  bool drop_unknown = false;     // UnknownByte::drop
};
// Text to ids with spaces between them and a newline at the end; the text is read in parts that end with a line, so
// that memory grows with the longest line only. jsonl: one JSON string a line to one JSON array of ids a line.
void tokenizer_encode(const TokenizerEncodeCommand& command, std::istream& in, std::ostream& out);

struct TokenizerDecodeCommand {
  std::string tokenizer = {};
  bool jsonl = false;
  bool repair = false;        // see DecodeOptions
  bool skip_special = false;  // see DecodeOptions
};
// The reverse: ids with white space between them to the text and nothing else; jsonl: arrays to strings.
void tokenizer_decode(const TokenizerDecodeCommand& command, std::istream& in, std::ostream& out);

}  // namespace dsllm::ref
