#include "cuda/simt/inspector/traffic.hpp"

#include <algorithm>
#include <bit>

namespace dsllm::cuda::simt::inspector {
namespace {

constexpr uint64_t sector = 32;  // bytes
constexpr uint64_t bank_width = 4;
constexpr unsigned n_banks = 32;

template <class F>
void for_each_lane(uint32_t lanes, const F& f) {
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) f(static_cast<unsigned>(std::countr_zero(rest)));
}

}  // namespace

Counts& Counts::operator+=(const Counts& other) {
  requests += other.requests;
  accesses += other.accesses;
  bytes += other.bytes;
  units += other.units;
  ideal_units += other.ideal_units;
  return *this;
}

void count_sectors(const Request& request, int bytes, Counts& counts) {
  uint64_t address[warp_size];
  unsigned n = 0;
  for_each_lane(request.lanes, [&](unsigned lane) { address[n++] = request.address[lane]; });
  std::sort(address, address + n);
  const auto size = static_cast<uint64_t>(bytes);
  uint64_t next_sector = 0, next_byte = 0;  // the first that are not counted yet
  int64_t sectors = 0;
  uint64_t distinct = 0;
  for (unsigned i = 0; i < n; ++i) {
    const uint64_t end = address[i] + size;
    const uint64_t first = std::max(address[i] / sector, next_sector), last = (end - 1) / sector;
    if (last >= first) {
      sectors += static_cast<int64_t>(last - first + 1);
      next_sector = last + 1;
    }
    const uint64_t from = std::max(address[i], next_byte);
    if (end > from) {
      distinct += end - from;
      next_byte = end;
    }
  }
  ++counts.requests;
  counts.accesses += n;
  counts.bytes += static_cast<int64_t>(n) * bytes;
  counts.units += sectors;
  counts.ideal_units += static_cast<int64_t>((distinct + sector - 1) / sector);
}

void count_wavefronts(const Request& request, int bytes, bool atomic, Counts& counts) {
  const unsigned together = bytes <= 4 ? 32u : bytes <= 8 ? 16u : 8u;  // lanes
  for (unsigned first = 0; first < warp_size; first += together) {
    const uint32_t part = request.lanes & ((together == 32 ? ~0u : (1u << together) - 1) << first);
    if (part == 0) continue;
    // The words that are asked of each bank, each once.
    uint64_t words[n_banks][warp_size];
    unsigned n_words[n_banks] = {};
    for_each_lane(part, [&](unsigned lane) {
      const uint64_t begin = request.address[lane] / bank_width;
      const uint64_t end = (request.address[lane] + static_cast<uint64_t>(bytes) - 1) / bank_width;
      for (uint64_t word = begin; word <= end; ++word) {
        const unsigned bank = word % n_banks;
        unsigned k = 0;
        while (!atomic && k < n_words[bank] && words[bank][k] != word) ++k;
        if (atomic) k = n_words[bank];
        if (k == n_words[bank] && k < warp_size) words[bank][n_words[bank]++] = word;
      }
    });
    counts.units += *std::max_element(n_words, n_words + n_banks);
    ++counts.ideal_units;
  }
  const int n = std::popcount(request.lanes);
  ++counts.requests;
  counts.accesses += n;
  counts.bytes += int64_t{n} * bytes;
}

static void count(const Request& request, const Counting& how, Counts& counts) {
  if (how.shared)
    count_wavefronts(request, how.bytes, how.atomic, counts);
  else
    count_sectors(request, how.bytes, counts);
}

void Traffic::count_in(const std::vector<Counting>* how, std::vector<Counts>* counts) {
  how_ = how;
  counts_ = counts;
}

void Traffic::access(unsigned warp, unsigned lane, uint32_t lanes_of_warp, uint32_t instruction,
                     uint64_t address) {
  OfWarp& w = warps_[warp];
  if (instruction >= w.open.size()) w.open.resize(instruction + 1);
  Open& o = w.open[instruction];
  if (!o.touched) {
    o.touched = true;
    w.touched.push_back(instruction);
  }
  if (o.requests.capacity() == 0) {
    if (!spare_.empty()) {
      o.requests = std::move(spare_.back());
      spare_.pop_back();
    }
    o.requests.reserve(16);
    w.used.push_back(instruction);
  }
  const uint32_t k = o.executed[lane]++ - o.first;
  while (k >= o.requests.size()) {
    o.requests.emplace_back();
    ++o.n_open;
  }
  Request& r = o.requests[k];
  r.lanes |= 1u << lane;
  r.address[lane] = address;
  if (r.lanes != lanes_of_warp) return;
  // Complete: no lane comes back to it. The memory is used again when no other is open.
  count(r, (*how_)[instruction], (*counts_)[instruction]);
  r.lanes = 0;
  if (--o.n_open == 0) {
    o.first += static_cast<uint32_t>(o.requests.size());
    o.requests.clear();
  }
}

void Traffic::close(uint32_t instruction, Open& o) {
  for (const Request& r : o.requests)
    if (r.lanes != 0) count(r, (*how_)[instruction], (*counts_)[instruction]);
  o.requests.clear();
  std::fill(std::begin(o.executed), std::end(o.executed), 0);
  o.first = o.n_open = 0;
  o.touched = false;
}

void Traffic::met(unsigned warp, uint32_t mask, bool all) {
  OfWarp& w = warps_[warp];
  if (all) {
    for (const uint32_t instruction : w.touched) close(instruction, w.open[instruction]);
    w.touched.clear();
    return;
  }
  // Lanes that are elsewhere may still come to what these have done, so nothing is closed.
  for (const uint32_t instruction : w.touched) {
    Open& o = w.open[instruction];
    uint32_t most = 0;
    for_each_lane(mask, [&](unsigned lane) { most = std::max(most, o.executed[lane]); });
    for_each_lane(mask, [&](unsigned lane) { o.executed[lane] = most; });
  }
}

void Traffic::finish() {
  for (OfWarp& w : warps_) {
    for (const uint32_t instruction : w.touched) close(instruction, w.open[instruction]);
    w.touched.clear();
  }
  forget();
}

void Traffic::forget() {
  for (OfWarp& w : warps_) {
    for (const uint32_t instruction : w.used) {
      Open& o = w.open[instruction];
      o.requests.clear();
      spare_.push_back(std::move(o.requests));
      o = {};
    }
    w.used.clear();
    w.touched.clear();
  }
}

}  // namespace dsllm::cuda::simt::inspector
