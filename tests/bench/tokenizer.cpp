// The tokenizer on one thread: encoding English, Chinese and code, decoding, training to exhaustion.
//
// Texts are the King James Bible, Tang and Song poems (from installed packages), and the project's own sources; the
// vocabulary is the published one where it is there, else one learned from these texts. A folder in the environment
// variable DSLLM_BENCH_TEXTS with english.txt, chinese.txt, code.txt and tokenizer.json replaces all of them, so that
// another library can be given the same.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "ref/core/file.hpp"
#include "ref/core/parallel.hpp"
#include "ref/tokenizer/tokenizer_json.hpp"
#include "ref/tokenizer/train.hpp"
#include "tests/tokenizer/shared_data.hpp"

using namespace dsllm;
using namespace dsllm::ref;

namespace {

// Poems without the escape sequences that color them.
std::string chinese_poems() {
  std::string text, plain;
  for (const char* name : {"tang300.u8", "song100.u8"})
    if (const std::string path = std::string("/usr/share/games/fortunes/") + name;
        std::filesystem::exists(path))
      text += read_file(path);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b')
      i = std::min(text.find('m', i), text.size());
    else
      plain += text[i];
  }
  return plain;
}

std::string own_sources() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(DSLLM_SOURCE_DIR "/ref"))
    if (entry.is_regular_file()) paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  std::string text;
  for (const std::string& path : paths) text += read_file(path);
  return text;
}

struct Material {
  std::string english, chinese, code;
  std::unique_ptr<const Tokenizer> tokenizer;
};

const Material& material() {
  static const Material all = [] {
    Material m;
    if (const char* folder = std::getenv("DSLLM_BENCH_TEXTS")) {
      const auto path = [&](const char* name) { return std::string(folder) + "/" + name; };
      m.english = read_file(path("english.txt"));
      m.chinese = read_file(path("chinese.txt"));
      m.code = read_file(path("code.txt"));
      m.tokenizer = std::make_unique<const Tokenizer>(read_tokenizer_json(path("tokenizer.json")));
      return m;
    }
    m.english = test::king_james_bible().value_or("");
    m.chinese = chinese_poems();
    m.code = own_sources();
    if (const auto published = test::shared_data("tokenizer/deepseek-llm-tokenizer.json")) {
      m.tokenizer = std::make_unique<const Tokenizer>(read_tokenizer_json(*published));
    } else {
      const std::array<std::string_view, 3> texts = {m.english, m.chinese, m.code};
      TrainOptions options;
      options.vocab_size = 32000;
      options.all_bytes = true;
      m.tokenizer = std::make_unique<const Tokenizer>(train_bpe(texts, options));
    }
    return m;
  }();
  return all;
}

void report(benchmark::State& state, const std::string& text) {
  if (text.empty()) state.SkipWithError("the text is not installed");
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(text.size()));
}

void encode(benchmark::State& state, const std::string Material::*which) {
  const std::string& text = material().*which;
  std::vector<int32_t> ids;
  for (auto _ : state) {
    ids.clear();
    material().tokenizer->encode(text, {}, ids);
    benchmark::DoNotOptimize(ids.data());
  }
  report(state, text);
  state.counters["bytes_per_id"] =
      static_cast<double>(text.size()) / static_cast<double>(std::max<size_t>(1, ids.size()));
}

void decode(benchmark::State& state) {
  const std::vector<int32_t> ids = material().tokenizer->encode(material().english);
  for (auto _ : state) benchmark::DoNotOptimize(material().tokenizer->decode(ids));
  report(state, material().english);
}

void train(benchmark::State& state) {
  set_threads(1);
  const std::string_view text = material().english;
  TrainOptions options;
  options.vocab_size = 1'000'000;  // until no pair is left
  size_t merges = 0;
  for (auto _ : state) merges = train_bpe({&text, 1}, options).merges.size();
  set_threads(0);
  report(state, material().english);
  state.counters["merges"] = static_cast<double>(merges);
}

BENCHMARK_CAPTURE(encode, english, &Material::english)
    ->Name("tokenizer/encode/english")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, chinese, &Material::chinese)
    ->Name("tokenizer/encode/chinese")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, code, &Material::code)
    ->Name("tokenizer/encode/code")
    ->Unit(benchmark::kMillisecond);
BENCHMARK(decode)->Name("tokenizer/decode/english")->Unit(benchmark::kMillisecond);
BENCHMARK(train)->Name("tokenizer/train/english")->Unit(benchmark::kMillisecond);

}  // namespace
