// How far predictions are from what was measured.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace dsllm::sim {

// Relative errors e = predicted / measured - 1.
struct ErrorStatistics {
  int64_t count = 0;  // all others are 0 where this is
  double mean_absolute = 0;
  double median_absolute = 0;
  double largest_absolute = 0;
  int64_t largest = 0;                     // the element that has it
  double bias = 0;                         // mean of e, with its sign
  std::optional<double> rank_correlation;  // Spearman's, of predicted with measured
};

// Both of the same length. Throws ShapeError if not, ValueError for a measurement that is not above 0.
ErrorStatistics error_statistics(std::span<const double> predicted, std::span<const double> measured);

// Pearson's correlation of the ranks, ties with their mean rank. Nothing for fewer than 2 elements or where all of one
// side are equal. Throws ShapeError for different lengths.
std::optional<double> spearman(std::span<const double> a, std::span<const double> b);
std::vector<double> mean_ranks(std::span<const double> values);  // from 1

double median(std::vector<double> values);  // the mean of the middle two; throws ValueError if empty

// Calls of "runs out of memory" against what happened.
struct OomStatistics {
  int64_t ran_out = 0,
          ran_out_right = 0;       // runs that ended for want of memory, and of these the ones called so
  int64_t ran = 0, ran_right = 0;  // runs that did not

  void add(bool predicted, bool happened);
  int64_t count() const { return ran_out + ran; }
  std::optional<double> share_right() const;       // of all rows
  std::optional<double> share_of_ran_out() const;  // of the rows that ran out, those called right
  std::optional<double> share_of_ran() const;      // of the rows that ran, those called right
  std::optional<double> balanced() const;          // mean of both classes; nothing unless there are both
};

}  // namespace dsllm::sim
