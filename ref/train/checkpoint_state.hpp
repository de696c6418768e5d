// state.json of a checkpoint.
#pragma once

#include "ref/train/checkpoint.hpp"

namespace dsllm {

Json state_to_json(const CheckpointState& state);

// Throws FileError, ConfigError for missing, unknown or impossible fields.
CheckpointState state_from_json(const Json& json, const std::string& path);

}  // namespace dsllm
