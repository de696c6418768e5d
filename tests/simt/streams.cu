// Streams and events: work is done in order, later than the call returns; errors come at synchronize() and what stands behind
// them in the stream is dropped.
#include "tests/simt/support.hpp"

using namespace dsllm;
using namespace dsllm::simt_test;

namespace {

// digits = 10 digits + digit: the order of the launches can be read from the number.
__global__ void append(int64_t* digits, int digit) {
  *digits = *digits * 10 + digit;
}
__global__ void copy(int64_t* to, const int64_t* from) {
  *to = *from;
}
__global__ void fail_outside(int64_t* cell) {
  cell[1 << 20] = 1;
}

struct Cell {
  DeviceTensor<int64_t, 1> device;
  explicit Cell(Stream& stream) : device("cell", 1) { fill_zero(device.data, 8, stream); }
  void append(int digit, Stream& stream) const { launch(stream, {1, 1}, ::append, device.data, digit); }
  // What lies there now, without waiting for anything.
  int64_t now() const { return *device.data; }
};

}  // namespace

TEST_CASE("a stream does its work in order, and not before somebody waits") {
  Stream stream;
  const Cell cell(stream);
  int64_t host = 77;
  for (int digit = 1; digit <= 5; ++digit) cell.append(digit, stream);
  copy_to_host(&host, cell.device.data, 8, stream);
  cell.append(6, stream);
  CHECK(host == 77);
  stream.synchronize();
  CHECK(host == 12345);
  CHECK(cell.now() == 123456);
  stream.synchronize();  // nothing more to do
  CHECK(cell.now() == 123456);
}

TEST_CASE("copies and zeros stand in the stream too; the host's bytes are read at the call") {
  Stream stream;
  const DeviceTensor<int, 1> a("a", 100), b("b", 100);
  std::vector<int> numbers(100, 3), out(100, -1), zeros(100, -1);
  copy_to_device(a.data, numbers.data(), a.bytes(), stream);
  std::fill(numbers.begin(), numbers.end(), 4);  // too late
  copy_on_device(b.data, a.data, b.bytes(), stream);
  fill_zero(a.data, a.bytes(), stream);
  fill_zero(b.data + 10, 4, stream);
  copy_to_host(out.data(), b.data, b.bytes(), stream);
  copy_to_host(zeros.data(), a.data, a.bytes(), stream);
  CHECK(out[0] == -1);
  stream.synchronize();
  for (size_t i = 0; i < 100; ++i) {
    CHECK(out[i] == (i == 10 ? 0 : 3));
    CHECK(zeros[i] == 0);
  }
}

TEST_CASE("streams are independent of each other") {
  Stream first, second;
  const Cell a(first), b(second);
  a.append(1, first);
  b.append(2, second);
  first.synchronize();
  CHECK(a.now() == 1);
  CHECK(b.now() != 2);
  second.synchronize();
  CHECK(b.now() == 2);
}

TEST_CASE("a stream waits for an event of another one") {
  Stream first, second;
  const Cell cell(first);
  Event ready;
  cell.append(1, first);
  ready.record(first);
  cell.append(3, first);
  second.wait(ready);
  cell.append(2, second);
  second.synchronize();
  CHECK(cell.now() == 12);  // what the first stream has after the event was not waited for
  first.synchronize();
  CHECK(cell.now() == 123);
}

TEST_CASE("two streams take turns, with two events that are recorded again and again") {
  Stream first, second;
  const Cell cell(first);
  Event of_first, of_second;
  for (int round = 0; round < 4; ++round) {
    cell.append(2 * round + 1, first);
    of_first.record(first);
    second.wait(of_first);
    cell.append(2 * round + 2, second);
    of_second.record(second);
    first.wait(of_second);
  }
  first.synchronize();
  CHECK(cell.now() == 12345678);
  second.synchronize();
  CHECK(cell.now() == 12345678);
}

TEST_CASE("a wait is for what was recorded before it") {
  Stream first, second;
  const Cell cell(first);
  Event event;
  second.wait(event);  // never recorded: nothing to wait for
  cell.append(1, first);
  event.record(first);
  first.synchronize();
  second.wait(event);  // has happened
  cell.append(2, second);
  cell.append(3, first);
  event.record(first);  // after the wait: of no concern to it
  second.synchronize();
  CHECK(cell.now() == 12);
  first.synchronize();
  CHECK(cell.now() == 123);
}

TEST_CASE("a chain of events over three streams, and a stream that was destroyed") {
  Stream last;
  const Cell cell(last);
  last.synchronize();
  Event one, two;
  {
    Stream first, second;
    cell.append(1, first);
    one.record(first);
    second.wait(one);
    cell.append(2, second);
    two.record(second);
    last.wait(two);
    cell.append(3, last);
  }
  CHECK(cell.now() == 12);  // destroying a stream does its work
  last.synchronize();
  CHECK(cell.now() == 123);
}

TEST_CASE("the time between two events") {
  Stream stream;
  const Cell cell(stream);
  Event begin, end;
  begin.record(stream);
  for (int i = 0; i < 15; ++i) cell.append(1, stream);
  end.record(stream);
  CHECK(message_of<ValueError>([&] { Event::milliseconds(begin, end); }) ==
        "Event::milliseconds: expected two events that have happened, got one that has not");
  stream.synchronize();
  CHECK(Event::milliseconds(begin, end) > 0);
  CHECK(Event::milliseconds(end, begin) < 0);
  end.record(stream);  // not yet again
  CHECK_THROWS_AS(Event::milliseconds(begin, end), ValueError);
}

TEST_CASE("an error comes at synchronize(); what stands behind it is dropped, and the stream works again") {
  Stream stream;
  const Cell cell(stream);
  cell.append(1, stream);
  launch(stream, {1, 1}, fail_outside, cell.device.data);
  cell.append(2, stream);
  CHECK_THROWS_AS(stream.synchronize(), KernelError);
  CHECK(cell.now() == 1);
  cell.append(3, stream);
  stream.synchronize();
  CHECK(cell.now() == 13);
}

TEST_CASE("an error that another stream met: nothing behind it is done in either, and both say so") {
  Stream first, second;
  const Cell a(first), b(second);
  Event event;
  launch(first, {1, 1}, fail_outside, a.device.data);
  a.append(1, first);
  event.record(first);
  second.wait(event);
  b.append(2, second);
  CHECK(message_of<DeviceError>([&] { second.synchronize(); }) ==
        "Stream::wait: expected an event that happens, got one that its stream dropped after an error");
  CHECK(b.now() != 2);
  a.append(3, first);  // still behind the error, which nobody has seen
  CHECK_THROWS_AS(first.synchronize(), KernelError);
  CHECK(a.now() == 0);
  a.append(4, first);
  first.synchronize();
  CHECK(a.now() == 4);
  b.append(5, second);
  second.synchronize();
  CHECK(b.now() == 5);
}

TEST_CASE("a kernel can take a copy of what another one wrote before it in the stream") {
  Stream stream;
  const Cell a(stream), b(stream);
  a.append(5, stream);
  launch(stream, {1, 1}, copy, b.device.data, a.device.data);
  a.append(6, stream);
  stream.synchronize();
  CHECK(b.now() == 5);
  CHECK(a.now() == 56);
}
