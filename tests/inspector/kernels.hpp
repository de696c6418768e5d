// Kernels for the inspector, most of them wrong. Each function launches one and waits for it.
#pragma once

#include <cstdint>

#include "cuda/core/device.hpp"

namespace dsllm::cuda::wrong {

// --- memory_kernels.cu: what ends a kernel
void read_past_end(const float* x, float* y, int n);  // 32 threads; thread 31 reads x[n]
void write_before_begin(float* y);
void read_pointer(const float* x, float* y);   // y[0] = x[0]
void write_pointer(float* y);                  // y[0] = 1
void straddle_end(const void* x, float* y);    // reads 8 bytes at x
void static_shared_past_end(float* y, int i);  // of a variable with a gap behind it
void static_array_index(float* y, int i);      // an index past the end, which lies in the next variable
void dynamic_shared_past_end(float* y, int i);
void unwritten_shared(float* y, int written, int blocks = 1);  // reads all 32; only block 0 writes
void unwritten_byte(int* y);                                   // writes three bytes of four
void unwritten_matrix(uint32_t* y, int rows);                  // ldmatrix of 8 rows, some of them written
void another_stack(float* y);                                  // a pointer to another thread's variable
void misaligned_vector(const float* x, float* y);              // a float2 at x + 1
void misaligned_load16(const float* x, float* y);
void read_constant(float* y, int i);  // allowed
void local_arrays(float* y);          // allowed

// --- race_kernels.cu
void reverse(float* y, bool barrier);                   // through shared memory, 64 threads
void shift_in_warp(float* y, int sync);                 // 0: nothing, 1: a shuffle, 2: __syncwarp
void halves_of_a_warp(float* y);                        // each half has its own __syncwarp: clean
void wrong_half(float* y);                              // as before, but reads what the other half wrote
void all_write_one(float* y, int blocks, int threads);  // the same element
void read_neighbour_block(float* x, int blocks);        // reads what the block before has written
void add_atomically(float* y, int blocks);              // clean
void atomic_and_plain(float* y, int blocks);            // block 0 writes plainly
// fence: 0 none; 1 by all threads behind their writes, and once more by the counting thread alone; 2 before the writes;
// 3 behind the counter.
void last_block_adds(float* parts, float* y, unsigned* counter, int blocks, int fence);
void copy_async_pipeline(const float* x, float* y, bool wait, bool barrier);
void bytes_side_by_side(uint8_t* y, int threads);  // clean: neighbours write neighbouring bytes
void many_readers_one_writer(float* y, int blocks);
void read_then_write(float* y);  // both blocks read y[0], block 1 writes it

// --- traffic_kernels.cu
void copy(const float* x, float* y, int blocks, int threads);
void copy16(const float* x, float* y, int blocks, int threads);
void strided_copy(const float* x, float* y, int blocks, int stride);
void offset_copy(const float* x, float* y, int offset);
void broadcast(const float* x, float* y);
void transpose_naive(const float* x, float* y, int n);
void transpose_tile32(const float* x, float* y, int n);
void transpose_tile33(const float* x, float* y, int n);
void shared8(float* y, int stride);             // float2 at a stride of so many, in shared memory
void shared16(float* y, int stride);            // 16 bytes at a stride of so many times 16, in shared memory
void divergent_loop(const float* x, float* y);  // lane l reads l + 1 elements
void meet(const float* x, float* y,
          int how);  // lanes 0-3 read, all meet, all read; how: 0 a barrier, 1 a shuffle
void add_in_place(float* y, int blocks);
void ldmatrix_rows(uint32_t* y, int row_bytes);  // rows at this distance
void mma_once(float* y);

}  // namespace dsllm::cuda::wrong
