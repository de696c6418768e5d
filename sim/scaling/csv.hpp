// A table of numbers from a CSV file: a line of column names, then lines of as many cells. Lines that begin with # and
// empty lines are skipped. Nothing is believed: every complaint names the file, the line, the column and the rule.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dsllm::sim {

struct CsvTable {
  std::string path;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // [rows, columns], without spaces around a cell
  std::vector<int64_t> lines;                  // [rows], the line of the file, from 1

  // The index of a column, by the first of these names that stands in the table; -1: none of them does.
  int64_t find(const std::vector<std::string>& names) const;
  // The same; throws FileError listing the names.
  int64_t require(const std::vector<std::string>& names) const;

  // Throws FileError for a column that is none of these and does not begin with one of `ignored`.
  void expect_only(const std::vector<int64_t>& known, const std::vector<std::string>& ignored = {}) const;

  // "line 7, column val_bpb"
  std::string place(int64_t row, int64_t column) const;
  // The finite number of a cell. Throws FileError for an empty cell, for a NaN, an infinity or anything after it.
  double number(int64_t row, int64_t column) const;
  // The same, and above 0, as whatever goes into a logarithm must be.
  double positive(int64_t row, int64_t column) const;
};

// Throws FileError: no line of names, an empty or a repeated name, a line with another number of cells, no rows at all.
CsvTable parse_csv(std::string_view text, const std::string& path);
CsvTable read_csv(const std::string& path);

// The finite number that a text begins with, and in `rest` what follows it, without spaces around. False if there is none.
bool parse_leading_number(std::string_view text, double& value, std::string_view& rest);

}  // namespace dsllm::sim
