#include "cuda/simt/memory.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

#include "cuda/core/error.hpp"

namespace dsllm::cuda::simt {
namespace {

constexpr int64_t page = 4096;
// On either side, addresses alone: an index that is wrong by some rows shall not meet other memory.
constexpr int64_t fence = int64_t{64} << 20;
constexpr int64_t alignment = 256;  // cudaMalloc's
constexpr std::byte untouched{0xa5};

int64_t round_up(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

struct Mapped : Allocation {
  std::byte* first = nullptr;  // page that may be touched
  std::byte* last = nullptr;   // end of those pages

  std::byte* mapping() const { return first - fence; }
  size_t mapping_bytes() const { return static_cast<size_t>(last - first + 2 * fence); }
};

// 80 GB, or what this machine has: taking more would not fail but end in the system's killing somebody.
int64_t default_capacity() {
  const int64_t physical = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  return std::min(int64_t{80} * 1000 * 1000 * 1000, physical);
}

std::mutex mutex;
std::map<const std::byte*, Mapped> allocations;  // by their first page
// The last ones that were freed keep their addresses, so that a kernel that uses one faults and the message can name it.
std::deque<Mapped> freed;
constexpr size_t max_freed = 64;
int64_t capacity = default_capacity();
int64_t used = 0;

const Mapped* find(const void* address) {
  const auto* p = static_cast<const std::byte*>(address);
  auto next = allocations.upper_bound(p);
  if (next == allocations.begin()) return nullptr;
  const Mapped& m = std::prev(next)->second;
  return p < m.last + fence ? &m : nullptr;
}

}  // namespace

std::byte* allocate(int64_t bytes, const std::string& name, int64_t element_bytes) {
  const std::scoped_lock lock(mutex);
  const int64_t available = std::max<int64_t>(capacity - used, 0);
  if (bytes < 0 || bytes > available)
    throw DeviceError("allocate " + name, fmt::format("at most {} bytes, which are free", available),
                      fmt::format("{} bytes", bytes));
  const int64_t body = round_up(std::max<int64_t>(bytes, 1), alignment);
  const int64_t pages = round_up(body, page);
  void* memory = mmap(nullptr, static_cast<size_t>(pages + 2 * fence), PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  Mapped m;
  m.first = static_cast<std::byte*>(memory) + fence;
  if (memory == MAP_FAILED || mprotect(m.first, static_cast<size_t>(pages), PROT_READ | PROT_WRITE) != 0)
    throw DeviceError("allocate " + name, fmt::format("{} bytes of memory", bytes), "an error of the system");
  m.last = m.first + pages;
  m.data = m.last - body;
  m.bytes = bytes;
  m.element_bytes = element_bytes;
  m.name = name;
  std::memset(m.first, static_cast<int>(untouched), static_cast<size_t>(m.data - m.first));
  std::memset(m.data, 0xff, static_cast<size_t>(bytes));
  std::memset(m.data + bytes, static_cast<int>(untouched), static_cast<size_t>(body - bytes));
  used += bytes;
  allocations.emplace(m.first, m);
  return m.data;
}

void release(std::byte* data) {
  const std::scoped_lock lock(mutex);
  const Mapped* found = data ? find(data) : nullptr;
  if (found == nullptr) return;
  const Mapped m = *found;
  used -= m.bytes;
  allocations.erase(m.first);
  // The pages go back to the system, the addresses later.
  mmap(m.first, static_cast<size_t>(m.last - m.first), PROT_NONE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  freed.push_back(m);
  if (freed.size() <= max_freed) return;
  munmap(freed.front().mapping(), freed.front().mapping_bytes());
  freed.pop_front();
}

bool is_device_address(const void* address) {
  const std::scoped_lock lock(mutex);
  return find(address) != nullptr || find(static_cast<const std::byte*>(address) + fence) != nullptr;
}

std::optional<Allocation> find_allocation(const void* address) {
  const std::scoped_lock lock(mutex);
  const Mapped* m = find(address);
  const auto* p = static_cast<const std::byte*>(address);
  if (m == nullptr || p < m->data || p >= m->data + m->bytes) return std::nullopt;
  return *m;
}

std::string describe_address(const void* address) {
  const std::scoped_lock lock(mutex);
  const auto* p = static_cast<const std::byte*>(address);
  // The fence before an allocation belongs to its neighbourhood too.
  for (const std::byte* at : {p, p + fence}) {
    const Mapped* m = find(at);
    if (m == nullptr) continue;
    if (p < m->data)
      return fmt::format("{} bytes before the begin of '{}' ({} bytes)", m->data - p, m->name, m->bytes);
    if (p >= m->data + m->bytes)
      return fmt::format("{} bytes past the end of '{}' ({} bytes)", p - (m->data + m->bytes), m->name,
                         m->bytes);
    return fmt::format("byte {} of '{}' ({} bytes)", p - m->data, m->name, m->bytes);
  }
  for (auto a = freed.rbegin(); a != freed.rend(); ++a)
    if (p >= a->data && p < a->data + a->bytes)
      return fmt::format("byte {} of '{}', which was freed", p - a->data, a->name);
  if (p < reinterpret_cast<const std::byte*>(page)) return "a null pointer";
  return fmt::format("{}, which is no device memory (a pointer of the host?)", address);
}

namespace {
// The first byte in begin .. end - 1 that is no longer as it was, or end.
std::byte* first_touched(std::byte* begin, std::byte* end) {
  if (begin == end ||
      (*begin == untouched && std::memcmp(begin, begin + 1, static_cast<size_t>(end - begin - 1)) == 0))
    return end;
  return std::find_if(begin, end, [](std::byte b) { return b != untouched; });
}
}  // namespace

std::string trespasses() {
  const std::scoped_lock lock(mutex);
  std::string first_found;
  for (const auto& [first, m] : allocations) {
    std::byte *const begin = m.first, *const end = m.data + m.bytes;
    if (std::byte* p = first_touched(end, m.last); p != m.last) {
      if (first_found.empty())
        first_found = fmt::format("'{}' ({} bytes): written {} bytes past its end", m.name, m.bytes, p - end);
      std::memset(end, static_cast<int>(untouched), static_cast<size_t>(m.last - end));
    }
    if (std::byte* p = first_touched(begin, m.data); p != m.data) {
      if (first_found.empty())
        first_found =
            fmt::format("'{}' ({} bytes): written {} bytes before its begin", m.name, m.bytes, m.data - p);
      std::memset(begin, static_cast<int>(untouched), static_cast<size_t>(m.data - begin));
    }
  }
  return first_found;
}

void set_device_memory(int64_t bytes) {
  const std::scoped_lock lock(mutex);
  capacity = bytes;
}

int64_t device_memory_free() {
  const std::scoped_lock lock(mutex);
  return capacity - used;
}

}  // namespace dsllm::cuda::simt
