// dsllm-ref: the reference as a program. Options are parsed here; everything happens in the commands of each room.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "ref/eval/commands.hpp"
#include "ref/model/commands.hpp"

using namespace dsllm;

namespace {

void add_params(CLI::App& app) {
  auto* command = app.add_subcommand("params", "Print the number of parameters, part by part");
  auto o = std::make_shared<ParamsOptions>();
  command->add_option("--preset", o->preset, "deepseek-llm-7b, deepseek-llm-67b, demo or tiny");
  command->add_option("--config", o->config_file,
                      "a config file of this project, or a Hugging Face config.json");
  command->add_flag("--json", o->json, "print JSON");
  command->footer("example: dsllm-ref params --preset deepseek-llm-67b");
  command->callback([o] { params_command(*o, std::cout); });
}

void add_logits(CLI::App& app) {
  auto* command = app.add_subcommand("logits", "Write the logits of every position of a text given as ids");
  auto o = std::make_shared<LogitsOptions>();
  command->add_option("--model", o->model, "folder in Hugging Face form")->required();
  command->add_option("--ids", o->ids, "ids, separated by commas")->required()->delimiter(',');
  command->add_option("--out", o->out, "file to write, .npy")->required();
  command->footer("example: dsllm-ref logits --model runs/demo/model --ids 1,2,3 --out logits.npy");
  command->callback([o] { logits_command(*o, std::cerr); });
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
  command->footer(
      "example: dsllm-ref generate --model runs/demo/model --prompt 'In the beginning' --top-p 0.9");
  command->callback([o] { generate_command(*o, std::cout, std::cerr); });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The DeepSeek LLM paper (arXiv 2401.02954) in Eigen: tokenizer, pre-training, generation.",
               "dsllm-ref");
  app.require_subcommand(1);
  int threads = 0;
  app.add_option("--threads", threads, "threads to use; 0: one a core")->check(CLI::NonNegativeNumber);
  app.fallthrough();  // --threads may stand behind the command too
  app.parse_complete_callback([&] { set_threads(threads); });
  app.footer("Every command has --help with an example: dsllm-ref pretrain --help");
  add_params(app);
  add_logits(app);
  add_generate(app);
  try {
    app.parse(argc, argv);
    std::cout.flush();
    if (!std::cout) throw FileError("standard output", "", "space for what is printed", "a failed write");
    return 0;
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
