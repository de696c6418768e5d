#include "sim/validate/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "ref/core/error.hpp"

namespace dsllm::sim {

namespace {

void check_lengths(const char* operation, size_t a, size_t b) {
  if (a != b)
    throw ShapeError(operation, "as many predictions as measurements, " + std::to_string(b),
                     std::to_string(a));
}

std::optional<double> share(int64_t part, int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) throw ValueError("median", "at least one value", "none");
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * (*std::max_element(values.begin(), middle) + *middle);
}

std::vector<double> mean_ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return values[i] < values[j]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    const double rank = 0.5 * static_cast<double>(first + last) + 1;
    for (; first <= last; ++first) ranks[order[first]] = rank;
  }
  return ranks;
}

std::optional<double> spearman(std::span<const double> a, std::span<const double> b) {
  check_lengths("spearman", a.size(), b.size());
  const std::vector<double> x = mean_ranks(a), y = mean_ranks(b);
  const double mean = 0.5 * (static_cast<double>(a.size()) + 1);
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  if (!(xx > 0 && yy > 0)) return std::nullopt;
  return xy / std::sqrt(xx * yy);
}

ErrorStatistics error_statistics(std::span<const double> predicted, std::span<const double> measured) {
  check_lengths("error_statistics", predicted.size(), measured.size());
  ErrorStatistics s;
  s.count = static_cast<int64_t>(measured.size());
  if (s.count == 0) return s;
  std::vector<double> absolute;
  for (size_t i = 0; i < measured.size(); ++i) {
    if (!(measured[i] > 0))
      throw ValueError("error_statistics", "measurements above 0", std::to_string(measured[i]));
    const double e = predicted[i] / measured[i] - 1;
    s.bias += e;
    s.mean_absolute += std::abs(e);
    absolute.push_back(std::abs(e));
    if (absolute.back() > absolute[static_cast<size_t>(s.largest)]) s.largest = static_cast<int64_t>(i);
  }
  s.largest_absolute = absolute[static_cast<size_t>(s.largest)];
  s.bias /= static_cast<double>(s.count);
  s.mean_absolute /= static_cast<double>(s.count);
  s.median_absolute = median(absolute);
  s.rank_correlation = spearman(predicted, measured);
  return s;
}

void OomStatistics::add(bool predicted, bool happened) {
  ++(happened ? ran_out : ran);
  if (predicted == happened) ++(happened ? ran_out_right : ran_right);
}

std::optional<double> OomStatistics::share_right() const {
  return share(ran_out_right + ran_right, count());
}
std::optional<double> OomStatistics::share_of_ran_out() const {
  return share(ran_out_right, ran_out);
}
std::optional<double> OomStatistics::share_of_ran() const {
  return share(ran_right, ran);
}
std::optional<double> OomStatistics::balanced() const {
  if (ran_out == 0 || ran == 0) return std::nullopt;
  return 0.5 * (*share_of_ran_out() + *share_of_ran());
}

}  // namespace dsllm::sim
