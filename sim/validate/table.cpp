#include "sim/validate/table.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <type_traits>
#include <utility>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"
#include "ref/core/gpu.hpp"

namespace dsllm::sim {

namespace {

constexpr double any = 1e18;

// Every column with its cell and, for numbers, its range. The one list that reading and the header's check walk.
template <class Visit>
void visit_cells(Measurement& m, Visit&& visit) {
  visit("name", m.name, 0.0, any);
  visit("n_layers", m.n_layers, 1.0, 10'000.0);
  visit("d_model", m.d_model, 1.0, 1048576.0);
  visit("n_heads", m.n_heads, 1.0, 65536.0);
  visit("n_kv_heads", m.n_kv_heads, 1.0, 65536.0);
  visit("d_ff", m.d_ff, 1.0, 16777216.0);
  visit("gated", m.gated, 0.0, 1.0);
  visit("tied", m.tied, 0.0, 1.0);
  visit("vocab_size", m.vocab_size, 1.0, 268435456.0);
  visit("seq_len", m.seq_len, 1.0, 268435456.0);
  visit("gpu", m.gpu, 0.0, any);
  visit("gpus", m.gpus, 1.0, 16777216.0);
  visit("gpus_per_node", m.gpus_per_node, 1.0, 65536.0);
  visit("dp", m.dp, 1.0, 16777216.0);
  visit("tp", m.tp, 1.0, 65536.0);
  visit("pp", m.pp, 1.0, 65536.0);
  visit("cp", m.cp, 1.0, 65536.0);
  visit("interleave", m.interleave, 1.0, 65536.0);
  visit("schedule", m.schedule, 0.0, any);
  visit("zero", m.zero, 0.0, 3.0);
  visit("micro_batch", m.micro_batch, 1.0, 16777216.0);
  visit("global_batch", m.global_batch, 1.0, 1073741824.0);
  visit("recompute", m.recompute, 0.0, any);
  visit("sp", m.sp, 0.0, 1.0);
  visit("precision", m.precision, 0.0, any);
  visit("measured_step_time_s", m.measured_step_time_s, 0.0, 1e9);
  visit("measured_memory_bytes", m.measured_memory_bytes, 0.0, 1e15);
  visit("oom", m.oom, 0.0, 1.0);
}

std::string lower(std::string_view text) {
  std::string s(text);
  std::transform(s.begin(), s.end(), s.begin(),
                 [](unsigned char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  return s;
}

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// A place in the file, for messages.
struct Place {
  const std::string& path;
  int64_t line;
  [[noreturn]] void fail(const std::string& expected, const std::string& got) const {
    throw FileError(path, "line " + std::to_string(line), expected, got);
  }
  [[noreturn]] void fail(std::string_view column, const std::string& expected, std::string_view got) const {
    throw FileError(path, "line " + std::to_string(line) + ", column " + std::string(column), expected,
                    "'" + std::string(got) + "'");
  }
};

// The cells of one line. A quoted cell may hold commas and, doubled, quotes.
std::vector<std::string> split(std::string_view line, const Place& place) {
  std::vector<std::string> cells;
  size_t i = 0;
  for (;;) {
    std::string cell;
    size_t start = i;
    while (start < line.size() && (line[start] == ' ' || line[start] == '\t')) ++start;
    if (start < line.size() && line[start] == '"') {
      i = start + 1;
      for (;; ++i) {
        if (i >= line.size())
          place.fail("a closing quote on the line where a cell opens one", std::string(line.substr(start)));
        if (line[i] != '"') {
          cell += line[i];
        } else if (i + 1 < line.size() && line[i + 1] == '"') {
          cell += line[i++];
        } else {
          break;
        }
      }
      const size_t end = std::min(line.find(',', ++i), line.size());
      if (!trimmed(line.substr(i, end - i)).empty())
        place.fail("a comma after a closing quote", std::string(line.substr(start, end - start)));
      i = end;
    } else {
      const size_t end = std::min(line.find(',', i), line.size());
      cell = trimmed(line.substr(i, end - i));
      i = end;
    }
    cells.push_back(std::move(cell));
    if (i >= line.size()) return cells;
    ++i;
  }
}

std::string describe(double x) {
  if (std::abs(x) < 1e15 && x == std::floor(x)) return std::to_string(static_cast<int64_t>(x));
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, x).ptr;
  return {text, end};
}

// NaN and infinities too: no range holds them.
std::optional<double> number(std::string_view cell) {
  if (!cell.empty() && cell.front() == '+') cell.remove_prefix(1);
  double x = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), x);
  if (error != std::errc{} || end != cell.data() + cell.size()) return std::nullopt;
  return x;
}

template <class T>
T cell_value(std::string_view cell, double minimum, double maximum, std::string_view column,
             const Place& place) {
  if constexpr (std::is_same_v<T, bool>) {
    const std::string word = lower(cell);
    if (word == "1" || word == "1.0" || word == "true" || word == "yes") return true;
    if (word == "0" || word == "0.0" || word == "false" || word == "no") return false;
    place.fail(column, "0 or 1", cell);
  } else if constexpr (std::is_same_v<T, int64_t>) {
    const auto x = number(cell);
    if (x && *x >= minimum && *x <= maximum && *x == std::floor(*x)) return static_cast<int64_t>(*x);
    place.fail(column, "a whole number from " + describe(minimum) + " to " + describe(maximum), cell);
  } else if constexpr (std::is_same_v<T, double>) {
    const auto x = number(cell);
    if (x && *x > minimum && *x <= maximum) return *x;
    place.fail(column, "a number above " + describe(minimum) + " and up to " + describe(maximum), cell);
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (column == "gpu") {
      if (auto gpu = gpu_from_table(cell)) return *gpu;
      std::string names;
      for (const Gpu& g : all_gpus()) names += (names.empty() ? "" : ", ") + g.name;
      place.fail(column, "one of " + names, cell);
    }
    std::string word = lower(cell);
    if (word != "bf16" && word != "fp16" && word != "fp8") place.fail(column, "one of bf16, fp16, fp8", cell);
    return word;
  } else {
    try {
      if constexpr (std::is_same_v<T, ScheduleKind>) return schedule_from_string(lower(cell));
      if constexpr (std::is_same_v<T, Recompute>) return recompute_from_string(lower(cell));
    } catch (const ValueError&) {
      place.fail(column,
                 std::is_same_v<T, Recompute> ? "one of none, selective, full"
                                              : "one of gpipe, 1f1b, interleaved, zb-h1, zb-h2, dualpipe",
                 cell);
    }
  }
}

// For every cell of a line the index of its column in visit_cells.
std::vector<size_t> read_header(const std::vector<std::string>& cells, const Place& place) {
  std::vector<std::string> names;
  Measurement m;
  visit_cells(m, [&](const char* name, auto&, double, double) { names.emplace_back(name); });
  std::vector<size_t> columns;
  for (const std::string& cell : cells) {
    const auto found = std::find(names.begin(), names.end(), cell);
    if (found == names.end()) {
      std::string all;
      for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
      place.fail("a header of the columns " + all, "the unknown column '" + cell + "'");
    }
    const auto column = static_cast<size_t>(found - names.begin());
    if (std::find(columns.begin(), columns.end(), column) != columns.end())
      place.fail("every column once", "the column '" + cell + "' twice");
    columns.push_back(column);
  }
  for (size_t i = 0; i < names.size(); ++i)
    if (std::find(columns.begin(), columns.end(), i) == columns.end())
      place.fail("the column '" + names[i] + "'", "a header without it");
  return columns;
}

Measurement read_row(const std::vector<std::string>& cells, const std::vector<size_t>& columns,
                     const Place& place) {
  if (cells.size() != columns.size())
    place.fail(std::to_string(columns.size()) + " cells, as the header has",
               std::to_string(cells.size()) + " cells");
  std::vector<std::string_view> ordered(columns.size());
  for (size_t i = 0; i < columns.size(); ++i) ordered[columns[i]] = cells[i];
  Measurement m;
  m.line = place.line;
  size_t next = 0;
  visit_cells(m, [&](const char* column, auto& value, double minimum, double maximum) {
    const std::string_view cell = ordered[next++];
    using Value = std::remove_reference_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, std::string>) {
      value = cell;
    } else if (!cell.empty()) {
      value = cell_value<typename Value::value_type>(cell, minimum, maximum, column, place);
    }
  });
  if (m.name.empty()) m.name = "line " + std::to_string(place.line);
  return m;
}

}  // namespace

std::optional<std::string> gpu_from_table(std::string_view name) {
  // As datasheets and clusters call them; a name without a form factor is the one that trains large models.
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 25> aliases{{
      {"v100", "v100-sxm"},
      {"v100-sxm2", "v100-sxm"},
      {"v100-32gb", "v100-sxm"},
      {"v100-sxm2-32gb", "v100-sxm"},
      {"v100-sxm-32gb", "v100-sxm"},
      {"a100", "a100-sxm"},
      {"a100-80gb", "a100-sxm"},
      {"a100-sxm-80gb", "a100-sxm"},
      {"a100-sxm4-80gb", "a100-sxm"},
      {"a100-40gb", "a100-sxm-40gb"},
      {"a100-sxm4-40gb", "a100-sxm-40gb"},
      {"a100-pcie-80gb", "a100-pcie"},
      {"h100", "h100-sxm"},
      {"h100-80gb", "h100-sxm"},
      {"h100-sxm5", "h100-sxm"},
      {"h100-sxm-80gb", "h100-sxm"},
      {"h100-sxm5-80gb", "h100-sxm"},
      {"h100-pcie-80gb", "h100-pcie"},
      {"h800", "h800-sxm"},
      {"h800-80gb", "h800-sxm"},
      {"h200", "h200-sxm"},
      {"h200-141gb", "h200-sxm"},
      {"b200", "b200-sxm"},
      {"b300", "b300-sxm"},
      {"gb200 (per gpu)", "gb200"},
  }};
  const std::string wanted = lower(name);
  for (const Gpu& g : all_gpus())
    if (g.name == wanted) return g.name;
  for (const auto& [alias, gpu] : aliases)
    if (alias == wanted) return std::string(gpu);
  return std::nullopt;
}

std::vector<Measurement> parse_table(std::string_view text, const std::string& path) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.substr(0, 3) == byte_order_mark) text.remove_prefix(3);
  std::vector<Measurement> rows;
  std::vector<size_t> columns;
  int64_t line_number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (trimmed(line).empty() || line.front() == '#') continue;
    const Place place{path, line_number};
    const std::vector<std::string> cells = split(line, place);
    if (columns.empty()) {
      columns = read_header(cells, place);
    } else {
      rows.push_back(read_row(cells, columns, place));
    }
  }
  if (columns.empty()) throw FileError(path, "", "a header and at least one row", "neither");
  if (rows.empty()) throw FileError(path, "", "at least one row below the header", "none");
  return rows;
}

std::vector<Measurement> read_table(const std::string& path) {
  return parse_table(read_file(path), path);
}

}  // namespace dsllm::sim
