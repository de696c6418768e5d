#include "tests/verify/report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"

namespace dsllm::tests {
namespace {

Json result_json(const Result& r) {
  const Verdict& v = r.verdict;
  return {{"operation", r.operation}, {"section", r.section},
          {"candidate", r.candidate}, {"runs_on", name_of(r.backend)},
          {"pass", v.pass},           {"reason", v.reason},
          {"cases", r.cases},         {"elements", v.elements},
          {"error", v.error},         {"max_error", v.max_error},
          {"share", v.max_share},     {"worst", v.worst}};
}

double number_or_nan(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

}  // namespace

const char* const json_help =
    R"(--json prints one object: "results", an array; "failed", how many of them do not pass; "device", an object with
"skipped", why no device was tried, or null. A result has: "operation", "section" of the paper, "candidate",
"runs_on" (ref, cpu, device), "pass", "reason" (why not; else ""), "cases" (times styles of inputs), "elements"
(compared), "share" (the largest error as a share of the bound of its element), "worst" (where that is), "error" (the
absolute error there), "max_error" (the largest absolute error of that case). A number that is not finite is null.
With --inspect there is "profile" too, what the inspector counted. With --list it prints "pairs", an array of
"operation", "section", "cases" (objects) and "candidates" (names).)";

std::string line_of(const Result& r) {
  const Verdict& v = r.verdict;
  const std::string head = fmt::format("{}  {:32} {:34} {:6} ", v.pass ? "pass" : "FAIL", r.operation,
                                       r.candidate, name_of(r.backend));
  if (!v.pass) return head + " " + v.reason;
  if (v.worst.empty() || v.error == 0) return head + fmt::format(" exact in {} elements", v.elements);
  return head + fmt::format(" error {:.1e}, {:.2f} of its bound, at {}", v.error, v.max_share, v.worst);
}

std::string summary(const std::vector<Result>& results) {
  std::set<std::string> operations;
  size_t failed = 0;
  for (const Result& r : results) {
    operations.insert(r.operation);
    failed += r.verdict.pass ? 0 : 1;
  }
  return fmt::format("{} verdict{} on {} operation{}: {}", results.size(), results.size() == 1 ? "" : "s",
                     operations.size(), operations.size() == 1 ? "" : "s",
                     failed == 0 ? "all pass" : fmt::format("{} FAIL", failed));
}

Json to_json(const std::vector<Result>& results) {
  Json json{{"results", Json::array()}, {"failed", 0}};
  int failed = 0;
  for (const Result& r : results) {
    json["results"].push_back(result_json(r));
    failed += r.verdict.pass ? 0 : 1;
  }
  json["failed"] = failed;
  return json;
}

std::vector<Result> results_from_json(const Json& json, const std::string& source) {
  std::vector<Result> results;
  try {
    for (const Json& j : json.at("results")) {
      Result r;
      r.operation = j.at("operation"), r.section = j.at("section"), r.candidate = j.at("candidate");
      const std::string runs_on = j.at("runs_on");
      for (const Backend backend : {Backend::ref, Backend::cuda_on_cpu, Backend::cuda_on_device})
        if (name_of(backend) == runs_on) r.backend = backend;
      r.cases = j.at("cases");
      Verdict& v = r.verdict;
      v.pass = j.at("pass"), v.reason = j.at("reason"), v.elements = j.at("elements"),
      v.worst = j.at("worst");
      v.error = number_or_nan(j.at("error")), v.max_error = number_or_nan(j.at("max_error"));
      v.max_share = number_or_nan(j.at("share"));
      results.push_back(std::move(r));
    }
  } catch (const Json::exception& e) {
    throw FileError(source, "", "the JSON of a verifier", e.what());
  }
  return results;
}

std::string list_text(const std::vector<Pair>& pairs) {
  std::string text;
  for (const Pair& pair : pairs) {
    text += fmt::format("{} (paper, section {})\n", pair.name, pair.section);
    for (const Numbers& numbers : pair.cases) text += "    case       " + shape_text(numbers) + "\n";
    for (const Candidate& c : pair.candidates)
      text += fmt::format("    candidate  {:34} {:6} {} of {} cases\n", c.name, name_of(c.backend),
                          count_cases(pair, c) / static_cast<int64_t>(pair.styles.size()), pair.cases.size());
  }
  return text;
}

Json list_json(const std::vector<Pair>& pairs) {
  Json list = Json::array();
  for (const Pair& pair : pairs) {
    Json cases = Json::array(), candidates = Json::array();
    for (const Numbers& numbers : pair.cases) {
      Json fields = Json::object();
      for (const auto& [name, value] : numbers) fields[name] = value;
      cases.push_back(fields);
    }
    for (const Candidate& c : pair.candidates) candidates.push_back(c.name);
    list.push_back(
        {{"operation", pair.name}, {"section", pair.section}, {"cases", cases}, {"candidates", candidates}});
  }
  return {{"pairs", list}};
}

std::string candidates_text(const std::vector<std::string>& names) {
  std::vector<std::string> others;
  std::vector<std::pair<std::string, std::string>> kernels;  // the step, its types
  for (const std::string& name : names) {
    const size_t comma = name.find(", ");
    if (!name.starts_with("cuda ") || comma == std::string::npos) {
      others.push_back(name);
      continue;
    }
    const std::string type = name.substr(5, comma - 5), step = name.substr(comma + 2);
    const auto known =
        std::find_if(kernels.begin(), kernels.end(), [&](const auto& k) { return k.first == step; });
    if (known == kernels.end())
      kernels.emplace_back(step, type);
    else
      known->second += ", " + type;
  }
  std::vector<std::string> steps;
  for (const auto& [step, types] : kernels) steps.push_back(fmt::format("{} ({})", step, types));
  return fmt::format("{}{}{}", fmt::join(others, "; "),
                     steps.empty()    ? ""
                     : others.empty() ? "kernels: "
                                      : "; kernels: ",
                     fmt::join(steps, ", "));
}

std::string markdown(const std::vector<Result>& results) {
  std::string text = "| operation | paper | candidates | worst share of its bound |\n|---|---|---|---|\n";
  for (size_t begin = 0; begin < results.size();) {
    size_t end = begin;
    std::vector<std::string> candidates;
    double share = 0;
    bool pass = true;
    for (; end < results.size() && results[end].operation == results[begin].operation; ++end) {
      candidates.push_back(results[end].candidate);
      share = std::max(share, results[end].verdict.max_share);
      pass = pass && results[end].verdict.pass;
    }
    text += fmt::format("| `{}` | {} | {} | {} |\n", results[begin].operation, results[begin].section,
                        candidates_text(candidates),
                        !pass        ? "**fails**"
                        : share == 0 ? "exact"
                                     : fmt::format("{:.2f}", share));
    begin = end;
  }
  return text;
}

}  // namespace dsllm::tests
