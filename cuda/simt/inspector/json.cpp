#include <nlohmann/json.hpp>

#include "cuda/simt/inspector/facts.hpp"
#include "cuda/simt/inspector/print.hpp"

namespace dsllm::cuda::simt::inspector {
namespace {

using Json = nlohmann::ordered_json;

Json of(Index3 i) {
  return {i.x, i.y, i.z};
}
Json of(const Roofline& r) {
  return {{"floor_s", r.floor_s()},   {"bound", r.memory_bound ? "memory" : "compute"},
          {"memory_s", r.memory_s},   {"compute_s", r.compute_s},
          {"intensity", r.intensity}, {"ridge", r.ridge}};
}
Json of(const LineReport& l) {
  return {{"file", l.line.file},
          {"line", l.line.line},
          {"space", l.shared ? "shared" : "global"},
          {"access", name(l.kind)},
          {"access_bytes", l.bytes},
          {"requests", l.counts.requests},
          {"accesses", l.counts.accesses},
          {"bytes", l.counts.bytes},
          {l.shared ? "wavefronts" : "sectors", l.counts.units},
          {l.shared ? "ideal_wavefronts" : "ideal_sectors", l.counts.ideal_units}};
}
Json of(const RaceReport::Side& s) {
  return {{"access", name(s.kind)}, {"file", s.line.file},    {"line", s.line.line},
          {"block", of(s.block)},   {"thread", of(s.thread)}, {"in_flight", s.in_flight}};
}
Json of(const RaceReport& r) {
  return {{"where", r.where},         {"count", r.count},     {"missing", r.missing},
          {"earlier", of(r.earlier)}, {"later", of(r.later)}, {"text", r.text()}};
}

Json of(const KernelReport& k, const KernelFacts& f) {
  Json j = {{"name", k.name},
            {"launches", k.launches},
            {"blocks", k.blocks},
            {"threads", k.threads},
            {"block", of(k.block)},
            {"static_shared_bytes", k.static_shared_bytes},
            {"dynamic_shared_bytes", k.dynamic_shared_bytes},
            {"bytes_requested", k.bytes_requested},
            {"bytes_moved", k.bytes_moved},
            {"bytes_read_least", k.bytes_read_least},
            {"bytes_written_least", k.bytes_written_least},
            {"mma_flops", k.mma_flops},
            {"other_flops", f.other_flops > 0 ? Json(f.other_flops) : Json(nullptr)},
            {"roofline", of(f.roofline)},
            {"registers", f.compiled ? Json(f.compiled->registers) : Json(nullptr)},
            {"spill_bytes", f.compiled ? Json(f.compiled->spill_bytes) : Json(nullptr)},
            {"occupancy",
             {{"blocks_per_sm", f.occupancy.blocks},
              {"warps_per_sm", f.occupancy.warps},
              {"share", f.occupancy.share()},
              {"limited_by", f.occupancy.limited_by}}}};
  j["lines"] = Json::array();
  for (const LineReport& l : k.lines) j["lines"].push_back(of(l));
  j["races"] = Json::array();
  for (const RaceReport& r : k.races) j["races"].push_back(of(r));
  return j;
}

}  // namespace

std::string json(const Report& report, const PrintOptions& options) {
  const Facts facts(options);
  Json j = {{"gpu", facts.gpu().name}, {"clean", report.clean()}, {"total", of(facts.total(report))}};
  j["kernels"] = Json::array();
  for (const KernelReport& k : report.kernels) j["kernels"].push_back(of(k, facts.of(k)));
  return j.dump(2) + "\n";
}

}  // namespace dsllm::cuda::simt::inspector
