#include "ref/core/progress.hpp"

#include <doctest/doctest.h>

#include <sstream>

using namespace dsllm;

namespace {

struct Screen {
  std::ostringstream out;
  double now = 100;
  Progress::Output output(bool terminal) {
    return {&out, terminal, [this] { return now; }};
  }
};

}  // namespace

TEST_CASE("progress: a log gets a plain line every five seconds, and a last one") {
  Screen screen;
  Progress progress("train", "steps", 1000, 0, screen.output(false));
  for (int step = 1; step <= 120; ++step) {
    screen.now += 0.125;
    progress.update(step, "loss 3.21");
  }
  CHECK(screen.out.str() ==
        "train: 40/1000 steps, 4%, 8.00 steps/s, 2 min 0 s left, loss 3.21\n"
        "train: 80/1000 steps, 8%, 8.00 steps/s, 1 min 55 s left, loss 3.21\n"
        "train: 120/1000 steps, 12%, 8.00 steps/s, 1 min 50 s left, loss 3.21\n");
  screen.out.str("");
  progress.finish();
  progress.finish();
  progress.update(121);
  CHECK(screen.out.str() == "train: 120/1000 steps, 12%, 8.00 steps/s, took 15 s\n");
}

TEST_CASE("progress: a terminal gets one line, rewritten at most ten times a second") {
  Screen screen;
  Progress progress("read", "lines", 0, 0, screen.output(true));
  progress.update(1, "a long note");
  for (int i = 0; i < 7; ++i) {
    screen.now += 0.0625;
    progress.update(2 + i);
  }
  const std::string text = screen.out.str();
  CHECK(text ==
        "\rread: 1 lines, a long note"
        "\rread: 3 lines, 24.0 lines/s"
        "\rread: 5 lines, 20.0 lines/s"
        "\rread: 7 lines, 18.7 lines/s");
  screen.now += 9.5625;
  progress.finish();
  CHECK(screen.out.str() == text + "\rread: 8 lines, 0.80 lines/s, took 10 s\n");
}

TEST_CASE("progress: a shorter line leaves nothing of the longer one") {
  Screen screen;
  Progress progress("x", "y", 0, 0, screen.output(true));
  progress.update(0, "12345678");
  screen.now += 1;
  progress.update(0, "123");
  CHECK(screen.out.str() == "\rx: 0 y, 12345678\rx: 0 y, 123     ");
}

TEST_CASE("progress: a run that is resumed does not count what was there, and 100% is complete") {
  Screen screen;
  Progress progress("train", "steps", 1000, 900, screen.output(false));
  screen.now += 10;
  progress.update(999);
  CHECK(screen.out.str() == "train: 999/1000 steps, 99%, 9.90 steps/s, 0.1 s left\n");
  screen.out.str("");
  progress.update(1000);
  progress.finish("done");
  CHECK(screen.out.str() == "train: 1000/1000 steps, 100%, 10.0 steps/s, took 10 s, done\n");
}

TEST_CASE("progress: without finish, as after an error, a terminal's line is ended and a log is left alone") {
  Screen screen;
  { Progress progress("x", "y", 0, 0, screen.output(true)); }
  CHECK(screen.out.str() == "");
  {
    Progress progress("x", "y", 0, 0, screen.output(true));
    progress.update(1);
  }
  CHECK(screen.out.str() == "\rx: 1 y\n");
  screen.out.str("");
  {
    Progress progress("x", "y", 0, 0, screen.output(false));
    screen.now += 6;
    progress.update(0);
  }
  CHECK(screen.out.str() == "x: 0 y\n");
}

TEST_CASE("progress: numbers have three digits, durations two units") {
  CHECK(short_number(0) == "0.00");
  CHECK(short_number(9.994) == "9.99");
  CHECK(short_number(9.996) == "10.0");
  CHECK(short_number(99.96) == "100");
  CHECK(short_number(999.4) == "999");
  CHECK(short_number(999.6) == "1.00 k");
  CHECK(short_number(12'345'678) == "12.3 M");
  CHECK(short_duration(0.04) == "0.0 s");
  CHECK(short_duration(9.96) == "10 s");
  CHECK(short_duration(59.6) == "1 min 0 s");
  CHECK(short_duration(258) == "4 min 18 s");
  CHECK(short_duration(3599.6) == "1 h 0 min");
  CHECK(short_duration(7500) == "2 h 5 min");
  CHECK(short_duration(86400 * 3 + 3600 * 4) == "3 d 4 h");
  CHECK(short_duration(1e300) == "?");
}
