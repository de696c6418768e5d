// Where the threads of a block wait, in words.
#include <fmt/format.h>

#include "cuda/simt/symbols.hpp"
#include "cuda/simt/waiting.hpp"

namespace dsllm::cuda::simt {
namespace {

// What lane l of the warp is doing, of one and of several.
struct State {
  std::string one, several;
  bool operator==(const State&) const = default;
};

State state_of(const Warp& w, unsigned lane, const char* barrier, Site barrier_site) {
  const uint32_t bit = 1u << lane;
  const auto place = [&](Site of_first) { return describe(w.elsewhere & bit ? w.site[lane] : of_first); };
  const auto waits = [&](const std::string& where) { return State{"waits " + where, "wait " + where}; };
  if (!(w.live & bit)) return {"has returned", "have returned"};
  for (unsigned i = 0; i < w.n_pending; ++i)
    if (w.pending[i].arrived & bit)
      return waits(fmt::format("in {} ({}) with the mask {:#010x}", w.pending[i].operation,
                               place(w.pending[i].site), w.pending[i].mask));
  if (w.at_activemask & bit) return waits(fmt::format("in __activemask ({})", describe(w.site[lane])));
  if (w.waiting & bit) return waits(fmt::format("at {} ({})", barrier, place(barrier_site)));
  if (w.started & bit) return {"can run", "can run"};
  return {"has not begun", "have not begun"};
}

std::string describe_warp(const Warp& w, const char* barrier, Site barrier_site) {
  std::string text;
  uint32_t done = 0;
  for (unsigned lane = 0; lane < warp_size; ++lane) {
    if (!(w.lanes >> lane & 1) || (done >> lane & 1)) continue;
    const State state = state_of(w, lane, barrier, barrier_site);
    uint32_t same = 0;
    for (unsigned other = lane; other < warp_size; ++other)
      if ((w.lanes >> other & 1) && state_of(w, other, barrier, barrier_site) == state) same |= 1u << other;
    done |= same;
    text += fmt::format("{}{} {}", text.empty() ? "" : "; ", name_lanes(same),
                        (same & (same - 1)) ? state.several : state.one);
  }
  return text;
}

}  // namespace

std::string describe_lanes(uint32_t mask) {
  std::string text;
  for (unsigned first = 0; first < warp_size; ++first) {
    if (!(mask >> first & 1)) continue;
    unsigned last = first;
    while (last + 1 < warp_size && (mask >> (last + 1) & 1)) ++last;
    text += text.empty() ? "" : ", ";
    text += first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
    first = last;
  }
  return text;
}

std::string name_lanes(uint32_t mask) {
  return (mask & (mask - 1) ? "lanes " : "lane ") + describe_lanes(mask);
}

std::string describe_waiting(std::span<const Warp> warps, const char* barrier, Site barrier_site) {
  std::string text;
  for (size_t first = 0; first < warps.size();) {
    const std::string state = describe_warp(warps[first], barrier, barrier_site);
    size_t last = first;
    while (last + 1 < warps.size() && describe_warp(warps[last + 1], barrier, barrier_site) == state) ++last;
    text += fmt::format(
        "{}  {}: {}", text.empty() ? "" : "\n",
        first == last ? fmt::format("warp {}", first) : fmt::format("warps {}-{}", first, last), state);
    first = last + 1;
  }
  return text;
}

}  // namespace dsllm::cuda::simt
