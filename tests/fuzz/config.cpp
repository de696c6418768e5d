// Any text as a config: one of the errors that name a place, or a config that reads back from what is written of it.
#include "ref/core/config.hpp"

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "ref/train/train_config.hpp"
#include "tests/fuzz/expect.hpp"

using namespace dsllm;

template <class FromJson, class ToJson>
static void read_and_write(const Json& json, FromJson from_json, ToJson to_json) {
  Json written;
  try {
    written = to_json(from_json(json, "fuzz"));
  } catch (const Error&) {
    return;
  }
  EXPECT(to_json(from_json(parse_json(written.dump(), "written"), "written")) == written);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Json json;
  try {
    json = parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
  } catch (const FileError&) {
    return 0;
  }
  read_and_write(json, model_config_from_json, model_config_to_json);
  read_and_write(json, train_config_from_json, train_config_to_json);
  read_and_write(json, run_config_from_json, run_config_to_json);
  try {
    EXPECT(count_parameters(model_config_from_json(json, "fuzz")).back().total > 0);
  } catch (const Error&) {
  }
  return 0;
}
