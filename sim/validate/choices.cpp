#include "sim/validate/choices.hpp"

#include <algorithm>
#include <initializer_list>

#include "ref/core/error.hpp"
#include "sim/search/layouts.hpp"

namespace dsllm::sim {

namespace {

class Reader {
 public:
  Reader(const Measurement& row, Choices& choices) : row_(row), choices_(choices) {}

  // Fills in what is no choice of the layout. False, with a reason, if something is missing that nothing can replace.
  bool model_and_cluster(Scenario& s) {
    if (!required("n_layers", row_.n_layers, s.model.n_layers) ||
        !required("d_model", row_.d_model, s.model.d_model) ||
        !required("n_heads", row_.n_heads, s.model.n_heads) ||
        !required("seq_len", row_.seq_len, s.model.seq_len) || !required("gpu", row_.gpu, s.cluster.gpu) ||
        !required("global_batch", row_.global_batch, s.layout.global_batch))
      return false;
    if (s.model.d_model % s.model.n_heads != 0) {
      choices_.reason = "n_heads must divide d_model, got " + std::to_string(s.model.n_heads) + " and " +
                        std::to_string(s.model.d_model);
      return false;
    }
    s.model.d_head = s.model.d_model / s.model.n_heads;
    assumed("n_kv_heads", row_.n_kv_heads, s.model.n_heads, s.model.n_kv_heads);
    assumed("d_ff", row_.d_ff, 4 * s.model.d_model, s.model.d_ff);
    assumed("gated", row_.gated, s.model.d_ff != 4 * s.model.d_model, s.model.gated);
    assumed("tied", row_.tied, false, s.model.tied);
    assumed("vocab_size", row_.vocab_size, int64_t{51200}, s.model.vocab_size);
    s.layout.cp = row_.cp.value_or(1);
    if (row_.gpus) {
      s.cluster.gpus = *row_.gpus;
    } else if (row_.dp && row_.tp && row_.pp) {
      const double gpus =
          static_cast<double>(*row_.dp * *row_.tp) * static_cast<double>(*row_.pp * s.layout.cp);
      if (gpus > 1 << 24) {
        choices_.reason = "dp * tp * pp * cp is more than 2^24 GPUs";
        return false;
      }
      s.cluster.gpus = static_cast<int64_t>(gpus);
    } else {
      choices_.reason = "gpus is unknown, and so is one of dp, tp and pp";
      return false;
    }
    s.cluster.gpus_per_node = row_.gpus_per_node.value_or(0);
    s.recipe = recipe_of(row_, s.model);
    return true;
  }

  void search(Scenario s) {
    note_searched();
    const std::vector<int64_t> gpu_divisors = divisors(std::max<int64_t>(1, s.cluster.gpus / s.layout.cp));
    for (const int64_t tp : row_.tp ? std::vector{*row_.tp} : gpu_divisors) {
      for (const int64_t pp : row_.pp ? std::vector{*row_.pp} : gpu_divisors) {
        const int64_t per_replica = tp * pp * s.layout.cp;
        if (!row_.dp && s.cluster.gpus % per_replica != 0 && !(row_.tp && row_.pp)) continue;
        s.layout.tp = tp;
        s.layout.pp = pp;
        s.layout.dp = row_.dp.value_or(std::max<int64_t>(1, s.cluster.gpus / per_replica));
        pipelines(s);
      }
    }
    if (choices_.scenarios.empty() && choices_.reason.empty())
      choices_.reason = "no layout divides the GPUs as the row says";
  }

 private:
  template <class T>
  bool required(const char* name, const std::optional<T>& cell, T& value) {
    if (cell) {
      value = *cell;
    } else {
      choices_.reason = std::string(name) + " is unknown";
    }
    return cell.has_value();
  }

  template <class T>
  void assumed(const char* name, const std::optional<T>& cell, T otherwise, T& value) {
    value = cell.value_or(otherwise);
    if (!cell)
      choices_.assumed.push_back(std::string(name) + " = " + std::to_string(static_cast<int64_t>(value)));
  }

  // A cell that makes no difference is not a choice: no stages, no chunks.
  void note_searched() {
    const bool pipeline = row_.pp.value_or(2) > 1;
    const bool plain = row_.schedule && *row_.schedule != ScheduleKind::one_f_one_b &&
                       *row_.schedule != ScheduleKind::interleaved;
    const auto note = [&](const char* name, bool unknown) {
      if (unknown) choices_.searched.emplace_back(name);
    };
    note("dp", !row_.dp && !(row_.tp && row_.pp));
    note("tp", !row_.tp);
    note("pp", !row_.pp);
    note("interleave", !row_.interleave && pipeline && !plain && row_.schedule != ScheduleKind::one_f_one_b);
    note("schedule", !row_.schedule && pipeline && !row_.interleave);
    note("zero", !row_.zero);
    note("micro_batch", !row_.micro_batch);
    note("recompute", !row_.recompute);
    note("sp", !row_.sp && row_.tp.value_or(2) > 1);
  }

  void pipelines(Scenario& s) {
    const int64_t most = std::max<int64_t>(1, s.model.n_layers / s.layout.pp);
    const auto with = [&](ScheduleKind kind, int64_t interleave) {
      s.layout.schedule = kind;
      s.layout.interleave = interleave;
      batches(s);
    };
    if (s.layout.pp == 1) return with(ScheduleKind::one_f_one_b, 1);
    if (row_.schedule && *row_.schedule != ScheduleKind::one_f_one_b &&
        *row_.schedule != ScheduleKind::interleaved)
      return with(*row_.schedule, row_.interleave.value_or(1));
    if (row_.interleave)
      return with(*row_.interleave > 1 ? ScheduleKind::interleaved : ScheduleKind::one_f_one_b,
                  *row_.interleave);
    if (row_.schedule != ScheduleKind::interleaved) with(ScheduleKind::one_f_one_b, 1);
    if (row_.schedule == ScheduleKind::one_f_one_b) return;
    for (int64_t v = 2; v <= most; ++v)
      if (s.model.n_layers % (s.layout.pp * v) == 0) with(ScheduleKind::interleaved, v);
  }

  void batches(Scenario& s) {
    const int64_t of_replica = std::max<int64_t>(1, s.layout.global_batch / s.layout.dp);
    for (const int64_t micro : row_.micro_batch ? std::vector{*row_.micro_batch} : divisors(of_replica)) {
      s.layout.micro_batch = micro;
      memory(s);
    }
  }

  void memory(Scenario& s) {
    std::vector<int64_t> zeros{0, 1};  // who shards more than the optimizer names it
    if (s.layout.pp == 1) zeros = {0, 1, 2};
    if (s.layout.dp == 1) zeros = {0};  // nothing to share
    if (row_.zero) zeros = {*row_.zero};
    std::vector<Recompute> recomputes{Recompute::none, Recompute::selective, Recompute::full};
    if (row_.recompute) recomputes = {*row_.recompute};
    std::vector<bool> sps{false, true};
    if (s.layout.tp == 1) {
      sps = {false};
    } else if (row_.sp) {
      sps = {*row_.sp};
    }
    for (const int64_t zero : zeros) {
      for (const Recompute recompute : recomputes) {
        for (const bool sp : sps) {
          s.layout.zero = zero;
          s.layout.recompute = recompute;
          s.layout.sp = sp;
          add(s);
        }
      }
    }
  }

  void add(const Scenario& s) {
    if (why_impossible(s) == nullptr) {
      choices_.scenarios.push_back(s);
    } else if (choices_.reason.empty()) {
      try {
        checked(s);
      } catch (const Error& error) {
        choices_.reason = error.what();
      }
    }
  }

  const Measurement& row_;
  Choices& choices_;
};

}  // namespace

Recipe recipe_of(const Measurement& row, const Model& model) {
  Recipe recipe;
  recipe.precision = row.precision.value_or("bf16");
  const bool megatron =
      !model.gated && row.zero != 3 && row.gpu && find_gpu(*row.gpu).compute_capability <= 80;
  recipe.flash_attention = !megatron;
  recipe.dropout = megatron;
  recipe.overlap_dp = !megatron;
  recipe.eager = model.gated && row.gpu && find_gpu(*row.gpu).compute_capability >= 90;
  recipe.overlap_tp = !megatron && !recipe.eager;
  recipe.in_place_cross_entropy = row.zero == 3;
  return recipe;
}

Choices choices_of(const Measurement& row) {
  Choices choices;
  Reader reader(row, choices);
  Scenario scenario;
  if (reader.model_and_cluster(scenario)) reader.search(scenario);
  if (!choices.scenarios.empty()) choices.reason.clear();
  return choices;
}

}  // namespace dsllm::sim
