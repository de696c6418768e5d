#include "tests/tune/collectives.hpp"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "ref/core/error.hpp"

namespace dsllm::sim {

namespace {

using Line = std::map<std::string, std::string>;

std::vector<Line> read_lines(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw FileError(path, "", "a readable file", "none");
  const auto split = [](const std::string& line) {
    std::vector<std::string> cells;
    std::istringstream stream(line);
    for (std::string cell; std::getline(stream, cell, ',');) cells.push_back(cell);
    return cells;
  };
  std::vector<Line> lines;
  std::vector<std::string> header;
  for (std::string text; std::getline(in, text);) {
    if (text.empty() || text[0] == '#') continue;
    const auto cells = split(text);
    if (header.empty()) {
      header = cells;
      continue;
    }
    if (cells.size() != header.size())
      throw FileError(path, text, "as many cells as columns", "another number");
    for (size_t i = 0; i < cells.size(); ++i)
      (i == 0 ? lines.emplace_back() : lines.back())[header[i]] = cells[i];
  }
  return lines;
}

double number(const Line& line, const std::string& column, const std::string& path) {
  const auto it = line.find(column);
  double value = 0;
  if (it != line.end() &&
      std::from_chars(it->second.data(), it->second.data() + it->second.size(), value).ec == std::errc{})
    return value;
  throw FileError(path, "column " + column, "a number", it == line.end() ? "no such column" : it->second);
}

Machine nodes_of(const char* gpu, int64_t gpus) {
  Cluster cluster;
  cluster.gpu = gpu;
  cluster.gpus = gpus;
  cluster.gpus_per_node = 8;
  return machine_of(cluster, Recipe{});
}

}  // namespace

std::vector<MeasuredCollective> read_collectives(const std::string& facts, const std::string& data) {
  std::vector<MeasuredCollective> all;
  const std::string nccl = data + "/vtrain_nccl_allreduce_intranode.csv";
  if (std::filesystem::exists(nccl))
    for (const Line& line : read_lines(nccl)) {
      if (line.at("gpu") != "a100") continue;
      const auto ranks = static_cast<int64_t>(number(line, "ranks", nccl));
      const double bytes = number(line, "bytes", nccl);
      all.push_back({"a100 all-reduce",
                     nodes_of("a100-sxm", 8),
                     {ranks, ranks},

                     bytes,
                     number(line, "out_of_place_ns", nccl) * 1e-9});
    }
  // Bus bandwidths of all-reduces of 256 MB: 2 bytes (n-1)/n / time. Its all-gathers are left out: whether 256 MB are one
  // rank's part or the whole is not said.
  const std::string bus = facts + "/hf_ultrascale_comm_bandwidth.csv";
  if (std::filesystem::exists(bus))
    for (const Line& line : read_lines(bus)) {
      const auto nodes = static_cast<int64_t>(number(line, "nodes", bus));
      // From 4 nodes on the fastest and the slowest of its runs differ five times: traffic of others, not a network.
      if (nodes > 2) continue;
      const Group group{8 * nodes, 8};
      const double bytes = 256e6;
      const double share = static_cast<double>(group.size - 1) / static_cast<double>(group.size);
      const Machine machine = nodes_of("h100-sxm", group.size);
      all.push_back({"h100 all-reduce", machine, group, bytes,
                     2 * share * bytes / (1e9 * number(line, "allreduce_GBps_mean", bus))});
    }
  return all;
}

double predicted_s(const MeasuredCollective& m, const Constants& constants) {
  const Rates rates = rates_of(m.machine, constants);
  return all_reduce_s(rates, m.group, m.bytes);
}

}  // namespace dsllm::sim
