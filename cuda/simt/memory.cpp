#include "cuda/simt/memory.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

#include "cuda/core/error.hpp"

namespace dsllm::cuda::simt {
namespace {

constexpr int64_t page = 4096;
constexpr int64_t alignment = 256;  // cudaMalloc's
constexpr std::byte untouched{0xa5};

int64_t round_up(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

struct Mapped : Allocation {
  std::byte* first = nullptr;  // page that may be touched
  std::byte* last = nullptr;   // end of those pages
};

std::mutex mutex;
std::map<const std::byte*, Mapped> allocations;  // by their first page
std::deque<Allocation> freed;                    // the last ones, for messages
int64_t capacity = int64_t{80} * 1000 * 1000 * 1000;
int64_t used = 0;

const Mapped* find(const void* address) {
  const auto* p = static_cast<const std::byte*>(address);
  auto next = allocations.upper_bound(p);
  if (next == allocations.begin()) return nullptr;
  const Mapped& m = std::prev(next)->second;
  return p < m.last + page ? &m : nullptr;
}

}  // namespace

std::byte* allocate(int64_t bytes, const std::string& name, int64_t element_bytes) {
  const std::scoped_lock lock(mutex);
  if (bytes < 0 || bytes > capacity - used)
    throw DeviceError("allocate " + name, fmt::format("at most {} bytes, which are free", capacity - used),
                      fmt::format("{} bytes", bytes));
  const int64_t body = round_up(std::max<int64_t>(bytes, 1), alignment);
  const int64_t pages = round_up(body, page);
  void* memory = mmap(nullptr, static_cast<size_t>(pages + 2 * page), PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  Mapped m;
  m.first = static_cast<std::byte*>(memory) + page;
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
  freed.push_back(m);
  if (freed.size() > 64) freed.pop_front();
  used -= m.bytes;
  allocations.erase(m.first);
  munmap(m.first - page, static_cast<size_t>(m.last - m.first + 2 * page));
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
  // The page before an allocation belongs to its neighbourhood too.
  for (const std::byte* at : {p, p + page}) {
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

std::string trespasses() {
  const std::scoped_lock lock(mutex);
  for (const auto& [first, m] : allocations) {
    for (const std::byte* p = m.data + m.bytes; p < m.last; ++p)
      if (*p != untouched)
        return fmt::format("'{}' ({} bytes): written {} bytes past its end", m.name, m.bytes,
                           p - m.data - m.bytes);
    for (const std::byte* p = m.data; p > first; --p)
      if (p[-1] != untouched)
        return fmt::format("'{}' ({} bytes): written {} bytes before its begin", m.name, m.bytes,
                           m.data - p + 1);
  }
  return {};
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
