// Packing (paper, section 2.1): text files -> token ids of two disjoint parts, one to train on and one held out.
//
// Text is cut into documents and long documents into blocks of about block_bytes, at line breaks. Of every
// round(1 / heldout) blocks in a row, one that Philox chooses is held out as a whole, so that a single book has a held-out
// part too and no text is in both. A piece is a run of blocks of one document that go to the same part; each
// piece stands between a BOS and an EOS.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ref/data/dataset.hpp"

namespace dsllm {

// What packing asks of a tokenizer; encode is called from many threads at once.
struct PackTokenizer {
  std::function<void(std::string_view text, std::vector<int32_t>& ids)> encode;
  int64_t vocab_size = 0;
  int32_t bos = 0, eos = 0;
  std::string json;  // the content of tokenizer.json
};

struct PackOptions {
  std::vector<std::string> inputs;
  std::string out;        // a folder; made if it is not there
  std::string separator;  // a line that is exactly this ends a document; empty: a file is one document
  double heldout = 0.05;  // 0 .. 0.5
  int64_t block_bytes = 16 * 1024;
  int64_t seed = 0;
};

// Consecutive pieces of text that together are `document`: each ends with the first line break after block_bytes or, if
// none follows within another block_bytes, between two UTF-8 characters. Takes O(document) time.
std::vector<std::string_view> cut_into_blocks(std::string_view document, int64_t block_bytes);

// Calls f for every document that is not empty, without its separator lines ("\n" and "\r\n" both end a line).
void for_each_document(std::string_view text, std::string_view separator,
                       const std::function<void(std::string_view)>& f);

// Whether block `index` of the whole input is held out.
bool is_held_out(int64_t index, double heldout, uint64_t seed);

// Writes the folder of ref/data/dataset.hpp; Text that is refused leaves an old set in the folder
// as it was; data.json is removed before the other files are replaced, and written last. Inputs are mapped,
// and ids written as they come: memory does not grow with the input. Same input, same files, for any number of
// threads. `progress` is told how many bytes of how many are done. Throws FileError (with the place in the file, for text
// that the tokenizer refuses), UsageError (no inputs), ValueError.
DataManifest pack(const PackOptions& options, const PackTokenizer& tokenizer,
                  const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace dsllm
