#include "ref/data/pack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "ref/core/checksum.hpp"
#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "ref/core/npy.hpp"
#include "ref/core/parallel.hpp"

namespace dsllm {
namespace {

namespace fs = std::filesystem;

// A block of text, where it comes from, and what becomes of it.
struct Block {
  std::string_view text;
  const std::string* path;  // for messages, with the offset
  int64_t offset;
  bool ends_document;
  std::vector<int32_t> ids;
};

// One of the two files. An .npy header tells how many ids follow, which is known only in the end, so ids go to a
// spill file first.
class PartWriter {
 public:
  PartWriter(const fs::path& folder, const std::string& name, bool narrow)
      : folder_(folder),
        spill_path_((folder / (name + ".ids")).string()),
        narrow_(narrow),
        spill_(spill_path_) {
    part_.file = name + ".npy";
  }
  ~PartWriter() {
    std::error_code ignored;
    fs::remove(spill_path_, ignored);
  }

  void begin_piece(int32_t bos) {
    open_ = true;
    ++part_.pieces;
    append({&bos, 1});
  }
  void end_piece(int32_t eos) {
    if (open_) append({&eos, 1});
    open_ = false;
  }
  bool open() const { return open_; }

  void add(const Block& block) {
    append(block.ids);
    part_.bytes += static_cast<int64_t>(block.text.size());
  }

  DataPart finish() {
    spill_.commit();
    const std::string path = (folder_ / part_.file).string();
    {
      const MappedFile ids(spill_path_);
      AtomicFile file(path);
      const int64_t shape[] = {part_.tokens};
      file.write(detail::npy_header(narrow_ ? DType::u16 : DType::i32, shape));
      file.write(ids.bytes().data(), ids.bytes().size());
      file.commit();
    }
    part_.checksum = file_checksum(path);
    return part_;
  }

 private:
  void append(std::span<const int32_t> ids) {
    part_.tokens += static_cast<int64_t>(ids.size());
    if (!narrow_) return spill_.write(ids.data(), ids.size_bytes());
    narrowed_.assign(ids.begin(), ids.end());
    spill_.write(narrowed_.data(), narrowed_.size() * sizeof(uint16_t));
  }

  fs::path folder_;
  std::string spill_path_;
  bool narrow_, open_ = false;
  AtomicFile spill_;
  std::vector<uint16_t> narrowed_;
  DataPart part_;
};

class Packer {
 public:
  Packer(const PackOptions& options, const PackTokenizer& tokenizer)
      : options_(options),
        tokenizer_(tokenizer),
        train_(options.out, "train", tokenizer.vocab_size <= 1 << 16),
        heldout_(options.out, "heldout", tokenizer.vocab_size <= 1 << 16) {}

  void add_file(const std::string& path, const std::function<void(int64_t)>& done) {
    const MappedFile file(path);
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    for_each_document(text, options_.separator, [&](std::string_view document) {
      ++documents_;
      const auto blocks = cut_into_blocks(document, options_.block_bytes);
      for (const std::string_view block : blocks) {
        pending_.push_back(
            {block, &path, block.data() - text.data(), block.data() == blocks.back().data(), {}});
        pending_bytes_ += static_cast<int64_t>(block.size());
        if (pending_bytes_ >= batch_bytes) {
          flush();
          done(block.data() + block.size() - text.data());
        }
      }
    });
    flush();  // the text is unmapped on return
    done(static_cast<int64_t>(text.size()));
  }

  DataManifest finish() {
    DataManifest manifest;
    manifest.documents = documents_;
    manifest.vocab_size = tokenizer_.vocab_size;
    manifest.bos = tokenizer_.bos;
    manifest.eos = tokenizer_.eos;
    manifest.heldout_fraction = options_.heldout;
    manifest.block_bytes = options_.block_bytes;
    manifest.seed = options_.seed;
    manifest.train = train_.finish();
    manifest.heldout = heldout_.finish();
    return manifest;
  }

 private:
  static constexpr int64_t batch_bytes = int64_t{4}
                                         << 20;  // of text that is encoded at a time, by all threads

  void encode(Block& block) const {
    try {
      tokenizer_.encode(block.text, block.ids);
    } catch (const Error& e) {
      throw FileError(*block.path, fmt::format("the text from byte {}", block.offset), "text to tokenize",
                      e.what());
    }
    for (const int32_t id : block.ids)
      if (id < 0 || id >= tokenizer_.vocab_size)
        throw ValueError("pack", fmt::format("ids below the vocabulary of {}", tokenizer_.vocab_size),
                         fmt::to_string(id));
  }

  void flush() {
    parallel_for(static_cast<int64_t>(pending_.size()),
                 [&](int64_t i) { encode(pending_[static_cast<size_t>(i)]); });
    for (const Block& block : pending_) {
      const bool held_out = is_held_out(blocks_++, options_.heldout, static_cast<uint64_t>(options_.seed));
      PartWriter &to = held_out ? heldout_ : train_, &other = held_out ? train_ : heldout_;
      other.end_piece(tokenizer_.eos);
      if (!to.open()) to.begin_piece(tokenizer_.bos);
      to.add(block);
      if (block.ends_document) to.end_piece(tokenizer_.eos);
    }
    pending_.clear();
    pending_bytes_ = 0;
  }

  const PackOptions& options_;
  const PackTokenizer& tokenizer_;
  PartWriter train_, heldout_;
  std::vector<Block> pending_;
  int64_t pending_bytes_ = 0, documents_ = 0, blocks_ = 0;
};

void check(const PackOptions& options, const PackTokenizer& tokenizer) {
  if (options.inputs.empty()) throw UsageError("data pack", "at least one input file", "none");
  if (!(options.heldout >= 0 && options.heldout <= 0.5))
    throw ValueError("data pack", "a held-out share from 0 to 0.5", fmt::format("{}", options.heldout));
  if (options.block_bytes < 1 || options.block_bytes > 1 << 30)
    throw ValueError("data pack", "blocks of 1 to 2^30 bytes", fmt::format("{}", options.block_bytes));
  for (const int32_t id : {tokenizer.bos, tokenizer.eos})
    if (id < 0 || id >= tokenizer.vocab_size)
      throw ValueError("data pack",
                       fmt::format("BOS and EOS below the vocabulary of {}", tokenizer.vocab_size),
                       fmt::to_string(id));
}

}  // namespace

DataManifest pack(const PackOptions& options, const PackTokenizer& tokenizer,
                  const std::function<void(int64_t, int64_t)>& progress) {
  check(options, tokenizer);
  int64_t total = 0, before = 0;
  for (const std::string& path : options.inputs) {
    std::error_code error;
    const auto size = fs::file_size(path, error);
    if (error) throw FileError(path, "", "a readable file", error.message());
    total += static_cast<int64_t>(size);
  }
  const fs::path out = options.out;
  std::error_code error;
  fs::create_directories(out, error);
  if (error) throw FileError(options.out, "", "a folder that can be made", error.message());
  const std::string manifest_path = (out / "data.json").string();

  Packer packer(options, tokenizer);
  for (const std::string& path : options.inputs) {
    int64_t in_file = 0;
    packer.add_file(path, [&](int64_t done) {
      in_file = done;
      if (progress) progress(before + done, total);
    });
    before += in_file;
  }
  // All the text has been encoded: only now does an old set in this folder stop being one.
  fs::remove(manifest_path, error);
  DataManifest manifest = packer.finish();
  const std::string tokenizer_path = (out / "tokenizer.json").string();
  write_file_atomically(tokenizer_path, tokenizer.json);
  manifest.tokenizer_checksum = file_checksum(tokenizer_path);
  write_file_atomically(manifest_path, manifest_to_json(manifest).dump(2) + "\n");
  return manifest;
}

}  // namespace dsllm
