#include "ref/train/run_log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"

namespace dsllm {
namespace {

constexpr std::string_view header =
    "step,tokens,split,loss,bits_per_byte,lr,grad_norm,tokens_per_s,gemm_fraction\n";

template <class T>
bool parse(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_row(std::string_view line, LogRow& row) {
  std::vector<std::string_view> cells;
  for (size_t begin = 0;;) {
    const size_t comma = line.find(',', begin);
    cells.push_back(line.substr(begin, comma - begin));
    if (comma == std::string_view::npos) break;
    begin = comma + 1;
  }
  if (cells.size() != 9 || (cells[2] != "train" && cells[2] != "heldout")) return false;
  row.heldout = cells[2] == "heldout";
  const auto optional = [&](size_t i, double& value) { return cells[i].empty() || parse(cells[i], value); };
  return parse(cells[0], row.step) && parse(cells[1], row.tokens) && parse(cells[3], row.loss) &&
         parse(cells[4], row.bits_per_byte) && optional(5, row.lr) && optional(6, row.grad_norm) &&
         optional(7, row.tokens_per_s) && optional(8, row.gemm_fraction);
}

// Calls f(row, end of its line) for each whole line.
template <class F>
void for_each_row(const std::string& text, const std::string& path, const F& f) {
  if (!text.starts_with(header))
    throw FileError(path, "line 1", fmt::format("'{}'", header.substr(0, header.size() - 1)),
                    fmt::format("'{}'", text.substr(0, std::min<size_t>(text.find('\n'), 80))));
  int64_t number = 2;
  for (size_t begin = header.size(); begin < text.size(); ++number) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) return;
    LogRow row;
    if (!parse_row(std::string_view(text).substr(begin, end - begin), row))
      throw FileError(path, fmt::format("line {}", number), "a row of the log",
                      text.substr(begin, end - begin));
    f(row, end + 1);
    begin = end + 1;
  }
}

[[noreturn]] void fail(const std::string& path) {
  throw FileError(path, "", "a log that can be written", std::strerror(errno));
}

}  // namespace

RunLog::RunLog(const std::string& path, int64_t last_step) : path_(path) {
  std::string kept(header);
  if (std::filesystem::exists(path)) {
    const std::string text = read_file(path);
    size_t end = header.size();
    // A process that was killed as it began may have left less than the header.
    if (!header.starts_with(text))
      for_each_row(text, path, [&](const LogRow& row, size_t line_end) {
        if (row.step <= last_step) end = line_end;
      });
    kept = header.starts_with(text) ? std::string(header) : text.substr(0, end);
  }
  write_file_atomically(path, kept);
  file_.reset(std::fopen(path.c_str(), "ae"));
  if (!file_) fail(path);
}

void RunLog::write(const LogRow& row) {
  std::string line = fmt::format("{},{},{},{},{}", row.step, row.tokens, row.heldout ? "heldout" : "train",
                                 row.loss, row.bits_per_byte);
  if (row.heldout)
    line += ",,,,\n";
  else
    line += fmt::format(",{},{},{:.0f},{}\n", row.lr, row.grad_norm, row.tokens_per_s,
                        row.gemm_fraction > 0 ? fmt::format("{:.4f}", row.gemm_fraction) : "");
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() || std::fflush(file_.get()) != 0)
    fail(path_);
}

void RunLog::flush() {
  if (::fsync(::fileno(file_.get())) != 0) fail(path_);
}

std::vector<LogRow> read_run_log(const std::string& path) {
  std::vector<LogRow> rows;
  for_each_row(read_file(path), path, [&](const LogRow& row, size_t) { rows.push_back(row); });
  return rows;
}

double training_flops_per_token(const ModelConfig& config, int64_t seq) {
  const int64_t embedding = config.vocab_size * config.d_model;
  const double weights = static_cast<double>(count_parameters(config).back().total - embedding);
  const double attention =
      static_cast<double>(config.n_layers * config.q_dim()) * static_cast<double>(seq + 1);
  return 6 * weights + 6 * attention;
}

}  // namespace dsllm
