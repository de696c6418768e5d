#include "cuda/simt/inspector/inspector.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <deque>
#include <map>
#include <tuple>
#include <unordered_map>

#include "cuda/core/device.hpp"
#include "cuda/simt/block.hpp"
#include "cuda/simt/inspector/order_of_threads.hpp"
#include "cuda/simt/inspector/regions.hpp"
#include "cuda/simt/symbols.hpp"

namespace dsllm::cuda::simt::inspector {

bool at_work = false;

namespace {

using Access = Observer::Access;

// Set while the inspector works: its own use of an inline function that is also in a kernel is nobody's access.
struct Work {
  Work() : before(at_work) { at_work = true; }
  ~Work() { at_work = before; }
  bool before;
};

struct Instruction {
  const void* pc;
  Space space;
  Access access;
  int bytes;
};

struct Race {
  Stamp earlier, later;
  Kind earlier_kind, later_kind;
  int64_t earlier_block, later_block;
  Index3 grid, block;
  std::string where;
  int64_t count = 0;
};

// What was seen of one kernel, over all its launches.
struct Kernel {
  KernelReport totals;
  std::unordered_map<uint64_t, uint32_t> numbers;  // of instructions
  std::vector<Instruction> instructions;
  std::vector<Counting> how;
  std::vector<Counts> counts;
  std::map<std::tuple<uint32_t, uint32_t, Kind, Kind>, Race> races;  // by both instructions
  std::map<int64_t, int64_t> shared_variables;                       // offset, bytes
};

Kind kind_of(Access access) {
  return static_cast<Kind>(access);
}

Index3 unflatten(int64_t i, Index3 extent) {
  const int64_t x = extent.x, y = extent.y;
  return {static_cast<unsigned>(i % x), static_cast<unsigned>(i / x % y), static_cast<unsigned>(i / (x * y))};
}

}  // namespace

void fail(Block& block, const std::string& expected, const std::string& got, const void* pc) {
  at_work = false;  // this call does not return
  block.fail_at(expected, got, pc);
}

struct Inspector::State {
  Regions regions;
  OrderOfThreads order;
  Traffic traffic;
  std::deque<Kernel> kernels;
  std::unordered_map<const void*, Kernel*> by_function;
  Kernel* kernel = nullptr;
  Index3 grid, block;

  uint32_t number_of(const void* pc, Space space, Access access, int bytes);
  void trace(Block& block, const std::byte* p, int64_t bytes, Access access, const void* pc, bool in_flight,
             bool counted);
  void count_traffic(Block& block, const Region& region, const std::byte* p, int64_t bytes, Access access,
                     const void* pc);
  void read(Cell& cell, Stamp now, const Region& region, const std::byte* p);
  void write(Cell& cell, Stamp now, const Region& region, const std::byte* p);
  bool check(const Stamp& before, Kind kind, const Stamp& now, Kind now_kind, const Region& region,
             const std::byte* p);
  bool raced = false;  // the access that is traced: counted once
};

// --- the course of a launch ----------------------------------------------------------------------------------------------

Inspector::Inspector() : state_(std::make_unique<State>()) {}
Inspector::~Inspector() = default;

void Inspector::grid_begins(const Grid& grid) {
  const Work work;
  State& s = *state_;
  Kernel*& known = s.by_function[grid.function];
  if (known == nullptr) {
    known = &s.kernels.emplace_back();
    known->totals.name = function_name(grid.function);
  }
  s.kernel = known;
  s.grid = grid.grid;
  s.block = grid.block;
  KernelReport& totals = known->totals;
  ++totals.launches;
  totals.block = grid.block;
  totals.dynamic_shared_bytes = grid.shared_bytes;
  s.traffic.forget();
  s.traffic.count_in(&known->how, &known->counts);
  s.regions.launch_begins();
  s.order.launch_begins();
}

void Inspector::grid_ends(const Grid&) {}

void Inspector::block_begins(Block& block) {
  const Work work;
  state_->regions.block_begins(block);
  state_->order.block_begins(block);
  ++state_->kernel->totals.blocks;
  state_->kernel->totals.threads += block.thread_count();
}

void Inspector::block_ends(Block&) {
  const Work work;
  state_->traffic.finish();
}

void Inspector::barrier_passed(Block& block) {
  const Work work;
  state_->order.barrier_passed();
  for (unsigned w = 0; w * warp_size < block.thread_count(); ++w) state_->traffic.met(w, ~0u, true);
}

void Inspector::collective_done(Block& block, const Collective& collective) {
  const Work work;
  const unsigned warp = block.thread() / warp_size;
  const uint32_t live = block.warp().live;
  state_->traffic.met(warp, collective.mask, (collective.mask & live) == live);
  if (std::string_view(collective.operation) == "__syncwarp") state_->order.sync_warp(warp, collective.mask);
}

void Inspector::fence(Block& block) {
  const Work work;
  state_->order.fence(block.thread());
}

void Inspector::mma(Block&, int64_t flops) {
  state_->kernel->totals.mma_flops += flops;
}

// --- accesses --------------------------------------------------------------------------------------------------------------

void Inspector::access(Block& block, const void* address, int64_t bytes, Access access, const void* pc) {
  const Work work;
  state_->trace(block, static_cast<const std::byte*>(address), bytes, access, pc, false, true);
}

// The bytes are on their way from now on: whoever touches them before the wait is in a race with the copy.
void Inspector::copy_issued(Block& block, const PendingCopy& copy) {
  const Work work;
  if (copy.valid > 0)
    state_->trace(block, static_cast<const std::byte*>(copy.global), copy.valid, Access::read, copy.pc, false,
                  true);
  state_->trace(block, static_cast<const std::byte*>(copy.shared), copy.bytes, Access::write, copy.pc, true,
                true);
}

void Inspector::copy_done(Block& block, const PendingCopy& copy) {
  const Work work;
  if (copy.valid > 0)
    state_->trace(block, static_cast<const std::byte*>(copy.global), copy.valid, Access::read, copy.pc, false,
                  false);
  state_->trace(block, static_cast<const std::byte*>(copy.shared), copy.bytes, Access::write, copy.pc, false,
                false);
}

uint32_t Inspector::State::number_of(const void* pc, Space space, Access access, int bytes) {
  const uint64_t key = reinterpret_cast<uintptr_t>(pc) << 12 | static_cast<uint64_t>(bytes & 127) << 4 |
                       static_cast<uint64_t>(space) << 2 | static_cast<uint64_t>(access);
  const auto [at, is_new] =
      kernel->numbers.try_emplace(key, static_cast<uint32_t>(kernel->instructions.size()));
  if (is_new) {
    kernel->instructions.push_back({pc, space, access, bytes});
    kernel->how.push_back({bytes, space != Space::global, access == Access::atomic});
    kernel->counts.emplace_back();
  }
  return at->second;
}

// A copy of more than 16 bytes is several instructions on a GPU.
void Inspector::State::count_traffic(Block& running, const Region& region, const std::byte* p, int64_t bytes,
                                     Access access, const void* pc) {
  const uint32_t lanes = running.warp().lanes;
  for (int64_t at = 0; at < bytes;) {
    auto offset = static_cast<uint64_t>(p + at - region.begin);
    int part = 16;
    while (part > bytes - at || offset % static_cast<uint64_t>(part) != 0) part /= 2;
    if (region.space == Space::global) offset = reinterpret_cast<uintptr_t>(p + at);
    const uint32_t instruction = number_of(pc, region.space, access, part);
    traffic.access(running.thread() / warp_size, running.lane(), lanes, instruction, offset);
    at += part;
  }
}

void Inspector::State::trace(Block& running, const std::byte* p, int64_t bytes, Access access, const void* pc,
                             bool in_flight, bool counted) {
  if (bytes <= 0) return;
  Region* const region = regions.find(running, p, bytes, access, pc);
  if (region == nullptr) return;
  if (counted) count_traffic(running, *region, p, bytes, access, pc);
  if (region->space == Space::static_shared) kernel->shared_variables[region->offset] = region->bytes;

  Stamp now = order.now(running);
  now.instruction =
      number_of(pc, region->space, access, static_cast<int>(std::min<int64_t>(bytes, 16))) & ((1u << 30) - 1);
  now.atomic = access == Access::atomic;
  now.in_flight = in_flight;
  if (access == Access::atomic && region->space == Space::global) order.atomic(p, now);
  raced = false;
  const int64_t offset = p - region->begin;
  region->shadow.refine(offset, bytes);
  const int step = region->shadow.cell_bytes();
  for (int64_t at = 0; at < bytes; at += step) {
    Cell& cell = region->shadow.at(offset + at);
    if (region->space != Space::global) {
      if (access != Access::write && cell.writer.block != now.block)
        fail(running, "shared memory that a thread of the block has written before",
             fmt::format("{} that nobody wrote: {}", describe_access(access, bytes),
                         regions.describe(*region, p + at)),
             pc);
    } else {
      const bool was_written = order.in_this_launch(cell.writer),
                 was_read = order.in_this_launch(cell.reader);
      if (access != Access::read && !was_written) kernel->totals.bytes_written_least += step;
      if (access == Access::read && !was_read) kernel->totals.bytes_read_least += step;
      if (access == Access::atomic && !was_read && !was_written) kernel->totals.bytes_read_least += step;
    }
    if (access == Access::read)
      read(cell, now, *region, p + at);
    else
      write(cell, now, *region, p + at);
  }
}

void Inspector::State::read(Cell& cell, Stamp now, const Region& region, const std::byte* p) {
  check(cell.writer, cell.writer.atomic ? Kind::atomic : Kind::write, now, Kind::read, region, p);
  if (cell.reader.block != now.block) {
    cell.other_reader = cell.reader;
  } else if (cell.reader.thread != now.thread && cell.other_reader.block == now.block) {
    cell.other_reader = cell.reader;
  } else if (!order.in_this_launch(cell.other_reader) && cell.reader.thread != now.thread) {
    cell.other_reader = cell.reader;
  }
  cell.reader = now;
}

void Inspector::State::write(Cell& cell, Stamp now, const Region& region, const std::byte* p) {
  const Kind kind = now.atomic ? Kind::atomic : Kind::write;
  const bool in_race =
      !(now.atomic && cell.writer.atomic) &&
      check(cell.writer, cell.writer.atomic ? Kind::atomic : Kind::write, now, kind, region, p);
  if (!in_race && !check(cell.reader, Kind::read, now, kind, region, p))
    check(cell.other_reader, Kind::read, now, kind, region, p);
  cell.writer = now;
}

// Whether the two race; if so, takes note of it.
bool Inspector::State::check(const Stamp& before, Kind kind, const Stamp& now, Kind now_kind,
                             const Region& region, const std::byte* p) {
  if (!order.in_this_launch(before)) return false;
  // Own copies that are under way are as foreign as those of others, until their wait, which comes from the same instruction.
  const bool copying = before.in_flight && before.block == now.block &&
                       !(before.thread == now.thread && before.instruction == now.instruction);
  if (region.space != Space::global && before.block != now.block) return false;
  if (!copying && order.ordered(before, now, p)) return false;
  if (raced) return true;
  raced = true;
  Race& race = kernel->races[{before.instruction, now.instruction, kind, now_kind}];
  if (race.count++ == 0) {
    race.earlier = before;
    race.later = now;
    race.earlier_kind = kind;
    race.later_kind = now_kind;
    race.earlier_block = order.block_index(before);
    race.later_block = order.block_index(now);
    race.grid = grid;
    race.block = block;
    race.where = regions.describe(region, p);
  }
  return true;
}

// --- the report --------------------------------------------------------------------------------------------------------------

static RaceReport describe_race(const Race& race, const Kernel& kernel) {
  RaceReport r;
  const auto side = [&](const Stamp& s, Kind kind, int64_t block) {
    return RaceReport::Side{kind, kernel_line(kernel.instructions[s.instruction].pc),
                            unflatten(block, race.grid), unflatten(s.thread, race.block), s.in_flight != 0};
  };
  r.earlier = side(race.earlier, race.earlier_kind, race.earlier_block);
  r.later = side(race.later, race.later_kind, race.later_block);
  r.where = race.where;
  r.count = race.count;
  if (race.earlier.in_flight)
    r.missing = "the copy was not waited for (wait_copies)";
  else if (race.earlier.block != race.later.block)
    r.missing = "blocks have no order";
  else if (race.earlier.thread / warp_size != race.later.thread / warp_size)
    r.missing = "no __syncthreads() between them";
  else
    r.missing = "the same warp, and no __syncwarp() or __syncthreads() between them";
  return r;
}

static KernelReport describe_kernel(const Kernel& kernel) {
  KernelReport k = kernel.totals;
  std::map<std::tuple<std::string, int, bool, Kind, int>, LineReport> lines;
  for (size_t i = 0; i < kernel.instructions.size(); ++i) {
    const Instruction& at = kernel.instructions[i];
    const Counts& counts = kernel.counts[i];
    if (counts.requests == 0) continue;
    const Line line = kernel_line(at.pc);
    const bool shared = at.space != Space::global;
    LineReport& l = lines[{line.file, line.line, shared, kind_of(at.access), at.bytes}];
    l.line = line;
    l.kind = kind_of(at.access);
    l.shared = shared;
    l.bytes = at.bytes;
    l.counts += counts;
    if (!shared) {
      k.bytes_requested += counts.bytes;
      k.bytes_moved += 32 * counts.units;
    }
  }
  for (auto& [key, line] : lines) k.lines.push_back(line);
  for (const auto& [offset, bytes] : kernel.shared_variables) k.static_shared_bytes += bytes;

  // Instructions of the same two lines are one race to a reader.
  std::map<std::tuple<std::string, int, Kind, std::string, int, Kind>, RaceReport> races;
  for (const auto& [key, race] : kernel.races) {
    const RaceReport r = describe_race(race, kernel);
    const auto [at, is_new] = races.try_emplace({r.earlier.line.file, r.earlier.line.line, r.earlier.kind,
                                                 r.later.line.file, r.later.line.line, r.later.kind},
                                                r);
    if (!is_new) at->second.count += r.count;
  }
  for (auto& [key, race] : races) k.races.push_back(race);
  return k;
}

Report Inspector::take() {
  const Work work;
  Report report;
  for (const Kernel& k : state_->kernels) report.kernels.push_back(describe_kernel(k));
  state_ = std::make_unique<State>();
  return report;
}

const char* name(Kind kind) {
  const char* const names[] = {"read", "write", "atomic"};
  return names[static_cast<int>(kind)];
}

bool Report::clean() const {
  return std::all_of(kernels.begin(), kernels.end(), [](const KernelReport& k) { return k.races.empty(); });
}

std::string RaceReport::text() const {
  const auto describe_side = [](const Side& s) {
    const char* const verbs[] = {"reads it", "writes it", "changes it atomically"};
    return fmt::format("thread ({}, {}, {}) of block ({}, {}, {}) {} at {}", s.thread.x, s.thread.y,
                       s.thread.z, s.block.x, s.block.y, s.block.z,
                       s.in_flight ? "copies to it (cp.async)" : verbs[static_cast<int>(s.kind)],
                       describe(Site{s.line.file.c_str(), s.line.line}));
  };
  return fmt::format("race on {}: {}; {}: {} ({} time{})", where, describe_side(earlier),
                     describe_side(later), missing, count, count == 1 ? "" : "s");
}

static std::unique_ptr<Inspector> in_place;

void begin() {
  if (backend() != Backend::inspect)
    throw ValueError("inspector", "kernels compiled for it (dsllm_kernels_inspect)", "others");
  at_work = false;
  in_place = std::make_unique<Inspector>();
  observer = in_place.get();
}

Report end() {
  if (!in_place) throw ValueError("inspector", "begin() before end()", "none");
  observer = nullptr;
  const std::unique_ptr<Inspector> mine = std::move(in_place);
  return mine->take();
}

}  // namespace dsllm::cuda::simt::inspector
