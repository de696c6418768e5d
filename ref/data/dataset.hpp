// Packed text: a folder that `data pack` writes and the trainer reads.
//
//     train.npy, heldout.npy   token ids, one after the other (uint16 where the vocabulary fits, else int32)
//     tokenizer.json           a copy of the tokenizer that made them
//     data.json                the manifest below, written last
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ref/core/dtype.hpp"
#include "ref/core/fields.hpp"
#include "ref/core/file.hpp"
#include "ref/core/json_fwd.hpp"

namespace dsllm {

// One of the two files.
struct DataPart {
  std::string file;
  int64_t tokens = 0;    // BOS and EOS included
  int64_t bytes = 0;     // of text that the tokens stand for: what bits per byte are counted in
  int64_t pieces = 0;    // runs of text between a BOS and an EOS
  std::string checksum;  // of the file, see ref/core/checksum.hpp
};

template <class Config, class Visit>
requires is_config<Config, DataPart>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"file", "name of an .npy file"}, c.file);
  visit(Field{"tokens", "tokens", 0, 0x1p53}, c.tokens);
  visit(Field{"bytes", "bytes of text", 0, 0x1p53}, c.bytes);
  visit(Field{"pieces", "pieces of text", 0, 0x1p53}, c.pieces);
  visit(Field{"checksum", "checksum of the file"}, c.checksum);
}

struct DataManifest {
  int64_t documents = 0;
  int64_t vocab_size = 0;  // every id is below it
  int64_t bos = 0, eos = 0;
  std::string tokenizer_checksum;
  double heldout_fraction = 0;  // as asked for; what came of it stands in the parts
  int64_t block_bytes = 0;
  int64_t seed = 0;
  DataPart train, heldout;
};

template <class Config, class Visit>
requires is_config<Config, DataManifest>
void visit_fields(Config& c, Visit&& visit) {
  visit(Field{"documents", "documents", 0, 0x1p53}, c.documents);
  visit(Field{"vocab_size", "ids of the tokenizer", 1, 1 << 28}, c.vocab_size);
  visit(Field{"bos", "id that begins a piece of text", 0, 1 << 28}, c.bos);
  visit(Field{"eos", "id that ends a piece of text", 0, 1 << 28}, c.eos);
  visit(Field{"tokenizer_checksum", "checksum of tokenizer.json"}, c.tokenizer_checksum);
  visit(Field{"heldout_fraction", "share of the text that is held out", 0, 0.5}, c.heldout_fraction);
  visit(Field{"block_bytes", "bytes of text that stay together", 1, 1 << 30}, c.block_bytes);
  visit(Field{"seed", "seed of the choice", 0, 0x1p53}, c.seed);
}

Json manifest_to_json(const DataManifest& manifest);
// Throws FileError, ConfigError for a missing, unknown or impossible field.
DataManifest manifest_from_json(const Json& json, const std::string& path);

// Token ids in a mapped .npy file.
class TokenFile {
 public:
  TokenFile() = default;
  // Throws FileError unless the file is one-dimensional, uint16 or int32, and holds `part.tokens` ids.
  TokenFile(const std::string& folder, const DataPart& part, int64_t vocab_size);

  int64_t size() const { return size_; }
  const std::string& path() const { return file_.path(); }

  // Ids begin .. begin + out.size() - 1, which must exist. Throws FileError, with position, id and vocabulary, for an
  // id that is not below the vocabulary.
  void read(int64_t begin, std::span<int32_t> out) const;

 private:
  MappedFile file_;
  DType dtype_ = DType::u16;
  std::span<const std::byte> bytes_;
  int64_t size_ = 0, vocab_size_ = 0;
};

struct Dataset {
  std::string folder;
  DataManifest manifest;
  TokenFile train, heldout;

  // Opens a folder and reads every file in it once, for its checksum. Throws FileError where it is not whole, or
  // its parts disagree with the manifest.
  static Dataset open(const std::string& folder);
};

// Loss in nats per token -> bits per byte of text: log2(e) * tokens / bytes of the part, 0 for a part without text.
double bits_per_byte(double nats_per_token, const DataPart& part);

}  // namespace dsllm
