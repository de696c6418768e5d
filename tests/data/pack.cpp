#include "ref/data/pack.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <set>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "ref/core/parallel.hpp"
#include "tests/data/scratch.hpp"

using namespace dsllm;
using namespace dsllm::testing;

static std::vector<int32_t> ids_of(const TokenFile& file) {
  std::vector<int32_t> ids(static_cast<size_t>(file.size()));
  file.read(0, ids);
  return ids;
}

// The texts between BOS and EOS; fails where they do not alternate.
static std::vector<std::string> pieces_of(const TokenFile& file) {
  std::vector<std::string> pieces;
  bool open = false;
  for (const int32_t id : ids_of(file)) {
    if (open == (id == byte_bos)) FAIL("BOS, text and EOS do not follow each other");
    if (id == byte_bos)
      pieces.emplace_back();
    else if (id != byte_eos)
      pieces.back() += static_cast<char>(id);
    open = id != byte_eos;
  }
  REQUIRE(!open);
  return pieces;
}

static std::string numbered_lines(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += fmt::format("line {} of a text that is long enough to be cut\n", i);
  return text;
}

TEST_CASE("pack: every line of one long document is in exactly one part, and 5% are held out") {
  const ScratchFolder scratch;
  const int lines = 20'000;
  const std::string text = numbered_lines(lines);
  PackOptions options{{scratch.write("a.txt", text)}, scratch / "data", "", 0.05, 2000, 1};
  const DataManifest m = pack(options, byte_tokenizer());
  const Dataset data = Dataset::open(options.out);
  std::set<std::string> seen;
  size_t count = 0;
  for (const TokenFile* part : {&data.train, &data.heldout})
    for (const std::string& piece : pieces_of(*part)) {
      REQUIRE(!piece.empty());
      REQUIRE(piece.back() == '\n');  // cut at line breaks only
      for (size_t at = 0, end; at < piece.size(); at = end + 1) {
        end = piece.find('\n', at);
        REQUIRE(seen.insert(piece.substr(at, end - at)).second);
        ++count;
      }
    }
  CHECK(count == static_cast<size_t>(lines));
  const double share = static_cast<double>(m.heldout.bytes) / static_cast<double>(text.size());
  CHECK(share > 0.048);  // 1 of 20 blocks of equal size, up to one block of about 500 at the end
  CHECK(share < 0.052);
  CHECK(m.train.bytes + m.heldout.bytes == static_cast<int64_t>(text.size()));
  CHECK(m.documents == 1);
  CHECK(m.train.tokens == m.train.bytes + 2 * m.train.pieces);
  CHECK(m.heldout.tokens == data.heldout.size());
  CHECK(read_file(options.out + "/tokenizer.json") == "{}\n");
}

TEST_CASE(
    "pack: a document that fits in a block is one piece; separators and empty documents leave nothing") {
  const ScratchFolder scratch;
  PackOptions options;
  options.inputs = {scratch.write("a.txt", "%\none\nuno\n%\r\ntwo %\n%%\n%\n%\nthree"),
                    scratch.write("empty", ""), scratch.write("b.txt", "four\n%\n")};
  options.out = scratch / "data";
  options.separator = "%";
  options.heldout = 0;
  const DataManifest m = pack(options, byte_tokenizer());
  const Dataset data = Dataset::open(options.out);
  CHECK(pieces_of(data.train) == std::vector<std::string>{"one\nuno\n", "two %\n%%\n", "three", "four\n"});
  CHECK(m.documents == 4);
  CHECK(m.train.pieces == 4);
  CHECK(data.heldout.size() == 0);
}

TEST_CASE("pack: a document with a held-out block in the middle becomes two pieces of the other part") {
  const ScratchFolder scratch;
  PackOptions options{{scratch.write("a.txt", numbered_lines(40))}, scratch / "data", "", 0.25, 100, 0};
  pack(options, byte_tokenizer());
  const Dataset data = Dataset::open(options.out);
  const auto train = pieces_of(data.train), heldout = pieces_of(data.heldout);
  REQUIRE(train.size() >= 2);
  std::map<size_t, std::string> in_order;  // by where they stand in the text: together they are the text
  const std::string text = numbered_lines(40);
  for (const auto& pieces : {train, heldout})
    for (const std::string& piece : pieces) in_order[text.find(piece)] = piece;
  std::string joined;
  for (const auto& [at, piece] : in_order) joined += piece;
  CHECK(joined == text);
}

TEST_CASE("pack: the files are the same for any number of threads") {
  const ScratchFolder scratch;
  const std::string input = scratch.write("a.txt", numbered_lines(200'000));  // more than one batch
  const auto run = [&](int count) {
    set_threads(count);
    const std::string out = scratch / fmt::format("data-{}", count);
    pack({{input}, out, "", 0.05, 5000, 3}, byte_tokenizer());
    set_threads(0);
    return read_file(out + "/data.json") + read_file(out + "/train.npy");
  };
  CHECK(run(1) == run(3));
}

TEST_CASE("pack: ids of a large vocabulary are written as int32") {
  const ScratchFolder scratch;
  PackTokenizer t = byte_tokenizer();
  t.vocab_size = 70'000;
  t.encode = [](std::string_view text, std::vector<int32_t>& ids) { ids.assign(text.size(), 69'999); };
  pack({{scratch.write("a.txt", "abc")}, scratch / "data", "", 0, 100, 0}, t);
  const Dataset data = Dataset::open(scratch / "data");
  CHECK(ids_of(data.train) == std::vector<int32_t>{byte_bos, 69'999, 69'999, 69'999, byte_eos});
  CHECK(data.train.path().find("train.npy") != std::string::npos);
  CHECK(read_file(data.train.path()).find("'<i4'") != std::string::npos);
}

TEST_CASE("pack: blocks end at line breaks, or between characters where there is none") {
  const auto join = [](const std::vector<std::string_view>& blocks) {
    std::string all;
    for (const auto b : blocks) all += b;
    return all;
  };
  const auto blocks = cut_into_blocks("aaaa\nbb\nccccc\n", 5);
  CHECK(blocks == std::vector<std::string_view>{"aaaa\n", "bb\nccccc\n"});
  std::string han;
  for (int i = 0; i < 100; ++i) han += "\xe6\xb0\xb4";  // three bytes each, no line break
  for (const int64_t size : {1, 2, 7, 50, 299, 300, 1000}) {
    const auto cut = cut_into_blocks(han, size);
    CHECK(join(cut) == han);
    for (const auto b : cut) CHECK(b.size() % 3 == 0);
  }
  CHECK(join(cut_into_blocks(std::string(100, '\x80'), 3)).size() == 100);  // not UTF-8 at all
  CHECK(cut_into_blocks("", 5).empty());
}

TEST_CASE("pack: of every 1 / share blocks in a row exactly one is held out, and the seed says which") {
  std::set<std::string> patterns;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    std::string pattern;
    for (int64_t group = 0; group < 50; ++group) {
      int in_group = 0;
      for (int64_t i = 0; i < 20; ++i) {
        const bool held = is_held_out(group * 20 + i, 0.05, seed);
        in_group += held ? 1 : 0;
        pattern += held ? '1' : '0';
      }
      REQUIRE(in_group == 1);
    }
    patterns.insert(pattern);
    CHECK(!is_held_out(static_cast<int64_t>(seed), 0, seed));
  }
  CHECK(patterns.size() == 10);
}

TEST_CASE("pack: bad options, inputs and text are errors that name the place") {
  const ScratchFolder scratch;
  const std::string a = scratch.write("a.txt", numbered_lines(100));
  const std::string out = scratch / "data";
  CHECK_THROWS_AS(pack({{}, out, ""}, byte_tokenizer()), UsageError);
  CHECK_THROWS_AS(pack({{a}, out, "", 0.6}, byte_tokenizer()), ValueError);
  CHECK_THROWS_AS(pack({{a}, out, "", 0.1, 0}, byte_tokenizer()), ValueError);
  CHECK_THROWS_AS(pack({{scratch / "absent"}, out, ""}, byte_tokenizer()), FileError);
  CHECK_THROWS_AS(pack({{a}, a, ""}, byte_tokenizer()), FileError);  // the folder is a file
  PackTokenizer refuses = byte_tokenizer();
  refuses.encode = [](std::string_view text, std::vector<int32_t>&) {
    if (text.find("line 50 ") != std::string_view::npos) throw ValueError("encode", "UTF-8", "byte ff");
  };
  try {
    pack({{a}, out, "", 0.05, 1000, 0}, refuses);
    FAIL("accepted");
  } catch (const FileError& e) {
    CHECK(std::string(e.what()).find("a.txt: the text from byte 2") != std::string::npos);
  }
  // A failed pack leaves no manifest behind, so that nobody trains on half of it.
  CHECK(!std::filesystem::exists(out + "/data.json"));
  CHECK(!std::filesystem::exists(out + "/train.ids"));
  CHECK_THROWS_AS(Dataset::open(out), FileError);
}

TEST_CASE("pack: text that is refused leaves the set that was there; a file that was changed is found out") {
  const ScratchFolder scratch;
  const std::string a = scratch.write("a.txt", numbered_lines(1000)), out = scratch / "data";
  pack({{a}, out, "", 0.05, 1000, 0}, byte_tokenizer());
  PackTokenizer refuses = byte_tokenizer();
  refuses.encode = [](std::string_view, std::vector<int32_t>&) {
    throw ValueError("encode", "UTF-8", "byte ff");
  };
  CHECK_THROWS_AS(pack({{a}, out, "", 0.05, 1000, 0}, refuses), FileError);
  CHECK_NOTHROW(Dataset::open(out));

  for (const char* name : {"train.npy", "heldout.npy", "tokenizer.json"}) {
    const std::string path = out + "/" + name, good = read_file(path);
    std::string changed = good;
    changed.back() ^= 1;
    write_file_atomically(path, changed);
    try {
      Dataset::open(out);
      FAIL("accepted a changed " << name);
    } catch (const FileError& e) {
      CHECK_MESSAGE(
          std::string(e.what()).find(std::string(name) + ": expected checksum ") != std::string::npos,
          e.what());
    }
    write_file_atomically(path, good);
  }
  CHECK_NOTHROW(Dataset::open(out));
}
