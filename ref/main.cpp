// dsllm-ref: the reference as a program. Options are parsed here; everything happens in the commands of each room.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iostream>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "ref/core/parallel.hpp"
#include "ref/eval/commands.hpp"
#include "ref/model/commands.hpp"
#include "ref/model/eigen_engine.hpp"
#include "ref/model/gemm_peak.hpp"
#include "ref/tokenizer/commands.hpp"
#include "ref/train/commands.hpp"
#include "ref/train/plot_command.hpp"

using namespace dsllm;

namespace {

// --threads of a command that computes. Set at once: callbacks of commands run after all options are read.
void add_threads(CLI::App* command) {
  command->add_option_function<int>("--threads", set_threads, "threads to use; 0: one a core")
      ->check(CLI::Range(0, max_threads));
}

void add_tokenizer(CLI::App& app) {
  auto* tokenizer = app.add_subcommand("tokenizer", "Train a byte-level BPE tokenizer, encode, decode");
  tokenizer->require_subcommand(1);

  auto* train = tokenizer->add_subcommand("train", "Learn a vocabulary from text files");
  auto t = std::make_shared<ref::TokenizerTrainCommand>();
  train->add_option("--input", t->inputs, "text files, UTF-8")->required();
  train->add_option("--vocab-size", t->vocab_size, "ids to end up with, special tokens among them")
      ->required()
      ->check(CLI::Range(int64_t{1}, int64_t{INT32_MAX}));
  train->add_option("--special", t->special, "special tokens, which get the first ids");
  train->add_option("--min-frequency", t->min_frequency, "do not merge pairs that are rarer")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  train->add_flag("--all-bytes", t->all_bytes,
                  "begin with the 243 bytes of UTF-8, not only those that occur");
  train->add_flag("--greater-bytes", t->greater_bytes,
                  "break ties by the greater pair of bytes, as some courses do");
  train->add_option("--out", t->out, "the tokenizer.json to write")->required();
  add_threads(train);
  train->footer("example: dsllm-ref tokenizer train --input book.txt --vocab-size 4096 --out tokenizer.json");
  train->callback([t] { ref::tokenizer_train(*t, std::cerr); });

  auto* encode = tokenizer->add_subcommand("encode", "Text to ids");
  auto e = std::make_shared<ref::TokenizerEncodeCommand>();
  auto input = std::make_shared<std::string>();
  encode->add_option("--tokenizer", e->tokenizer, "a tokenizer.json")->required();
  encode->add_option("--input", *input, "text file; without it, standard input");
  encode->add_flag("--jsonl", e->jsonl, "a JSON string a line in, an array of ids a line out");
  encode->add_flag("--bos", e->bos, "put the beginning-of-sentence id in front of every text");
  encode->add_flag("--parse-special", e->parse_special,
                   "read the spelling of special tokens as those tokens");
  encode->add_flag("--replace-invalid", e->replace_invalid,
                   "U+FFFD for what is not UTF-8, in place of an error");
  encode->add_flag("--drop-unknown", e->drop_unknown, "leave out bytes that the vocabulary lacks");
  encode->footer("example: echo 'In the beginning' | dsllm-ref tokenizer encode --tokenizer tokenizer.json");
  encode->callback([e, input] {
    if (input->empty()) return ref::tokenizer_encode(*e, std::cin, std::cout);
    std::ifstream file(*input, std::ios::binary);
    if (!file) throw FileError(*input, "", "a readable file", std::strerror(errno));
    ref::tokenizer_encode(*e, file, std::cout);
  });

  auto* decode = tokenizer->add_subcommand("decode", "Ids on standard input to text");
  auto d = std::make_shared<ref::TokenizerDecodeCommand>();
  decode->add_option("--tokenizer", d->tokenizer, "a tokenizer.json")->required();
  decode->add_flag("--jsonl", d->jsonl, "an array of ids a line in, a JSON string a line out");
  decode->add_flag("--repair", d->repair, "added tokens as the characters they matched, not as bytes");
  decode->add_flag("--skip-special", d->skip_special, "leave special tokens out");
  decode->footer(
      "example: echo '37 100014 71 6245' | dsllm-ref tokenizer decode --tokenizer tokenizer.json --repair");
  decode->callback([d] { ref::tokenizer_decode(*d, std::cin, std::cout); });
}

void add_data(CLI::App& app) {
  auto* data = app.add_subcommand("data", "Prepare training data");
  data->require_subcommand(1);
  auto* pack = data->add_subcommand("pack", "Text files to packed token ids, a part of them held out");
  auto o = std::make_shared<DataPackCommand>();
  pack->add_option("--tokenizer", o->tokenizer, "a tokenizer.json with tokens for begin and end of text")
      ->required();
  pack->add_option("--input", o->inputs, "text files, UTF-8")->required();
  pack->add_option("--separator", o->separator,
                   "a line that ends a document; without it a file is one document");
  pack->add_option("--heldout", o->heldout, "share of the text to hold out")->capture_default_str();
  pack->add_option("--block-bytes", o->block_bytes, "long documents are cut to hold parts out")
      ->capture_default_str();
  pack->add_option("--seed", o->seed, "of the choice of what is held out")->capture_default_str();
  pack->add_flag("--repair", o->repair, "U+FFFD for what is not UTF-8, in place of an error");
  pack->add_option("--out", o->out, "folder to write")->required();
  add_threads(pack);
  pack->footer("example: dsllm-ref data pack --tokenizer tokenizer.json --input book.txt --out data");
  pack->callback([o] { data_pack(*o, std::cerr, true); });
}

// The Eigen transformer behind the trainer.
PretrainBackend eigen_backend() {
  PretrainBackend backend;
  backend.make_engine = [](const ModelConfig& config, int64_t batch, int64_t seq) {
    return std::make_unique<ref::EigenEngine>(config, batch, seq);
  };
  backend.model_files = [](const ModelConfig& config) {
    return std::map<std::string, std::string>{
        {"config.json", config_to_hugging_face(config, DType::f32).dump(2) + "\n"}};
  };
  backend.save_model = [](const TrainEngine& engine, const std::string& folder) {
    save_hugging_face(folder, engine.config(), DType::f32, [&](const ParameterInfo& p, View<float, 1> host) {
      engine.copy_out(StatePart::weights, p, host);
    });
  };
  return backend;
}

// What a shell reports for a process that Ctrl-C ended: scripts around it stop too.
constexpr int interrupted = 130;

void add_pretrain(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("pretrain", "Train a model; Ctrl-C saves a checkpoint");
  auto o = std::make_shared<PretrainCommand>();
  command->add_option("--config", o->config, R"(file with {"model": {...}, "train": {...}})");
  command->add_option("--data", o->data, "folder that `data pack` wrote")->required();
  command->add_option("--out", o->out, "folder of the run: log.csv, checkpoints, model")->required();
  command->add_flag("--resume", o->resume, "go on from the newest whole checkpoint of the run");
  command->add_option("--from", o->from,
                      "begin at this checkpoint of another run, taken before its rate fell");
  command->add_option("--tokens", o->tokens, "another budget than the config's")->check(CLI::PositiveNumber);
  add_threads(command);
  command->footer(
      "Ctrl-C or SIGTERM saves a checkpoint after the step and ends with 130.\n"
      "example: dsllm-ref pretrain --config demo.json --data data --out runs/mine");
  command->callback([o, &exit_code] {
    PretrainBackend backend = eigen_backend();
    backend.peak_flops = ref::measure_gemm_peak();
    if (pretrain(*o, backend, std::cerr, true).stopped) exit_code = interrupted;
  });
}

void add_plot(CLI::App& app) {
  auto* command = app.add_subcommand("plot", "Draw the loss of runs in the terminal");
  auto runs = std::make_shared<std::vector<std::string>>();
  command->add_option("runs", *runs, "folders of runs")->required();
  command->footer("example: dsllm-ref plot runs/demo/multi-step runs/demo/cosine");
  command->callback([runs] { plot_runs(*runs, std::cout); });
}

void add_params(CLI::App& app) {
  auto* command = app.add_subcommand("params", "Print the number of parameters, part by part");
  auto o = std::make_shared<ParamsOptions>();
  command->add_option("--preset", o->preset, "a model by name")->check(CLI::IsMember(model_presets()));
  command->add_option("--config", o->config_file,
                      "a config file of this project, or a Hugging Face config.json");
  command->add_flag("--json", o->json, "print JSON");
  command->footer("example: dsllm-ref params --preset deepseek-llm-67b");
  command->callback([o] { params_command(*o, std::cout); });
}

// "1,2,3". CLI11's own lists let "1,,3" pass.
std::vector<int32_t> parse_ids(const std::string& text) {
  std::vector<int32_t> ids;
  const char *at = text.data(), *const end = text.data() + text.size();
  for (;;) {
    int32_t id = 0;
    const auto [stop, error] = std::from_chars(at, end, id);
    if (error != std::errc() || (stop != end && *stop != ','))
      throw UsageError("--ids", "whole numbers with a comma between two of them", "'" + text + "'");
    ids.push_back(id);
    if (stop == end) return ids;
    at = stop + 1;
  }
}

void add_logits(CLI::App& app) {
  auto* command = app.add_subcommand("logits", "Write the logits of every position of a text given as ids");
  auto o = std::make_shared<LogitsOptions>();
  command->add_option("--model", o->model, "folder in Hugging Face form")->required();
  auto ids = std::make_shared<std::string>();
  command->add_option("--ids", *ids, "ids, separated by commas")->required();
  command->add_option("--out", o->out, "file to write, .npy")->required();
  add_threads(command);
  command->footer("example: dsllm-ref logits --model runs/demo/model --ids 1,2,3 --out logits.npy");
  command->callback([o, ids] {
    o->ids = parse_ids(*ids);
    logits_command(*o, std::cerr);
  });
}

void add_generate(CLI::App& app) {
  auto* command = app.add_subcommand("generate", "Continue a text");
  auto o = std::make_shared<GenerateOptions>();
  SampleSettings& s = o->sample;
  command->add_option("--model", o->model, "folder in Hugging Face form, with tokenizer.json")->required();
  command->add_option("--prompt", o->prompt, "how the text begins")->required();
  command->add_option("--max-tokens", s.max_tokens, "tokens to write")->capture_default_str();
  command->add_option("--temperature", s.temperature, "0: always the likeliest token")->capture_default_str();
  command->add_option("--top-p", s.top_p, "keep the likeliest tokens of this probability")
      ->capture_default_str();
  command->add_option("--top-k", s.top_k, "keep this many of the likeliest tokens; 0: all")
      ->capture_default_str();
  command->add_option("--seed", s.seed, "of the draws")->capture_default_str();
  add_threads(command);
  command->footer(
      "example: dsllm-ref generate --model runs/demo/model --prompt 'In the beginning' --top-p 0.9");
  command->callback([o] {
    try {
      o->sample.validate();
    } catch (const ConfigError& e) {
      throw CLI::ValidationError(e.what());
    }
    generate_command(*o, std::cout, std::cerr);
  });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The DeepSeek LLM paper (arXiv 2401.02954) in Eigen: tokenizer, pre-training, generation.",
               "dsllm-ref");
  app.require_subcommand(1);
  int exit_code = 0;
  app.footer("Every command has --help with an example: dsllm-ref pretrain --help");
  add_tokenizer(app);
  add_data(app);
  add_params(app);
  add_pretrain(app, exit_code);
  add_plot(app);
  add_logits(app);
  add_generate(app);
  try {
    app.parse(argc, argv);
    std::cout.flush();
    if (!std::cout) throw FileError("standard output", "", "space for what is printed", "a failed write");
    return exit_code;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const UsageError& e) {
    std::cerr << "dsllm-ref: " << e.what() << "\n";
    return 2;
  } catch (const std::bad_alloc&) {
    std::cerr << "dsllm-ref: out of memory\n";
    return 1;
  } catch (const std::exception& e) {
    std::cerr << "dsllm-ref: " << e.what() << "\n";
    return 1;
  }
}
