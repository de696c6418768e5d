#include "ref/eval/generate.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ref/core/error.hpp"
#include "ref/core/philox.hpp"
#include "ref/core/tensor.hpp"

namespace dsllm {

int32_t sample_token(View<const float, 1> logits, const SampleSettings& settings, double u) {
  const int64_t vocab = logits.extent[0];
  // NaN never wins; among equals the smaller id does.
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < vocab; ++i)
    if (std::isfinite(logits(i))) ids.push_back(static_cast<int32_t>(i));
  if (ids.empty()) throw ValueError("sample_token", "a finite logit", "none");
  const auto likelier = [&](int32_t a, int32_t b) {
    return logits(a) > logits(b) || (logits(a) == logits(b) && a < b);
  };
  if (settings.temperature == 0) return *std::min_element(ids.begin(), ids.end(), likelier);

  if (settings.top_k > 0 && settings.top_k < static_cast<int64_t>(ids.size())) {
    std::nth_element(ids.begin(), ids.begin() + settings.top_k - 1, ids.end(), likelier);
    ids.resize(static_cast<size_t>(settings.top_k));
  }
  std::sort(ids.begin(), ids.end(), likelier);
  std::vector<double> weight;
  const double largest = logits(ids.front());
  for (const int32_t id : ids) weight.push_back(std::exp((logits(id) - largest) / settings.temperature));
  double total = std::accumulate(weight.begin(), weight.end(), 0.0);
  if (settings.top_p < 1) {
    double kept = 0;
    size_t count = 0;
    while (count < weight.size() && (count == 0 || kept < settings.top_p * total)) kept += weight[count++];
    weight.resize(count);
    total = kept;
  }
  double left = u * total;
  for (size_t i = 0; i < weight.size(); ++i)
    if ((left -= weight[i]) < 0) return ids[i];
  return ids[weight.size() - 1];  // u * total rounded up to the total
}

std::vector<int32_t> generate(TextEngine& engine, const std::vector<int32_t>& prompt,
                              const SampleSettings& settings, const std::vector<int32_t>& stop,
                              const std::function<bool(int32_t)>& on_token) {
  settings.validate();
  if (prompt.empty()) throw ValueError("generate", "a prompt of at least one token", "none");
  Tensor<float, 1> logits(engine.config().vocab_size);
  std::vector<int32_t> written;
  const auto append = [&](const std::vector<int32_t>& ids) {
    engine.append(View<const int32_t, 1>(ids.data(), {static_cast<int64_t>(ids.size())}), logits);
  };
  append(prompt);
  while (static_cast<int64_t>(written.size()) < settings.max_tokens) {
    const double u = philox_double(static_cast<uint64_t>(settings.seed), 0, written.size());
    const int32_t id = sample_token(logits, settings, u);
    if (std::find(stop.begin(), stop.end(), id) != stop.end()) break;
    written.push_back(id);
    if (!on_token(id) || engine.length() == engine.config().seq_len) break;
    if (static_cast<int64_t>(written.size()) < settings.max_tokens) append({id});
  }
  return written;
}

}  // namespace dsllm
