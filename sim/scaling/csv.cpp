#include "sim/scaling/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "ref/core/error.hpp"
#include "ref/core/file.hpp"

namespace dsllm::sim {

namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\r";
  const size_t begin = text.find_first_not_of(blank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

std::vector<std::string> cells_of(std::string_view line) {
  std::vector<std::string> cells;
  for (;;) {
    const size_t comma = line.find(',');
    cells.emplace_back(trimmed(line.substr(0, comma)));
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

std::string listed(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

bool parse_leading_number(std::string_view text, double& value, std::string_view& rest) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return false;
  rest = trimmed(text.substr(static_cast<size_t>(end - text.data())));
  return true;
}

int64_t CsvTable::find(const std::vector<std::string>& names) const {
  for (const std::string& name : names) {
    const auto at = std::find(columns.begin(), columns.end(), name);
    if (at != columns.end()) return at - columns.begin();
  }
  return -1;
}

int64_t CsvTable::require(const std::vector<std::string>& names) const {
  const int64_t column = find(names);
  if (column < 0)
    throw FileError(path, "line of column names",
                    (names.size() == 1 ? "a column " : "a column by one of the names ") + listed(names),
                    listed(columns));
  return column;
}

void CsvTable::expect_only(const std::vector<int64_t>& known, const std::vector<std::string>& ignored) const {
  std::vector<std::string> names = ignored;
  for (std::string& prefix : names) prefix += "...";
  for (int64_t c : known)
    if (c >= 0) names.push_back(columns[static_cast<size_t>(c)]);
  for (size_t c = 0; c < columns.size(); ++c) {
    const bool is_ignored = std::any_of(ignored.begin(), ignored.end(), [&](const std::string& prefix) {
      return columns[c].starts_with(prefix);
    });
    if (!is_ignored && std::find(known.begin(), known.end(), static_cast<int64_t>(c)) == known.end())
      throw FileError(path, "line of column names", "no columns but " + listed(names), columns[c]);
  }
}

std::string CsvTable::place(int64_t row, int64_t column) const {
  return fmt::format("line {}, column {}", lines[static_cast<size_t>(row)],
                     columns[static_cast<size_t>(column)]);
}

double CsvTable::number(int64_t row, int64_t column) const {
  const std::string& cell = rows[static_cast<size_t>(row)][static_cast<size_t>(column)];
  double value = 0;
  std::string_view rest;
  if (!parse_leading_number(cell, value, rest) || !rest.empty())
    throw FileError(path, place(row, column), "a finite number", cell.empty() ? "an empty cell" : cell);
  return value;
}

double CsvTable::positive(int64_t row, int64_t column) const {
  const double value = number(row, column);
  if (!(value > 0))
    throw FileError(path, place(row, column), "a number above 0",
                    rows[static_cast<size_t>(row)][static_cast<size_t>(column)]);
  return value;
}

CsvTable parse_csv(std::string_view text, const std::string& path) {
  CsvTable table;
  table.path = path;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // a byte-order mark
  for (int64_t line = 1; !text.empty(); ++line) {
    const size_t end = text.find('\n');
    const std::string_view content = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (content.empty() || content.starts_with('#')) continue;
    std::vector<std::string> cells = cells_of(content);
    if (table.columns.empty()) {
      for (size_t c = 0; c < cells.size(); ++c) {
        if (cells[c].empty())
          throw FileError(path, fmt::format("line {}, cell {}", line, c + 1), "the name of a column",
                          "an empty cell");
        if (std::find(cells.begin(), cells.begin() + static_cast<int64_t>(c), cells[c]) !=
            cells.begin() + static_cast<int64_t>(c))
          throw FileError(path, fmt::format("line {}, cell {}", line, c + 1), "every column once",
                          cells[c] + " again");
      }
      table.columns = std::move(cells);
      continue;
    }
    if (cells.size() != table.columns.size())
      throw FileError(path, fmt::format("line {}", line),
                      fmt::format("{} cells, as many as there are columns", table.columns.size()),
                      fmt::format("{}", cells.size()));
    table.rows.push_back(std::move(cells));
    table.lines.push_back(line);
  }
  if (table.columns.empty()) throw FileError(path, "", "a line of column names", "none");
  if (table.rows.empty()) throw FileError(path, "", "lines of numbers after the column names", "none");
  return table;
}

CsvTable read_csv(const std::string& path) {
  return parse_csv(read_file(path), path);
}

}  // namespace dsllm::sim
