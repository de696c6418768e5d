// Clipping the gradient by its global norm, on a device (paper, section 2.3: at 1.0; ref/train/grad_clip.hpp has the equation).
//
//     norm = sqrt(sum over all tensors and elements of g^2)      scale = max_norm / norm  if norm > max_norm, else 1
//
// Nothing goes to the host: norm and scale stay in device memory, where AdamW reads the scale (cuda/train/adamw.hpp).
#pragma once

#include <vector>

#include "cuda/core/device.hpp"
#include "ref/core/view.hpp"

namespace dsllm::cuda {

// A list of tensors of any sizes, as a kernel reads it: a table in device memory, made once, since gradients stay where they are
// for a whole run. The tensors are cut into pieces of piece_size elements, the last of each tensor is shorter; the
// pieces of all tensors are counted through, and a block finds the tensor of its piece by bisection in first_piece.
//
// Why a table. One launch for each tensor of a 7B model is 273 launches, most of them too small for the device (the gains of norms
// are 16 KB). Pointers as arguments of a kernel have room for some two hundred (4 KB; 32 KB since CUDA 12.1), travel with
// every launch and cut the list into launches. A table costs nothing after the first step.
class TensorList {
 public:
  struct Row {
    float* data;
    int64_t size, first_piece;
  };
  static constexpr int64_t piece_size = 32768;  // 128 KB

  // Holds the views' addresses; they must outlive it.
  TensorList(const std::vector<View<float, 1>>& tensors, Stream& stream);

  View<const Row, 1> rows() const { return rows_; }
  int64_t pieces() const { return pieces_; }  // of all tensors

 private:
  DeviceTensor<Row, 1> rows_;
  int64_t pieces_ = 0;
};

// norm [1], scale [1]; partial [gradients.pieces()] is working memory. Squares are summed in double, in an order that depends on
// the sizes and the alignment of the tensors alone, so that the same gradient has the same norm, bit for bit. A norm that is not
// finite makes scale NaN: no factor mends such a gradient, and adamw_step does nothing. Throws ShapeError, and ValueError
// unless max_norm > 0 (infinity: never clip).
void global_norm(const TensorList& gradients, double max_norm, View<double, 1> partial, View<float, 1> norm,
                 View<float, 1> scale, Stream& stream);

// The same, and the gradients are multiplied by scale, each element rounded once. Where scale is 1 or NaN nothing is read or
// written. Only for those who want the clipped gradient itself: adamw_step applies the scale as it reads.
void grad_clip(const TensorList& gradients, double max_norm, View<double, 1> partial, View<float, 1> norm,
               View<float, 1> scale, Stream& stream);

}  // namespace dsllm::cuda
