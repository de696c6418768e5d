#include "ref/core/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <iostream>

namespace dsllm {

std::string short_number(double x) {
  const char* const suffix[] = {"", " k", " M", " G", " T", " P"};
  int power = 0;
  for (; std::abs(x) >= 999.5 && power < 5; ++power) x /= 1000;
  // What would round to 10.0 or 100 has one digit less behind the point.
  const int decimals = std::abs(x) < 9.995 ? 2 : std::abs(x) < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", x, decimals, suffix[power]);
}

std::string short_duration(double seconds) {
  if (!(seconds >= 0 && seconds < 1e9)) return "?";
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto s = std::llround(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  const auto minutes = std::llround(seconds / 60);
  if (minutes < 24 * 60) return fmt::format("{} h {} min", minutes / 60, minutes % 60);
  const auto hours = std::llround(seconds / 3600);
  return fmt::format("{} d {} h", hours / 24, hours % 24);
}

Progress::Output Progress::standard_error() {
  return {&std::cerr, ::isatty(STDERR_FILENO) == 1, [] {
            const auto now = std::chrono::steady_clock::now().time_since_epoch();
            return std::chrono::duration<double>(now).count();
          }};
}

Progress::Progress(std::string what, std::string unit, int64_t total, int64_t begin, Output output)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      begin_(begin),
      done_(begin),
      output_(std::move(output)),
      start_(output_.seconds()),
      // A terminal shows the first update at once, a log waits for its turn.
      written_(output_.terminal ? start_ - 1 : start_) {}

Progress::~Progress() {
  if (!finished_ && width_ > 0) *output_.stream << std::endl;
}

void Progress::update(int64_t done, std::string_view note) {
  done_ = done;
  const double now = output_.seconds();
  if (finished_ || now - written_ < (output_.terminal ? 0.1 : 5.0)) return;
  written_ = now;
  write(line(note, false));
}

void Progress::finish(std::string_view note) {
  if (finished_) return;
  finished_ = true;
  write(line(note, true));
  if (output_.terminal) *output_.stream << std::endl;
}

std::string Progress::line(std::string_view note, bool last) const {
  std::string text = fmt::format("{}: {}", what_, done_);
  if (total_ > 0) text += fmt::format("/{}", total_);
  text += " " + unit_;
  if (total_ > 0) {
    // Rounded down: 100% is for what is complete.
    const double share = static_cast<double>(done_) / static_cast<double>(total_);
    text += fmt::format(", {}%", static_cast<int>(std::floor(100 * share)));
  }
  const double elapsed = output_.seconds() - start_;
  const double rate = static_cast<double>(done_ - begin_) / elapsed;
  if (elapsed > 0 && done_ > begin_) {
    text += fmt::format(", {} {}/s", short_number(rate), unit_);
    if (!last && done_ < total_)
      text += fmt::format(", {} left", short_duration(static_cast<double>(total_ - done_) / rate));
  }
  if (last) text += fmt::format(", took {}", short_duration(elapsed));
  if (!note.empty()) text += fmt::format(", {}", note);
  return text;
}

void Progress::write(const std::string& text) {
  if (!output_.terminal) {
    *output_.stream << text << std::endl;
    return;
  }
  // Back to the front, and spaces over what the line before had more.
  const size_t rest = width_ > text.size() ? width_ - text.size() : 0;
  *output_.stream << '\r' << text << std::string(rest, ' ') << std::flush;
  width_ = text.size();
}

}  // namespace dsllm
