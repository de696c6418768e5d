// The name Json without the weight of the library, for headers.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace dsllm {

using Json =
    nlohmann::ordered_json;  // keeps the order of fields, so that a file that is read and written stays

}  // namespace dsllm
