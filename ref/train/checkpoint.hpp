// Checkpoints: everything that a run needs to go on as if it had never stopped.
//
//     RUN/checkpoints/step-000123/
//         model.safetensors      weights under their Hugging Face names, fp32
//         optimizer.safetensors  AdamW's moments: adam_m.NAME, adam_v.NAME, fp32
//         state.json             CheckpointState below
//         ...                    whatever else the caller adds (config.json, tokenizer.json)
//         manifest.json          size and checksum of each of the above; written last
//
// A checkpoint is written into step-000123.tmp: every file is flushed, the manifest last, then the folder is renamed and
// its parent flushed. So whatever happens, a power cut included, a folder with the final name and a manifest that holds is
// whole, and a failed save leaves the earlier ones as they were.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ref/core/config.hpp"
#include "ref/data/loader.hpp"
#include "ref/model/engine.hpp"
#include "ref/train/train_config.hpp"

namespace dsllm {

struct CheckpointState {
  int64_t step = 0;    // steps done
  int64_t tokens = 0;  // tokens seen
  DataPosition position;
  std::string data_checksum;  // of the training text
  ModelConfig model;
  // The schedule and the seed are part of it. There is no other generator to store: Philox draws the weights from
  // (seed) and the order of the data from (seed, epoch), and nothing else is random.
  TrainConfig train;
};

// Where the checkpoint of a step lies: RUN/checkpoints/step-000123.
std::string checkpoint_path(const std::string& run, int64_t step);

// The checkpoints of a run by rising step, whole or not; folders of unfinished saves (.tmp) are not among them.
struct CheckpointEntry {
  int64_t step = 0;
  std::string path;
};
std::vector<CheckpointEntry> list_checkpoints(const std::string& run);

// What keeps a checkpoint from being whole, in words (no manifest, a file that is missing, of another size or, if contents
// are checked, of another checksum), or nothing.
std::optional<std::string> find_damage(const std::string& checkpoint, bool check_contents);

// The newest whole checkpoint of a run, contents checked; `report` is told of each newer one that is skipped, and why.
std::optional<CheckpointEntry> newest_whole_checkpoint(
    const std::string& run,
    const std::function<void(const std::string& path, const std::string& damage)>& report);

struct SaveOptions {
  int64_t keep =
      2;  // whole checkpoints up to and including this one; older ones are removed once it is durable
  int64_t pinned = -1;  // the step of a checkpoint that is never removed, and not counted
  std::map<std::string, std::string> extra_files;  // name -> content
};

// Saves the engine's state; returns the checkpoint's path. One of the same step is replaced. Newer ones are never removed.
// Throws FileError if anything cannot be written (a full disk), and removes what it had written.
std::string save_checkpoint(const std::string& run, const TrainEngine& engine, const CheckpointState& state,
                            const SaveOptions& options);

// Reads state.json alone. Throws FileError, ConfigError.
CheckpointState read_checkpoint_state(const std::string& checkpoint);

// Checks the whole checkpoint, then copies weights and moments into the engine. Throws FileError for a torn one, and
// ConfigError that names both shapes for one of another model; the engine is then unchanged.
CheckpointState load_checkpoint(const std::string& checkpoint, TrainEngine& engine);

}  // namespace dsllm
