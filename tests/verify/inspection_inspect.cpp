#include <fmt/format.h>

#include <algorithm>

#include "cuda/simt/inspector/inspector.hpp"
#include "cuda/simt/inspector/print.hpp"
#include "ref/core/error.hpp"
#include "ref/core/gpu.hpp"
#include "ref/core/json.hpp"
#include "tests/verify/inspection.hpp"

namespace dsllm::tests {

namespace inspector = cuda::simt::inspector;

namespace {

inspector::PrintOptions print_options(const InspectionOptions& o) {
  inspector::PrintOptions print;
  print.gpu = o.gpu;
  print.nvcc_report = o.nvcc_report;
  return print;
}

const Numbers& largest_case(const Pair& pair, const Candidate& candidate) {
  const Numbers* largest = nullptr;
  int64_t most = -1;
  for (const Numbers& numbers : pair.cases) {
    if (!candidate.supports(numbers)) continue;
    Call call = make_call(pair, numbers, Style::normal, candidate.types());
    if (const int64_t bytes = bytes_moved(pair, call); bytes > most) most = bytes, largest = &numbers;
  }
  if (largest == nullptr) throw ValueError("profile", "a case that the candidate supports", candidate.name);
  return *largest;
}

}  // namespace

bool can_inspect() {
  return true;
}

void check_inspection(const InspectionOptions& options) {
  std::string names;
  for (const Gpu& gpu : all_gpus()) names += (names.empty() ? "" : ", ") + gpu.name;
  if (std::none_of(all_gpus().begin(), all_gpus().end(),
                   [&](const Gpu& gpu) { return gpu.name == options.gpu; }))
    throw UsageError("--gpu", "one of " + names, "'" + options.gpu + "'");
  inspector::text(inspector::Report(), print_options(options));
}

void begin_inspection() {
  inspector::begin();
}

std::string end_inspection() {
  std::string races;
  for (const inspector::KernelReport& kernel : inspector::end().kernels)
    for (const inspector::RaceReport& race : kernel.races)
      races += fmt::format("{}: {}\n", kernel.name, race.text());
  if (!races.empty()) races.pop_back();
  return races;
}

Profile profile(const Pair& pair, const Candidate& candidate, const InspectionOptions& options) {
  const Numbers& numbers = largest_case(pair, candidate);
  Call call = make_call(pair, numbers, Style::normal, candidate.types(), options.seed);
  inspector::begin();
  try {
    candidate.run(call);
  } catch (...) {
    inspector::end();
    throw;
  }
  const inspector::Report report = inspector::end();
  inspector::PrintOptions print = print_options(options);
  // The pair knows the FLOPs of the operation; those of tensor cores were counted.
  const bool counted = std::any_of(report.kernels.begin(), report.kernels.end(),
                                   [](const auto& k) { return k.mma_flops > 0; });
  if (pair.flops && !counted)
    print.flops[report.kernels.size() == 1 ? report.kernels[0].name : ""] = pair.flops(numbers);
  const std::string title =
      fmt::format("{}, {}, {}\n", pair.name, candidate.name, describe(numbers, Style::normal));
  return {title + (options.listing ? inspector::listing(report) : inspector::text(report, print)),
          parse_json(inspector::json(report, print), "the inspector's report")};
}

}  // namespace dsllm::tests
