#include "ref/train/commands.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <ostream>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "ref/core/progress.hpp"
#include "ref/data/pack.hpp"
#include "ref/tokenizer/tokenizer_json.hpp"
#include "ref/train/interrupt.hpp"
#include "ref/train/run_log.hpp"

namespace dsllm {

namespace fs = std::filesystem;

void data_pack(const DataPackCommand& command, std::ostream& log, bool progress) {
  const ref::Tokenizer tokenizer = ref::read_tokenizer_json(command.tokenizer);
  if (!tokenizer.bos() || !tokenizer.eos())
    throw ValueError("data pack", "a tokenizer with a token for the begin and one for the end of a text",
                     command.tokenizer);
  ref::EncodeOptions encode;
  if (command.repair) encode.invalid_utf8 = ref::InvalidUtf8::replace;
  PackTokenizer t;
  t.encode = [&](std::string_view text, std::vector<int32_t>& ids) { tokenizer.encode(text, encode, ids); };
  t.vocab_size = tokenizer.size();
  t.bos = *tokenizer.bos();
  t.eos = *tokenizer.eos();
  t.json = read_file(command.tokenizer);

  std::optional<Progress> line;
  const auto report = [&](int64_t done, int64_t total) {
    if (!progress) return;
    if (!line) line.emplace("pack", "bytes", total);
    line->update(done);
  };
  const DataManifest manifest = pack(
      {command.inputs, command.out, command.separator, command.heldout, command.block_bytes, command.seed}, t,
      report);
  if (line) line->finish();
  for (const DataPart* part : {&manifest.train, &manifest.heldout})
    log << fmt::format(
        "{}/{}: {} tokens of {} bytes, {:.3f} bytes a token\n", command.out, part->file, part->tokens,
        part->bytes,
        part->tokens > 0 ? static_cast<double>(part->bytes) / static_cast<double>(part->tokens) : 0);
  if (manifest.heldout.tokens == 0 && command.heldout > 0)
    log << fmt::format("nothing is held out: the input is shorter than {:.0f} blocks of {} bytes\n",
                       1 / command.heldout, command.block_bytes);
}

TrainResult pretrain(const PretrainCommand& command, const PretrainBackend& backend, std::ostream& log,
                     bool progress) {
  std::string config_path = command.config;
  if (config_path.empty()) {
    if (!command.resume) throw UsageError("pretrain", "--config FILE", "none");
    config_path = (fs::path(command.out) / "config.json").string();
  }
  RunConfig config = read_run_config(config_path);
  if (command.tokens != 0) {
    config.train.tokens = command.tokens;
    config.train.validate();
  }
  const Dataset data = Dataset::open(command.data);
  const auto engine = backend.make_engine(config.model, config.train.micro_batch, config.train.seq_len);
  log << fmt::format("{} parameters, {} steps of {} tokens, {:.4g} FLOPs a token\n",
                     count_parameters(config.model).back().total, config.train.total_steps(),
                     config.train.tokens_per_step(),
                     training_flops_per_token(config.model, config.train.seq_len));

  TrainOptions options;
  options.run = command.out;
  options.resume = command.resume;
  options.from = command.from;
  options.peak_flops = backend.peak_flops;
  if (backend.model_files) options.extra_files = backend.model_files(config.model);
  const std::string tokenizer = read_file((fs::path(command.data) / "tokenizer.json").string());
  options.extra_files["tokenizer.json"] = tokenizer;
  options.stop = Interrupt::requested;
  options.messages = &log;
  options.progress = progress;
  const Interrupt interrupt;
  const TrainResult result = train(*engine, data, config.train, options);
  if (result.stopped) {
    log << fmt::format("dsllm-ref pretrain --config {} --data {} --out {}{} --resume\n", config_path,
                       command.data, command.out,
                       command.tokens != 0 ? fmt::format(" --tokens {}", command.tokens) : "");
    return result;
  }
  if (result.heldout_loss > 0)
    log << fmt::format("held-out text: {:.4f} nats a token, {:.4f} bits per byte\n", result.heldout_loss,
                       result.heldout_bits_per_byte);
  if (backend.save_model) {
    const fs::path folder = fs::path(command.out) / "model";
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) throw FileError(folder.string(), "", "a folder that can be made", error.message());
    backend.save_model(*engine, folder.string());
    write_file_atomically((folder / "tokenizer.json").string(), tokenizer);
    log << fmt::format("wrote {}\n", folder.string());
  }
  return result;
}

}  // namespace dsllm
