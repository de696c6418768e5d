#include "cuda/simt/tensor_core.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "cuda/simt/block.hpp"
#include "cuda/simt/checks.hpp"
#include "cuda/simt/observer.hpp"
#include "cuda/simt/symbols.hpp"
#include "ref/core/bf16.hpp"

namespace dsllm::cuda::simt {
namespace {

float low_half(MmaType type, uint32_t r) {
  return type == MmaType::bf16 ? std::bit_cast<float>(r << 16) : f16_to_float({static_cast<uint16_t>(r)});
}
float high_half(MmaType type, uint32_t r) {
  return type == MmaType::bf16 ? std::bit_cast<float>(r & 0xffff0000u)
                               : f16_to_float({static_cast<uint16_t>(r >> 16)});
}
// tf32 has 10 bits of mantissa; the tensor core does not look at the other 13.
float tf32(uint32_t r) {
  return std::bit_cast<float>(r & 0xffffe000u);
}

struct alignas(64) Tiles {
  float a[16][16], b[16][8], d[16][8];
};

void gather(MmaType type, const Warp& w, Tiles& tiles) {
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    const auto* const d = static_cast<const float*>(w.operands[lane].result);
    const auto* const a = static_cast<const uint32_t*>(w.operands[lane].a);
    const auto* const b = static_cast<const uint32_t*>(w.operands[lane].b);
    for (int r = 0; r < 4; ++r) {
      const int row = g + 8 * (r % 2);
      if (type == MmaType::tf32) {
        tiles.a[row][t + 4 * (r / 2)] = tf32(a[r]);
      } else {
        tiles.a[row][2 * t + 8 * (r / 2)] = low_half(type, a[r]);
        tiles.a[row][2 * t + 8 * (r / 2) + 1] = high_half(type, a[r]);
      }
      tiles.d[row][2 * t + r / 2] = d[2 * (r % 2) + r / 2];
    }
    for (int r = 0; r < 2; ++r) {
      if (type == MmaType::tf32) {
        tiles.b[t + 4 * r][g] = tf32(b[r]);
      } else {
        tiles.b[2 * t + 8 * r][g] = low_half(type, b[r]);
        tiles.b[2 * t + 8 * r + 1][g] = high_half(type, b[r]);
      }
    }
  }
}

void scatter(const Warp& w, const Tiles& tiles) {
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    auto* const d = static_cast<float*>(w.operands[lane].result);
    for (int i = 0; i < 4; ++i) d[i] = tiles.d[g + 8 * (i / 2)][2 * t + i % 2];
  }
}

// PTX calls these instructions `.aligned`: all lanes of a full warp have to come to the very same one. The last lane to
// arrive looks where the others wait.
void check_aligned_warp(const Warp& w, uint32_t mask, const char* operation, Site site) {
  if (mask != ~0u)
    current->fail(fmt::format("{} by all 32 lanes of a warp", operation),
                  fmt::format("a warp of {} threads", std::popcount(mask)), site);
  for (unsigned lane = 0; lane < warp_size; ++lane)
    if (const Site there = w.elsewhere & bit(lane) ? w.site[lane] : w.pending[0].site;
        lane != current->lane() && !same_place(there, site))
      current->fail(fmt::format("all lanes of a warp at the same {} ({})", operation, describe(site)),
                    fmt::format("lane {} at the one at {}", lane, describe(there)), site);
}

constexpr const char* mma_names[] = {"mma.m16n8k16 of bf16", "mma.m16n8k16 of f16", "mma.m16n8k8 of tf32"};
constexpr const char* load_names[2][3] = {{"ldmatrix.x1", "ldmatrix.x2", "ldmatrix.x4"},
                                          {"ldmatrix.x1.trans", "ldmatrix.x2.trans", "ldmatrix.x4.trans"}};

void multiply(Block& block, uint32_t mask, Site site, int variant) {
  const auto type = static_cast<MmaType>(variant);
  const Warp& w = block.warp();
  check_aligned_warp(w, mask, mma_names[variant], site);
  Tiles tiles;
  gather(type, w, tiles);
  const int depth = type == MmaType::tf32 ? 8 : 16;
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < depth; ++k)
      for (int j = 0; j < 8; ++j) tiles.d[i][j] += tiles.a[i][k] * tiles.b[k][j];
  scatter(w, tiles);
  if (observer) observer->mma(block, int64_t{2} * 16 * 8 * depth);
}

// variant: the number of matrices, negative if they are transposed.
void load_matrices(Block& block, uint32_t mask, Site site, int variant) {
  const bool transposed = variant < 0;
  const int count = transposed ? -variant : variant;
  const Warp& w = block.warp();
  check_aligned_warp(w, mask, load_names[transposed][count / 2], site);
  for (int matrix = 0; matrix < count; ++matrix)
    for (int lane = 0; lane < 32; ++lane) {
      uint16_t pair[2];
      for (int i = 0; i < 2; ++i) {
        const int r = transposed ? 2 * (lane % 4) + i : lane / 4;
        const int c = transposed ? lane / 4 : 2 * (lane % 4) + i;
        std::memcpy(&pair[i], static_cast<const char*>(w.operands[8 * matrix + r].a) + 2 * c, 2);
      }
      static_cast<uint32_t*>(w.operands[lane].result)[matrix] = pair[0] | static_cast<uint32_t>(pair[1])
                                                                              << 16;
    }
}

}  // namespace

Handover mma(MmaType type, float* d, const uint32_t* a, const uint32_t* b, Site site) {
  Block& block = *current;
  block.warp().operands[block.lane()] = {d, a, b};
  const auto variant = static_cast<int>(type);
  return block.collective<multiply>(~0u, mma_names[variant], site, variant);
}

Handover load_matrix(int count, bool transposed, uint32_t* registers, const void* row, Site site) {
  Block& block = *current;
  block.warp().operands[block.lane()] = {registers, row, nullptr};
  const char* const name = load_names[transposed][count / 2];
  // Addresses of lanes that no matrix needs are not looked at.
  if (static_cast<int>(block.lane()) < 8 * count) {
    if (!is_shared(row, 16))
      block.fail(fmt::format("{} to read rows of 16 bytes in shared memory", name), "", site, row);
    check_read(row, 16, __builtin_return_address(0));
  }
  return block.collective<load_matrices>(~0u, name, site, transposed ? -count : count);
}

void copy_async(void* shared, const void* global, int bytes, int valid) {
  Block& block = *current;
  const void* const pc = __builtin_return_address(0);
  if (!is_shared(shared, bytes))
    block.fail_at("cp.async to write shared memory", "", call_before(pc), shared);
  check_aligned(shared, bytes, "a write", pc);
  if (valid > 0) {
    check_aligned(global, valid < bytes ? 1 : bytes, "a read", pc);
    // Faults here, where the kernel asks for it, and not where it waits.
    const volatile char* const there = static_cast<const char*>(global);
    (void)there[0], (void)there[valid - 1];
  }
  Block::AsyncCopies& copies = block.async_copies();
  const PendingCopy copy{shared, global, bytes, valid, copies.group, call_before(pc)};
  if (observer) observer->copy_issued(block, copy);
  copies.pending.push_back(copy);
}

void commit_copies() {
  ++current->async_copies().group;
}

static void finish_copies(unsigned before_group) {
  Block::AsyncCopies& copies = current->async_copies();
  size_t kept = 0;
  for (const PendingCopy& c : copies.pending) {
    if (c.group < before_group) {
      if (observer) observer->copy_done(*current, c);
      std::memset(c.shared, 0, static_cast<size_t>(c.bytes));
      std::memcpy(c.shared, c.global, static_cast<size_t>(c.valid));
    } else {
      copies.pending[kept++] = c;
    }
  }
  copies.pending.resize(kept);
}

void wait_copies(unsigned n) {
  const unsigned committed = current->async_copies().group;
  finish_copies(committed > n ? committed - n : 0);
}

void wait_all_copies() {
  finish_copies(current->async_copies().group + 1);
}

}  // namespace dsllm::cuda::simt
