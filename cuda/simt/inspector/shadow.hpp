// What the inspector remembers of memory: for each cell of a few bytes who wrote it last and who read it last.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace dsllm::cuda::simt::inspector {

// One access: who, when, where. 16 bytes.
struct Stamp {
  uint32_t block = 0;  // its number, counted over all launches from 1; 0: nobody yet
  uint32_t epoch = 0;  // how many barriers the block had passed
  uint32_t thread : 10 = 0;
  uint32_t clock : 22 =
      0;  // how many times the lane had met others in __syncwarp since that barrier, and one
  uint32_t instruction : 30 = 0;  // its number within the kernel
  uint32_t atomic : 1 = 0;
  uint32_t in_flight : 1 = 0;  // a cp.async that nobody has waited for
};
static_assert(sizeof(Stamp) == 16);

// The last writer and two readers: the last, and one before it, of another block if there was any, else another thread.
struct Cell {
  Stamp writer, reader, other_reader;
};

// The cells of one piece of memory. All begin empty. A cell is as large as the smallest access so far asked for.
class Shadow {
 public:
  Shadow() = default;
  Shadow(int64_t bytes, int cell_bytes) : bytes_(bytes), cell_bytes_(cell_bytes), cells_(make(count())) {}

  int64_t bytes() const { return bytes_; }
  int cell_bytes() const { return cell_bytes_; }
  Cell& at(int64_t offset) { return cells_.get()[offset / cell_bytes_]; }

  // Makes cells so small that an access lies on whole ones: each becomes several that know what it knew.
  void refine(int64_t offset, int64_t access_bytes) {
    int smaller = cell_bytes_;
    while (offset % smaller != 0 || access_bytes % smaller != 0) smaller /= 2;
    if (smaller == cell_bytes_) return;
    const int64_t before = count(), parts = cell_bytes_ / smaller;
    cell_bytes_ = smaller;
    Cells cells = make(count());
    for (int64_t i = 0; i < before; ++i)
      for (int64_t k = 0; k < parts && i * parts + k < count(); ++k)
        cells.get()[i * parts + k] = cells_.get()[i];
    cells_ = std::move(cells);
  }

 private:
  struct Free {
    void operator()(Cell* cells) const { std::free(cells); }
  };
  using Cells = std::unique_ptr<Cell, Free>;

  int64_t count() const { return (bytes_ + cell_bytes_ - 1) / cell_bytes_; }
  // Zeros from the system, which come when they are touched: most of a large tensor never is.
  static Cells make(int64_t n) {
    Cells cells(static_cast<Cell*>(std::calloc(static_cast<size_t>(n > 0 ? n : 1), sizeof(Cell))));
    if (!cells) throw std::bad_alloc();
    return cells;
  }

  int64_t bytes_ = 0;
  int cell_bytes_ = 1;
  Cells cells_;
};

}  // namespace dsllm::cuda::simt::inspector
