// Which model has a given M: the paper's own shapes, and one drawn up to measure.
#include <algorithm>
#include <cmath>

#include "sim/model_cost.hpp"
#include "sim/scaling/laws.hpp"

namespace dsllm::sim {

namespace {

// A shape of the paper's family with heads of 128.
Model llama_shape(int64_t n_layers, int64_t d_model, int64_t seq_len, int64_t vocab_size) {
  Model m;
  m.n_layers = n_layers;
  m.d_model = d_model;
  m.d_head = d_model % 128 == 0 ? 128 : 64;
  m.n_heads = m.n_kv_heads = d_model / m.d_head;
  m.d_ff = (8 * d_model / 3 + 255) / 256 * 256;
  m.seq_len = seq_len;
  m.vocab_size = vocab_size;
  return m;
}

double distance(double a, double b) {
  return std::abs(std::log(a / b));
}

double log_aspect(const Model& m) {
  return std::log(static_cast<double>(m.d_model) / static_cast<double>(m.n_layers));
}

// Of the paper's shapes, the geometric mean of d_model / n_layers: 87.
double usual_log_aspect() {
  double sum = 0;
  const std::vector<Shape> shapes = paper_shapes();
  for (const Shape& s : shapes) sum += log_aspect(s.model);
  return sum / static_cast<double>(shapes.size());
}

}  // namespace

std::vector<Shape> paper_shapes() {
  std::vector<Shape> shapes;
  constexpr int64_t table_3[][2] = {{8, 512},   {12, 768},  {24, 1024}, {24, 2048},
                                    {32, 4096}, {40, 5120}, {80, 8192}};
  for (const auto& [n_layers, d_model] : table_3)
    shapes.push_back({"table 3", llama_shape(n_layers, d_model, 4096, 102400), 0});
  for (const char* name : {"deepseek-llm-7b", "deepseek-llm-67b"})
    shapes.push_back({name, find_model(name), 0});
  for (Shape& s : shapes) s.model_scale = paper_m(s.model);
  std::stable_sort(shapes.begin(), shapes.end(),
                   [](const Shape& a, const Shape& b) { return a.model_scale < b.model_scale; });
  return shapes;
}

Shape nearest_paper_shape(double model_scale) {
  const std::vector<Shape> shapes = paper_shapes();
  return *std::min_element(shapes.begin(), shapes.end(), [&](const Shape& a, const Shape& b) {
    return distance(a.model_scale, model_scale) < distance(b.model_scale, model_scale);
  });
}

Shape draw_shape(double model_scale, int64_t seq_len, int64_t vocab_size) {
  std::vector<Shape> shapes;
  for (int64_t d = 128; d <= 1 << 17; d += 128) {
    const double of_a_layer = paper_m(llama_shape(1, d, seq_len, vocab_size));
    const double layers = std::clamp(std::round(model_scale / of_a_layer), 1.0, 10'000.0);
    Shape shape{"", llama_shape(static_cast<int64_t>(layers), d, seq_len, vocab_size), 0};
    shape.model_scale = paper_m(shape.model);
    shapes.push_back(std::move(shape));
  }
  const double usual = usual_log_aspect();
  const auto strain = [&](const Shape& s) {
    return distance(s.model_scale, model_scale) + std::abs(log_aspect(s.model) - usual) / 20;
  };
  return *std::min_element(shapes.begin(), shapes.end(),
                           [&](const Shape& a, const Shape& b) { return strain(a) < strain(b); });
}

}  // namespace dsllm::sim
