// dsllm-verify: every implementation of every operation before the judge. One source, three programs, by the build of the
// kernels that each is linked with: dsllm-verify (the executor), dsllm-verify-inspect, dsllm-verify-device.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <optional>

#include "cuda/core/device.hpp"
#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "ref/core/parallel.hpp"
#include "ref/core/progress.hpp"
#include "ref/train/interrupt.hpp"
#include "tests/pairs/registry.hpp"
#include "tests/verify/inspection.hpp"
#include "tests/verify/order.hpp"
#include "tests/verify/report.hpp"
#include "tests/verify/siblings.hpp"
#include "tests/verify/verify.hpp"

using namespace dsllm;
using namespace dsllm::tests;

namespace {

constexpr int interrupted = 130;  // what a shell reports for a process that Ctrl-C ended

struct Interrupted {};

struct Options : VerifyOptions {
  bool list = false, inspect = false, json = false, markdown = false;
  std::string order;
  InspectionOptions inspection;
};

const cuda::Backend backend = cuda::backend();

// The reference belongs to the executor's program; the others judge kernels alone.
bool is_mine(const Candidate& c) {
  return c.backend == Backend::ref ? backend == cuda::Backend::simt : true;
}

// One line that rewrites itself, on a terminal only, and out of the way of what is printed.
class Status {
 public:
  explicit Status(int64_t cases) {
    if (::isatty(STDERR_FILENO) == 1) progress_.emplace("verify", "cases", cases);
  }
  void next(const std::string& note) {
    if (progress_) progress_->update(done_++, note);
  }
  void clear() {
    if (progress_) std::cerr << "\r\x1b[K" << std::flush;
  }

 private:
  std::optional<Progress> progress_;
  int64_t done_ = 0;
};

// Races fail a verdict that the numbers passed. Profiles are printed below the verdict where operations were named (all
// of them are a book), and are always in the JSON.
Watch inspection(const Options& options, std::vector<Profile>& profiles) {
  const bool profiled = options.json || !options.operations.empty();
  return {begin_inspection,
          [&options, &profiles, profiled](const Pair& pair, const Candidate& candidate, Result& r) {
            reject_races(end_inspection(), r.verdict);
            profiles.push_back({"", Json()});
            if (!profiled || candidate.backend == Backend::ref || pair.cases.empty()) return;
            // A kernel that the executor stopped has no profile.
            try {
              profiles.back() = profile(pair, candidate, options.inspection);
            } catch (const cuda::KernelError&) {
            }
          }};
}

std::vector<Result> judge_here(const Options& options, const std::vector<Pair>& pairs, bool print,
                               std::vector<Profile>& profiles) {
  int64_t cases = 0;
  for (const Pair& pair : pairs)
    for (const Candidate& candidate : pair.candidates)
      if (is_mine(candidate)) cases += count_cases(pair, candidate);
  Status status(cases);
  const Interrupt interrupt;
  const Watch watch = inspection(options, profiles);
  const std::vector<Result> results = verify(
      pairs, options, is_mine,
      [&](const Result& r) {
        if (!print) return;
        status.clear();
        std::cout << line_of(r) << std::endl;
        if (options.inspect && !profiles.back().text.empty())
          std::cout << "\n" << profiles.back().text << std::endl;
      },
      [&] {
        if (Interrupt::requested()) throw Interrupted();
        status.next("");
      },
      options.inspect ? &watch : nullptr);
  status.clear();
  return results;
}

// What dsllm-verify-device finds, or why it was not asked.
struct OnDeviceResults {
  std::vector<Result> results;
  std::string skipped;
};

OnDeviceResults judge_on_device(const Options& options) {
  const std::string name = "dsllm-verify-device", path = sibling(name);
  if (path.empty()) return {{}, name + " was not built (it takes nvcc)"};
  std::vector<std::string> arguments{"--json", "--seed", std::to_string(options.seed)};
  for (const std::string& operation : options.operations)
    arguments.insert(arguments.end(), {"--op", operation});
  if (options.shape) arguments.insert(arguments.end(), {"--shape", *options.shape});
  const Finished run = run_program(path, arguments);
  if (run.code == interrupted) throw Interrupted();
  if (run.code > 1) throw Error(name, "a verdict", fmt::format("exit status {}", run.code));
  const Json json = parse_json(run.out, name);
  OnDeviceResults found{results_from_json(json, name), {}};
  if (json.contains("device") && json["device"]["skipped"].is_string())
    found.skipped = json["device"]["skipped"];
  return found;
}

int print_list(const Options& options, const std::vector<Pair>& pairs) {
  if (options.json)
    std::cout << list_json(pairs).dump(2) << "\n";
  else
    std::cout << list_text(pairs);
  return 0;
}

int run(const Options& options) {
  if (!options.inspect && (options.inspection.listing || !options.inspection.nvcc_report.empty()))
    throw UsageError("--listing and --nvcc-report", "--inspect with them", "none");
  if (!options.order.empty()) set_thread_order(options.order);
  const std::vector<Pair> pairs = chosen_pairs(options);
  if (options.list) return print_list(options, pairs);

  const bool print = !options.json && !options.markdown;
  std::string skipped = cuda::unavailable();
  std::vector<Result> results;
  std::vector<Profile> profiles;
  if (options.inspect) check_inspection(options.inspection);
  if (skipped.empty()) results = judge_here(options, pairs, print, profiles);
  if (backend == cuda::Backend::simt && !options.markdown) {
    OnDeviceResults device = judge_on_device(options);
    skipped = device.skipped;
    for (Result& r : device.results) {
      if (print) std::cout << line_of(r) << "\n";
      results.push_back(std::move(r));
    }
  }
  if (options.json) {
    Json json = to_json(results);
    for (size_t i = 0; i < profiles.size(); ++i) json["results"][i]["profile"] = profiles[i].json;
    json["device"] = {{"skipped", skipped.empty() ? Json() : Json(skipped)}};
    std::cout << json.dump(2) << "\n";
  } else if (options.markdown) {
    std::cout << markdown(results);
  } else {
    if (!skipped.empty()) std::cout << "device: skipped: " << skipped << "\n";
    std::cout << summary(results) << "\n";
  }
  // Asked for a device by name, its absence is no success; asked by dsllm-verify, which reads the JSON, neither.
  if (backend == cuda::Backend::device && !skipped.empty()) return 1;
  for (const Result& r : results)
    if (!r.verdict.pass) return 1;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Judges every implementation of every operation against the same in double precision.",
               "dsllm-verify");
  Options o;
  app.add_flag("--list", o.list, "print the operations, their cases and candidates");
  app.add_option("--op", o.operations, "only this operation; may be given again")->type_name("NAME");
  app.add_option("--shape", o.shape, "this one case in place of the operation's own: n=3,d=64,eps=1e-6")
      ->type_name("FIELD=NUMBER,...");
  app.add_option("--seed", o.seed, "of the inputs")
      ->check(CLI::Validator(
          [](const std::string& text) {
            const bool whole = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
            return whole ? std::string() : "expected a whole number from 0 on, got '" + text + "'";
          },
          "NUMBER"))
      ->capture_default_str();
  app.add_flag(
      "--inspect", o.inspect,
      "under the inspector: a race fails; with --op also memory traffic and bank conflicts, per line");
  app.add_option("--gpu", o.inspection.gpu, "with --inspect: whose roofline and limits")
      ->capture_default_str();
  app.add_flag("--listing", o.inspection.listing,
               "with --inspect: the sources, with the numbers beside each line");
  app.add_option("--nvcc-report", o.inspection.nvcc_report,
                 "with --inspect: registers, from build/device/nvcc.log, which ./run device writes");
  app.add_option("--order", o.order, "of the executor's threads: forward, backward, random:N")
      ->type_name("ORDER");
  auto* json = app.add_flag("--json", o.json, "print JSON, as described below");
  app.add_flag("--markdown", o.markdown, "print the table of the README")->excludes(json);
  app.add_option_function<int>("--threads", set_threads, "threads to use; 0: one a core")
      ->check(CLI::Range(0, max_threads));
  app.footer(std::string("Exits with 0 if all pass, 1 if one fails, 2 for wrong usage.\n\n") + json_help +
             "\n\nexample: dsllm-verify --op rmsnorm_forward --shape n=3,d=64,eps=1e-6 --order random:7");
  try {
    app.parse(argc, argv);
    if (o.inspect && backend != cuda::Backend::inspect) {
      const std::string path = sibling("dsllm-verify-inspect");
      if (path.empty())
        throw Error("--inspect", "dsllm-verify-inspect in the folder of dsllm-verify", "none");
      become(path, argv);
    }
    const int code = run(o);
    std::cout.flush();
    if (!std::cout) throw FileError("standard output", "", "space for what is printed", "a failed write");
    return code;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const Interrupted&) {
    std::cout.flush();
    std::cerr << "dsllm-verify: interrupted\n";
    return interrupted;
  } catch (const UsageError& e) {
    std::cerr << "dsllm-verify: " << e.what() << "\n";
    return 2;
  } catch (const std::bad_alloc&) {
    std::cerr << "dsllm-verify: out of memory\n";
    return 1;
  } catch (const std::exception& e) {
    std::cerr << "dsllm-verify: " << e.what() << "\n";
    return 1;
  }
}
