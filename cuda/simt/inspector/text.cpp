#include <fmt/format.h>

#include <algorithm>

#include "cuda/simt/inspector/facts.hpp"
#include "cuda/simt/inspector/print.hpp"

namespace dsllm::cuda::simt::inspector {
namespace {

std::string bytes_text(int64_t n) {
  const auto x = static_cast<double>(n);
  if (n < 10 * 1024) return fmt::format("{} B", n);
  if (n < 10 * 1024 * 1024) return fmt::format("{:.1f} KiB", x / 1024);
  return fmt::format("{:.1f} MiB", x / (1024 * 1024));
}

std::string flops_text(double n) {
  if (n < 1e4) return fmt::format("{:.0f} FLOP", n);
  if (n < 1e7) return fmt::format("{:.1f} kFLOP", n * 1e-3);
  if (n < 1e10) return fmt::format("{:.1f} MFLOP", n * 1e-6);
  return fmt::format("{:.1f} GFLOP", n * 1e-9);
}

std::string time_text(double s) {
  if (s < 1e-6) return fmt::format("{:.3g} ns", s * 1e9);
  return s < 1e-3 ? fmt::format("{:.3g} us", s * 1e6) : fmt::format("{:.3g} ms", s * 1e3);
}

double ratio(int64_t a, int64_t b) {
  return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : 0;
}

std::string place(const Line& line) {
  return describe(Site{line.file.c_str(), line.line});
}

std::string roofline_text(const Roofline& r, const Gpu& gpu) {
  std::string text = fmt::format("at least {} ({}, {})", time_text(r.floor_s()),
                                 r.memory_bound ? "memory-bound" : "compute-bound",
                                 r.memory_bound ? fmt::format("{:.0f} GB/s", gpu.hbm_bytes_per_s * 1e-9)
                                                : fmt::format("{} otherwise", time_text(r.memory_s)));
  text += r.intensity > 0 ? fmt::format("; {:.3g} FLOP/byte, the ridge is at {:.3g}", r.intensity, r.ridge)
                          : "; FLOPs not given";
  return text;
}

std::string occupancy_text(const KernelReport& k, const KernelFacts& f) {
  const int64_t threads = int64_t{k.block.x} * k.block.y * k.block.z;
  std::string text =
      fmt::format("{} threads and {} of shared memory a block, ", threads, bytes_text(f.shared_bytes));
  text += f.compiled ? fmt::format("{} registers a thread", f.compiled->registers)
                     : "registers: unknown (no nvcc report)";
  if (f.compiled && f.compiled->spill_bytes > 0)
    text += fmt::format(" and {} spilled", bytes_text(f.compiled->spill_bytes));
  text += fmt::format(": {} block{} an SM, {:.0f}% of its warps, limited by {}", f.occupancy.blocks,
                      f.occupancy.blocks == 1 ? "" : "s", 100 * f.occupancy.share(), f.occupancy.limited_by);
  return text;
}

// A line of the table. Sectors or wavefronts are those of a request, beside the ideal.
std::string line_text(const LineReport& l) {
  const Counts& c = l.counts;
  const double per_request = ratio(c.units, c.requests), ideal = ratio(c.ideal_units, c.requests);
  const double excess = ratio(c.units, c.ideal_units);
  return fmt::format("    {:<28} {:<6} {:>6} {:>2} B {:>10} {:>7.4g} of {:<5.4g} {:<10} {:>10}{}\n",
                     place(l.line), l.shared ? "shared" : "global", name(l.kind), l.bytes, c.requests,
                     per_request, ideal, l.shared ? "wavefronts" : "sectors", bytes_text(c.bytes),
                     excess > 1.05 ? fmt::format("  {:.3g} times the ideal", excess) : "");
}

std::string kernel_text(const KernelReport& k, const Facts& facts, int most_races) {
  const KernelFacts f = facts.of(k);
  std::string t = fmt::format("kernel {}: {} launch{}, {} block{} of ({}, {}, {}) threads\n", k.name,
                              k.launches, k.launches == 1 ? "" : "es", k.blocks, k.blocks == 1 ? "" : "s",
                              k.block.x, k.block.y, k.block.z);
  t += fmt::format("  global memory  requested {}, moved {}, least possible {} (read {}, written {})",
                   bytes_text(k.bytes_requested), bytes_text(k.bytes_moved), bytes_text(k.bytes_least()),
                   bytes_text(k.bytes_read_least), bytes_text(k.bytes_written_least));
  if (k.bytes_least() > 0) t += fmt::format(": {:.2f} times", ratio(k.bytes_moved, k.bytes_least()));
  t += fmt::format("\n  work           {} by tensor cores", flops_text(static_cast<double>(k.mma_flops)));
  t += f.other_flops > 0 ? fmt::format(", {} others\n", flops_text(f.other_flops)) : "\n";
  t += fmt::format("  {:<14} {}\n", facts.gpu().name, roofline_text(f.roofline, facts.gpu()));
  t += fmt::format("  occupancy      {}\n", occupancy_text(k, f));
  t += fmt::format("    {:<28} {:<18} {:>9} {:>27} {:>10}\n", "line", "access", "requests", "a request",
                   "asked for");
  for (const LineReport& l : k.lines) t += line_text(l);
  if (k.races.empty()) t += "  no races\n";
  for (size_t i = 0; i < k.races.size() && i < static_cast<size_t>(most_races); ++i)
    t += fmt::format("  {}\n", k.races[i].text());
  if (k.races.size() > static_cast<size_t>(most_races))
    t += fmt::format("  and races at {} more pairs of lines\n",
                     k.races.size() - static_cast<size_t>(most_races));
  return t;
}

}  // namespace

std::string text(const Report& report, const PrintOptions& options) {
  const Facts facts(options);
  if (report.kernels.empty()) return "no kernel was launched\n";
  std::string t;
  for (const KernelReport& k : report.kernels) t += kernel_text(k, facts, options.most_races) + "\n";
  if (report.kernels.size() > 1 || options.flops.count("") != 0)
    t += fmt::format("all kernels: {} on an {}\n", roofline_text(facts.total(report), facts.gpu()),
                     facts.gpu().name);
  t += fmt::format(
      "Times are computed from the datasheet of an {}, not measured. Moved: 32 bytes a sector, as if no "
      "cache held any.\n",
      facts.gpu().name);
  return t;
}

}  // namespace dsllm::cuda::simt::inspector
