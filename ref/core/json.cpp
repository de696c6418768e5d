#include "ref/core/json.hpp"

#include <fmt/format.h>

#include <unordered_set>
#include <vector>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"

namespace dsllm {
namespace {

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ..." from the colon on, or
// "[json.exception.out_of_range.406] number overflow ..." from the bracket on.
std::string reason(const std::string& what) {
  for (const char* end : {": ", "] "})
    if (const size_t at = what.find(end); at != what.npos) return what.substr(at + 2);
  return what;
}

// A first pass that builds nothing and throws whatever is wrong with the text. (The library's own callback during
// parsing would do, but its cost grows with the square of the number of objects.)
class Check : public nlohmann::json_sax<Json> {
 public:
  explicit Check(const std::string& path) : path_(path) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }

  bool start_array(size_t) override { return deeper(); }
  bool end_array() override { return shallower(); }
  bool start_object(size_t) override { return deeper(); }
  bool end_object() override { return shallower(); }
  bool key(string_t& name) override {
    if (!keys_.back().insert(name).second)
      throw FileError(path_, fmt::format("key '{}'", name), "one value for it", "two");
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& e) override {
    throw FileError(path_, fmt::format("byte {}", position), "valid JSON", reason(e.what()));
  }

 private:
  bool deeper() {
    constexpr size_t max_depth = 64;
    keys_.emplace_back();
    if (keys_.size() > max_depth)
      throw FileError(path_, "", fmt::format("JSON nested at most {} deep", max_depth), "deeper nesting");
    return true;
  }
  bool shallower() {
    keys_.pop_back();
    return true;
  }

  const std::string& path_;
  std::vector<std::unordered_set<std::string>> keys_;  // of everything that is open; an array has none
};

template <class J>
J parse(std::string_view text, const std::string& path) {
  Check check(path);
  Json::sax_parse(text, &check);
  return J::parse(text);
}

}  // namespace

Json parse_json(std::string_view text, const std::string& path) {
  return parse<Json>(text, path);
}

SortedJson parse_sorted_json(std::string_view text, const std::string& path) {
  return parse<SortedJson>(text, path);
}

Json read_json(const std::string& path) {
  return parse_json(read_file(path), path);
}

}  // namespace dsllm
