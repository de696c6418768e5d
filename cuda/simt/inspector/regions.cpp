#include "cuda/simt/inspector/regions.hpp"

#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <thread>
#include <unordered_map>

#include "cuda/simt/inspector/inspector.hpp"
#include "cuda/simt/inspector/variables.hpp"
#include "cuda/simt/limits.hpp"
#include "cuda/simt/memory.hpp"
#include "cuda/simt/symbols.hpp"

namespace dsllm::cuda::simt::inspector {
namespace {

int power_of_two_in(int64_t n, int most) {
  int p = 1;
  while (p < most && n % (2 * p) == 0) p *= 2;
  return p;
}

}  // namespace

std::string describe_access(Observer::Access access, int64_t bytes) {
  const char* const what[] = {"a read", "a write", "an atomic access"};
  return fmt::format("{} of {} byte{}", what[static_cast<int>(access)], bytes, bytes == 1 ? "" : "s");
}

void with_room(const std::function<void()>& f) {
  std::thread(f).join();
}

bool in_kernel_code(const void* pc) {
  static std::unordered_map<const void*, bool> known;
  const auto [at, is_new] = known.try_emplace(pc, true);
  if (is_new) {
    bool& answer = at->second;
    with_room([&] {
      const std::vector<Line> lines = lines_of(pc);
      answer = lines.empty() || std::any_of(lines.begin(), lines.end(), [](const Line& l) {
                 return l.file.rfind("/usr/", 0) != 0 && l.file.find("/cuda/simt/") == std::string::npos;
               });
    });
  }
  return at->second;
}

Regions::Regions() {
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* result) {
        auto& segments = *static_cast<std::vector<Segment>*>(result);
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& h = info->dlpi_phdr[i];
          const auto* begin = reinterpret_cast<const std::byte*>(info->dlpi_addr + h.p_vaddr);
          if (h.p_type == PT_LOAD) segments.push_back({begin, begin + h.p_memsz, (h.p_flags & PF_W) != 0});
        }
        return 0;
      },
      &program_);
  thread_local_ = thread_local_begin();
  thread_local_end_ = thread_local_ + thread_local_bytes();
  for (const SharedVariable& v : shared_variables()) {
    Region r;
    r.space = Space::static_shared;
    r.begin = thread_local_ + v.offset;
    r.bytes = v.bytes;
    r.name = v.name;
    r.offset = v.offset;
    static_.push_back(std::move(r));
  }
  std::sort(static_.begin(), static_.end(),
            [](const Region& a, const Region& b) { return a.begin < b.begin; });
  dynamic_.space = Space::dynamic_shared;
  dynamic_.name = "the dynamic shared memory";
}

void Regions::launch_begins() {
  looked_up_.clear();
  last_ = nullptr;
}

void Regions::block_begins(const Block& block) {
  dynamic_.begin = block.shared();
  dynamic_.bytes = block.shared_bytes();
  if (dynamic_.shadow.bytes() < dynamic_.bytes) dynamic_.shadow = Shadow(dynamic_.bytes, 4);
  last_ = nullptr;
}

Region* Regions::find(Block& block, const std::byte* p, int64_t bytes, Observer::Access access,
                      const void* pc) {
  // The executor's own: threadIdx, blockDim and the pointer to them.
  const auto* own = reinterpret_cast<const std::byte*>(&block);
  if ((p >= own && p < own + sizeof(Block)) || p == reinterpret_cast<const std::byte*>(&current))
    return nullptr;
  if (last_ && p >= last_->begin && p + bytes <= last_->begin + last_->bytes) return last_;
  Region* const found = find_slowly(block, p, bytes, access, pc);
  if (found) last_ = found;
  return found;
}

Region* Regions::find_slowly(Block& block, const std::byte* p, int64_t bytes, Observer::Access access,
                             const void* pc) {
  const int64_t my_stack = block.stacks().index_of(__builtin_frame_address(0));
  if (block.stacks().contains(p) && block.stacks().index_of(p) == my_stack) return nullptr;
  Region* r = dynamic_.holds(p) ? &dynamic_ : nullptr;
  if (r == nullptr) r = find_static(p);
  if (r == nullptr) r = find_global(p);
  if (r != nullptr && p + bytes <= r->begin + r->bytes) return r;
  if (r == nullptr) {
    if (p >= thread_local_ && p < thread_local_end_)
      for (const SharedVariable& v : guard_variables())
        if (p >= thread_local_ + v.offset && p + bytes <= thread_local_ + v.offset + v.bytes) return nullptr;
    const auto* arguments = static_cast<const std::byte*>(block.grid().arguments);
    if (p >= arguments && p + bytes <= arguments + block.grid().argument_bytes) return nullptr;
    for (const Segment& s : program_)
      if (p >= s.begin && p < s.end && access == Observer::Access::read) return nullptr;
    if (!in_kernel_code(pc)) return nullptr;
  }
  // The first byte that lies outside.
  const std::byte* const outside = r ? r->begin + r->bytes : p;
  fail(block, describe_access(access, bytes) + " inside of device or shared memory",
       describe_outside(block, outside), pc);
}

Region* Regions::find_static(const std::byte* p) {
  if (p < thread_local_ || p >= thread_local_end_) return nullptr;
  auto next = std::upper_bound(static_.begin(), static_.end(), p,
                               [](const std::byte* a, const Region& r) { return a < r.begin; });
  if (next == static_.begin() || !std::prev(next)->holds(p)) return nullptr;
  Region& r = *std::prev(next);
  if (r.shadow.bytes() == 0) r.shadow = Shadow(r.bytes, power_of_two_in(r.bytes, 4));
  return &r;
}

Region* Regions::find_global(const std::byte* p) {
  for (Region* r : looked_up_)
    if (r->holds(p)) return r;
  const auto allocation = find_allocation(p);
  if (!allocation) return nullptr;
  Region& r = global_[allocation->data];
  if (r.bytes != allocation->bytes || r.name != allocation->name ||
      r.element_bytes != allocation->element_bytes) {
    r.begin = allocation->data;
    r.bytes = allocation->bytes;
    r.name = allocation->name;
    r.element_bytes = allocation->element_bytes;
    r.shadow = Shadow(r.bytes, power_of_two_in(r.element_bytes, 8));
  }
  looked_up_.push_back(&r);
  return &r;
}

std::string Regions::describe_outside(const Block& block, const std::byte* p) const {
  if (p >= thread_local_ && p < thread_local_end_) {
    // Behind a variable rather than before the next one, unless there is none.
    const Region* before = nullptr;
    for (const Region& r : static_)
      if (r.begin <= p) before = &r;
    if (before)
      return fmt::format("{} bytes past the end of __shared__ {} ({} bytes)",
                         p - (before->begin + before->bytes), before->name, before->bytes);
    if (!static_.empty())
      return fmt::format("{} bytes before the begin of __shared__ {} ({} bytes)", static_.front().begin - p,
                         static_.front().name, static_.front().bytes);
  }
  if (block.stacks().in_guard(p)) return block.describe_address(p);
  if (block.stacks().contains(p)) return "a local variable of another thread";
  for (const Segment& s : program_)
    if (p >= s.begin && p < s.end)
      return s.writable ? "a variable of the host's program" : "a constant of the program";
  return block.describe_address(p);
}

std::string Regions::describe(const Region& region, const std::byte* p) const {
  const int64_t byte = p - region.begin;
  std::string element;
  switch (region.space) {
    case Space::global: {
      const int64_t within = byte % region.element_bytes;
      std::string text = fmt::format("{}[{}]", region.name, byte / region.element_bytes);
      if (within != 0) text += fmt::format(" (byte {} of it)", within);
      return text;
    }
    case Space::static_shared:
      with_room([&] { element = describe_element(region.name, region.offset, byte); });
      return element;
    case Space::dynamic_shared:
      break;
  }
  return fmt::format("byte {} of {} ({} bytes)", byte, region.name, region.bytes);
}

}  // namespace dsllm::cuda::simt::inspector
