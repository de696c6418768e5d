// dsllm-sim: the cluster on paper, as a program. Options are parsed here; everything happens in the commands.
#include <CLI/CLI.hpp>
#include <charconv>
#include <iostream>
#include <new>

#include "ref/core/error.hpp"
#include "ref/core/parallel.hpp"
#include "sim/claims.hpp"
#include "sim/commands/field_options.hpp"
#include "sim/commands/list.hpp"
#include "sim/commands/report_command.hpp"
#include "sim/commands/schedule_command.hpp"
#include "sim/commands/search_command.hpp"
#include "sim/estimate.hpp"
#include "sim/scaling/commands.hpp"
#include "sim/validate/validate.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

// Options of a command, alive as long as its callback; and the scenario's part of them.
template <class Options>
std::shared_ptr<ScenarioOptions> scenario_of(const std::shared_ptr<Options>& options) {
  return {options, &options->scenario};
}

// --threads of a command that computes. Set at once: callbacks of commands run after all options are read.
void add_threads(CLI::App* command) {
  command->add_option_function<int>("--threads", set_threads, "threads to use; 0: one a core")
      ->check(CLI::Range(0, max_threads));
}

// An option of numbers with a comma between two of them. CLI11's own lists let "1,,3" pass.
template <class Number>
void add_list(CLI::App* command, const char* name, std::vector<Number>& list, const char* meaning) {
  command->add_option_function<std::string>(
      name,
      [name, &list](const std::string& text) {
        const char *at = text.data(), *const end = text.data() + text.size();
        for (list.clear();;) {
          Number value{};
          const auto [stop, error] = std::from_chars(at, end, value);
          if (error != std::errc() || (stop != end && *stop != ','))
            throw UsageError(name, "numbers with a comma between two of them", "'" + text + "'");
          list.push_back(value);
          if (stop == end) return;
          at = stop + 1;
        }
      },
      meaning);
}

void add_report(CLI::App& app) {
  auto* command = app.add_subcommand("report", "What a layout costs: memory, time, FLOPs, money");
  auto o = std::make_shared<ReportCommand>();
  add_scenario_options(command, scenario_of(o));
  command->add_option("--tokens", o->tokens, "of the whole training")->capture_default_str();
  command->add_option("--price-per-gpu-hour", o->price_per_gpu_hour, "in any currency; 0: no costs");
  command->add_option("--width", o->width, "columns of the timeline; 0: none")->capture_default_str();
  command->add_flag("--json", o->json, "print JSON");
  command->add_option("--csv", o->csv, "write the passes and sends to this file");
  command->add_option("--trace", o->trace, "write a Chrome trace to this file (ui.perfetto.dev opens it)");
  command
      ->add_option("--trace-replicas", o->trace_replicas, "write so many of the dp replicas, a process each")
      ->capture_default_str();
  command->footer(
      "example: dsllm-sim report --model deepseek-llm-67b --gpu h800-sxm --gpus 1024 --tp 8 --pp 8 "
      "--micro-batch 1 --global-batch 4608 --schedule 1f1b --zero 1 --sp --recompute selective");
  command->callback([o] { report_command(*o, std::cout); });
}

void add_search(CLI::App& app) {
  auto* command = app.add_subcommand("search", "The best layouts for a cluster, and what the others lack");
  auto o = std::make_shared<SearchCommand>();
  add_scenario_options(command, scenario_of(o));
  command->add_option("--top", o->top, "how many to show")->capture_default_str();
  command->add_flag("--json", o->json, "print JSON");
  command->add_option("--csv", o->csv, "write the best to this file");
  add_threads(command);
  command->footer(
      "Fields of the layout that are given are fixed, the others are searched. --save writes the best "
      "layout.\n"
      "example: dsllm-sim search --model deepseek-llm-67b --gpu h100-sxm --gpus 512 --global-batch 4608 "
      "--top 10");
  command->callback([o] {
    if (search_command(*o, std::cout, Progress::standard_error()) != 0) throw CLI::RuntimeError(1);
  });
}

void add_sweep(CLI::App& app) {
  auto* command =
      app.add_subcommand("sweep", "Strong or weak scaling: the best layout at every number of GPUs");
  auto o = std::make_shared<SweepCommand>();
  add_scenario_options(command, scenario_of(o));
  command->add_flag("--weak", o->weak, "the global batch grows with the GPUs; without: it stays the same");
  command->add_option("--to", o->to, "double --gpus until this many; without: 8 times");
  add_list(command, "--counts", o->counts, "these numbers of GPUs, the first of which has --global-batch");
  command->add_flag("--json", o->json, "print JSON");
  command->add_option("--csv", o->csv, "write the table to this file");
  add_threads(command);
  command->footer(
      "example: dsllm-sim sweep --model deepseek-llm-67b --gpu h100-sxm --gpus 128 --to 2048 "
      "--global-batch 4608");
  command->callback([o] { sweep_command(*o, std::cout); });
}

void add_schedule(CLI::App& app) {
  auto* command = app.add_subcommand("schedule", "A pipeline schedule: its bubble and its timeline");
  auto o = std::make_shared<ScheduleCommand>();
  command->add_option("--schedule", o->schedule, "gpipe, 1f1b, interleaved, zb-h1, zb-h2 or dualpipe")
      ->capture_default_str();
  command->add_option("--stages", o->stages, "of the pipeline")->capture_default_str();
  command->add_option("--micro-batches", o->micro_batches, "of one step")->capture_default_str();
  command->add_option("--interleave", o->chunks, "chunks a stage, for interleaved")->capture_default_str();
  command->add_option("--f", o->f, "seconds of a stage's forward pass")->capture_default_str();
  command->add_option("--b", o->b, "seconds of its backward pass for the inputs")->capture_default_str();
  command->add_option("--w", o->w, "seconds of its backward pass for the weights")->capture_default_str();
  command->add_option("--comm", o->comm, "seconds of a send to the next stage")->capture_default_str();
  command
      ->add_option("--pair", o->pair, "DualPipe: seconds of a forward and a backward pass together; 0: F+B+W")
      ->capture_default_str();
  command->add_option("--width", o->width, "columns of the timeline; 0: none")->capture_default_str();
  command->add_flag("--json", o->json, "print JSON");
  command->add_option("--trace", o->trace, "write a Chrome trace to this file (ui.perfetto.dev opens it)");
  command->add_option("--csv", o->csv, "write the passes and sends to this file");
  command->footer(
      "example: dsllm-sim schedule --schedule zb-h2 --stages 8 --micro-batches 24 --f 1 --b 1 --w 1");
  command->callback([o] { schedule_command(*o, std::cout); });
}

void add_format(CLI::App* command, ScalingFormat& format) {
  command->add_flag("--json", format.json, "print JSON");
  command->add_flag("--csv", format.csv, "print CSV");
}

void add_bootstrap(CLI::App* command, Bootstrap& bootstrap) {
  command->add_option("--resamples", bootstrap.resamples, "of the bootstrap")->capture_default_str();
  command->add_option("--confidence", bootstrap.confidence, "of the intervals")->capture_default_str();
  command->add_option("--seed", bootstrap.seed, "of the resamples")->capture_default_str();
}

void add_scaling(CLI::App& app) {
  auto* scaling = app.add_subcommand("scaling", "Scaling laws (paper, section 3)");
  scaling->require_subcommand(1);
  scaling->footer("example: dsllm-sim scaling law --compute 1e20");

  auto* law = scaling->add_subcommand("law", "What the laws advise for a budget: rate, batch, model, data");
  auto l = std::make_shared<ScalingLawOptions>();
  law->add_option("--compute", l->compute, "FLOPs of the training")->required();
  law->add_option("--data", l->data, "whose exponents: a row of table 4")->capture_default_str();
  law->add_option("--seq-len", l->seq_len, "tokens of a sequence")->capture_default_str();
  add_format(law, l->format);
  law->footer("example: dsllm-sim scaling law --compute 1e20");
  law->callback([l] { scaling_law_command(*l, std::cout); });

  auto* isoflop =
      scaling->add_subcommand("isoflop", "The best model of each budget, and the power law through them");
  auto i = std::make_shared<ScalingIsoflopOptions>();
  isoflop->add_option("--input", i->input, "CSV with columns C, M and loss")->required();
  isoflop
      ->add_option("--window", i->window,
                   "how far from a budget's best point its parabola looks, a factor of M")
      ->capture_default_str();
  add_bootstrap(isoflop, i->bootstrap);
  add_format(isoflop, i->format);
  isoflop->footer("example: dsllm-sim scaling isoflop --input runs.csv");
  isoflop->callback([i] { scaling_isoflop_command(*i, std::cout); });

  auto* grid = scaling->add_subcommand("grid", "The band of rates and batches within 0.25% of the best loss");
  auto g = std::make_shared<ScalingGridOptions>();
  grid->add_option("--input", g->input, "CSV: a row a batch, a column a rate, losses in the cells")
      ->required();
  grid->add_option("--compute", g->compute, "FLOPs of its runs; 0: as the file's name says");
  grid->add_option("--tolerance", g->tolerance, "of the loss")->capture_default_str();
  add_format(grid, g->format);
  grid->footer("example: dsllm-sim scaling grid --input grid.csv --compute 1e20");
  grid->callback([g] { scaling_grid_command(*g, std::cout); });

  auto* predict =
      scaling->add_subcommand("predict", "L(C) = L0 + A C^-alpha, and the loss at larger budgets");
  auto p = std::make_shared<ScalingPredictOptions>();
  predict->add_option("--input", p->input, "CSV with columns C and loss")->required();
  add_list(predict, "--budgets", p->budgets, "FLOPs to predict the loss at");
  add_bootstrap(predict, p->bootstrap);
  add_format(predict, p->format);
  predict->footer("example: dsllm-sim scaling predict --input losses.csv --budgets 1e23,1e24");
  predict->callback([p] { scaling_predict_command(*p, std::cout); });
}

void add_claims(CLI::App& app) {
  auto* command = app.add_subcommand("claims", "Statements that circulate about these models, recomputed");
  auto o = std::make_shared<ClaimsOptions>();
  command->add_flag("--json", o->json, "print JSON");
  command->footer("example: dsllm-sim claims");
  command->callback([o] { claims_command(*o, std::cout); });
}

void add_validate(CLI::App& app) {
  auto* command = app.add_subcommand("validate", "Predicted beside measured, for a table of measurements");
  auto o = std::make_shared<ValidateOptions>();
  command->add_option("--table", o->table, "CSV of measured runs, a row each")->required();
  command->add_flag("--json", o->json, "print JSON");
  add_threads(command);
  command->footer(
      "An empty cell means unknown: what it leaves is searched.\n"
      "example: dsllm-sim validate --table runs.csv");
  command->callback([o] {
    o->predict = [](const Scenario& s) {
      const Machine machine = machine_of(s.cluster, s.recipe);
      const Estimate e = estimate(s, machine);
      return Prediction{e.step_s, rank_memory(s, machine, 0).allocated(), e.fits};
    };
    validate_command(*o, std::cout);
  });
}

void add_lists(CLI::App& app) {
  auto o = std::make_shared<ListOptions>();
  auto* models = app.add_subcommand("models", "Models that --model knows");
  models->add_flag("--json", o->json, "print JSON");
  models->footer("example: dsllm-sim models");
  models->callback([o] { models_command(*o, std::cout); });
  auto* gpus = app.add_subcommand("gpus", "GPUs that --gpu knows");
  gpus->add_flag("--json", o->json, "print JSON");
  gpus->footer("example: dsllm-sim gpus --json");
  gpus->callback([o] { gpus_command(*o, std::cout); });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "The cluster on paper: what training a model costs in memory, time and money, and how best to divide "
      "it.",
      "dsllm-sim");
  app.require_subcommand(1);
  app.footer("Every command has --help with an example: dsllm-sim report --help");
  add_report(app);
  add_search(app);
  add_sweep(app);
  add_schedule(app);
  add_scaling(app);
  add_claims(app);
  add_validate(app);
  add_lists(app);
  try {
    app.parse(argc, argv);
    std::cout.flush();
    if (!std::cout) throw FileError("standard output", "", "space for what is printed", "a failed write");
    return 0;
  } catch (const CLI::RuntimeError& e) {
    return e.get_exit_code();
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const UsageError& e) {
    std::cerr << "dsllm-sim: " << e.what() << "\n";
    return 2;
  } catch (const std::bad_alloc&) {
    std::cerr << "dsllm-sim: out of memory\n";
    return 1;
  } catch (const std::exception& e) {
    std::cerr << "dsllm-sim: " << e.what() << "\n";
    return 1;
  }
}
