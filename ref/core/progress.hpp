// How far a long run is: on a terminal one line that rewrites itself, elsewhere (a log file) a plain line now and then.
//
//     train: 120/1000 steps, 12%, 3.41 steps/s, 4 min 18 s left, loss 3.21
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <string_view>

namespace dsllm {

class Progress {
 public:
  struct Output {
    std::ostream* stream;
    bool terminal;
    std::function<double()> seconds;  // a clock that only goes forward
  };
  // Standard error, and whether that is a terminal.
  static Output standard_error();

  // total: how many units there will be, 0 if nobody knows. begin: how many were there at the start (a resumed run);
  // they do not count for the rate.
  Progress(std::string what, std::string unit, int64_t total, int64_t begin = 0,
           Output output = standard_error());
  ~Progress();  // without finish(), as after an exception: leaves the line as it is and ends it
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` of the total. note is put at the end of the line. Cheap: writes at most every 0.1 s on a terminal, every
  // 5 s elsewhere. From one thread at a time.
  void update(int64_t done, std::string_view note = {});
  // The last line, always written; with the time that it took. Once.
  void finish(std::string_view note = {});

 private:
  std::string line(std::string_view note, bool last) const;
  void write(const std::string& text);

  std::string what_, unit_;
  int64_t total_, begin_, done_;
  Output output_;
  double start_, written_;  // seconds
  size_t width_ = 0;        // of the line on the terminal
  bool finished_ = false;
};

// 3.41, 12.3, 456, 7.89 k, 12.3 M: three digits.
std::string short_number(double x);
// 0.4 s, 12 s, 4 min 18 s, 2 h 5 min, 3 d 4 h.
std::string short_duration(double seconds);

}  // namespace dsllm
