#include "ref/core/npy.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/temporary_folder.hpp"

using namespace dsllm;

static std::string numpy_file(const std::string& name) {
  return std::string(DSLLM_SOURCE_DIR "/tests/core/numpy_files/") + name + ".npy";
}

// A version 1.0 file with this header and so many zero bytes of data.
static std::string file_of(const std::string& header, size_t data_bytes) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + std::string(data_bytes, '\0');
}

static std::string complaint_about(const std::string& file) {
  try {
    parse_npy(std::as_bytes(std::span(file)), "x.npy");
  } catch (const FileError& e) {
    return std::string(e.what()).substr(std::string("x.npy: ").size());
  }
  return "";
}

// NumPy's file holds 0 .. 5 in two rows, booleans i % 2.
template <class T>
static void check_ramp(const std::string& name) {
  CAPTURE(name);
  const Tensor<T, 2> x = read_npy<T, 2>(numpy_file(name));
  CHECK(x.extent[0] == 2);
  CHECK(x.extent[1] == 3);
  for (int i = 0; i < 6; ++i) {
    if constexpr (std::is_same_v<T, bool>)
      CHECK(x.data[i] == (i % 2 == 1));
    else if constexpr (std::is_same_v<T, f16>)
      CHECK(f16_to_float(x.data[i]) == static_cast<float>(i));
    else
      CHECK(x.data[i] == static_cast<T>(i));
  }
}

TEST_CASE("npy: arrays that NumPy wrote, in every type and version") {
  check_ramp<double>("f8");
  check_ramp<float>("f4");
  check_ramp<f16>("f2");
  check_ramp<int64_t>("i8");
  check_ramp<uint64_t>("u8");
  check_ramp<int32_t>("i4");
  check_ramp<uint32_t>("u4");
  check_ramp<int16_t>("i2");
  check_ramp<uint16_t>("u2");
  check_ramp<int8_t>("i1");
  check_ramp<uint8_t>("u1");
  check_ramp<bool>("b1");
  check_ramp<float>("version_2");
  check_ramp<float>("version_3");
  CHECK(read_npy<float, 1>(numpy_file("scalar"))(0) == 2.5f);
  CHECK(read_npy<float, 1>(numpy_file("vector"))(4) == 4);
  CHECK(read_npy<float, 2>(numpy_file("empty")).extent[1] == 3);
  CHECK(read_npy<int32_t, 4>(numpy_file("four_extents"))(0, 1, 2, 3) == 23);
}

TEST_CASE("npy: what is written has NumPy's own bytes") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  const auto check_same = [&](const auto& x, const std::string& name) {
    CAPTURE(name);
    write_npy(path, x);
    CHECK(read_file(path) == read_file(numpy_file(name)));
  };
  check_same(read_npy<double, 2>(numpy_file("f8")), "f8");
  check_same(read_npy<f16, 2>(numpy_file("f2")), "f2");
  check_same(read_npy<uint8_t, 2>(numpy_file("u1")), "u1");
  check_same(read_npy<bool, 2>(numpy_file("b1")), "b1");
  check_same(read_npy<float, 1>(numpy_file("vector")), "vector");
  check_same(read_npy<float, 2>(numpy_file("empty")), "empty");
  check_same(read_npy<int32_t, 4>(numpy_file("four_extents")), "four_extents");
}

TEST_CASE("npy: bf16 is written as float, exactly, in more than one piece") {
  const TemporaryFolder folder;
  Tensor<bf16, 2> x(3, 1001);
  for (int64_t i = 0; i < x.size(); ++i) x.data[i] = bf16(static_cast<float>(i % 256) * 0.125f);
  write_npy(folder / "x.npy", x);
  const Tensor<float, 2> y = read_npy<float, 2>(folder / "x.npy");
  REQUIRE(y.size() == x.size());
  for (int64_t i = 0; i < x.size(); ++i) REQUIRE(y.data[i] == static_cast<float>(x.data[i]));
}

TEST_CASE("npy: another type or rank is an error, and so are orders and types that are not ours") {
  const auto says = [](const std::string& name, const char* words) { return numpy_file(name) + words; };
  CHECK_THROWS_WITH_AS((read_npy<float, 2>(numpy_file("f8"))),
                       says("f8", ": descr: expected '<f4' (F32), got '<f8'").c_str(), FileError);
  CHECK_THROWS_WITH_AS((read_npy<float, 3>(numpy_file("f4"))),
                       says("f4", ": shape: expected 3 extents, got [2, 3]").c_str(), FileError);
  CHECK_THROWS_WITH_AS(
      (read_npy<float, 2>(numpy_file("bad_fortran_order"))),
      says("bad_fortran_order", ": fortran_order: expected False (a row-major array), got True").c_str(),
      FileError);
  CHECK_THROWS_WITH_AS((read_npy<float, 2>(numpy_file("bad_big_endian"))),
                       says("bad_big_endian", ": descr: expected a little-endian type, got '>f4'").c_str(),
                       FileError);
  CHECK_THROWS_WITH_AS(
      (read_npy<float, 2>(numpy_file("bad_complex"))),
      says("bad_complex", ": descr: expected a type of floating point, integer or boolean, got '<c8'")
          .c_str(),
      FileError);
  CHECK_THROWS_WITH_AS((read_npy<float, 1>(numpy_file("bad_record"))),
                       says("bad_record", ": header, character 10: expected a string, got byte 91").c_str(),
                       FileError);
}

TEST_CASE("npy: a header that is not exactly the dict of the format is an error that names the place") {
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
  CHECK(complaint_about(file_of(good, 24)) == "");
  CHECK(complaint_about(file_of(R"({"shape":(2,3,),"fortran_order":False,"descr":"<f4"})", 24)) == "");

  CHECK(complaint_about("") ==
        "expected an .npy file, beginning with \\x93NUMPY and a version, got something else");
  CHECK(complaint_about(std::string("\x93NUMPY\x04\x00\x00\x00", 10)) ==
        "expected version 1.0, 2.0 or 3.0, got 4.0");
  CHECK(complaint_about(std::string("\x93NUMPY\x01\x01\x00\x00", 10)) ==
        "expected version 1.0, 2.0 or 3.0, got 1.1");
  CHECK(complaint_about(std::string("\x93NUMPY\x01\x00\x05\x00", 10)) ==
        "header: expected a length of at most the bytes that follow, got 5");
  CHECK(complaint_about(std::string("\x93NUMPY\x02\x00\x05\x00", 10)) ==
        "header: expected a length of at most the bytes that follow, got 5");

  const auto dict = [](const std::string& fields) {
    return complaint_about(file_of("{" + fields + "}", 24));
  };
  const std::string descr = "'descr': '<f4'", order = "'fortran_order': False", shape = "'shape': (2, 3)";
  CHECK(dict(descr + "," + order + "," + shape) == "");
  CHECK(dict(descr + "," + descr + "," + order + "," + shape) == "header: expected one 'descr', got two");
  CHECK(dict(descr + "," + order + "," + order + "," + shape) ==
        "header: expected one 'fortran_order', got two");
  CHECK(dict(descr + "," + order + "," + shape + "," + shape) == "header: expected one 'shape', got two");
  CHECK(dict(descr + "," + order + "," + shape + ",'x': 'y'") ==
        "header: expected only descr, fortran_order and shape, got 'x'");
  CHECK(dict(descr + "," + order) == "header: expected descr, fortran_order and shape, got not all of them");
  CHECK(dict(descr + " " + order) == "header, character 16: expected '}', got byte 39");
  CHECK(dict("descr: '<f4'") == "header, character 1: expected a string, got byte 100");
  CHECK(dict("'descr") == "header, character 2: expected a string that ends, without escapes, got byte 100");
  CHECK(dict("'de\\'scr'").find("without escapes") != std::string::npos);
  CHECK(dict(descr + ",'fortran_order': 0") == "header, character 33: expected True or False, got byte 48");
  CHECK(complaint_about(file_of("{" + descr + "," + order + "," + shape + "} x", 24)) ==
        "header, character 56: expected nothing after the dict, got byte 120");

  const auto extents = [](const std::string& tuple) {
    return complaint_about(file_of("{'descr': '<f4', 'fortran_order': False, 'shape': " + tuple + "}", 24));
  };
  CHECK(extents("(6,)") == "");
  CHECK(extents("(6)") == "header, character 52: expected ',' in a tuple of one, got byte 41");
  CHECK(extents("6") == "header, character 50: expected '(', got byte 54");
  CHECK(extents("(-2, -3)") == "header, character 51: expected a whole number >= 0, got byte 45");
  CHECK(extents("(2, 3L)") == "header, character 55: expected ')', got byte 76");
  CHECK(extents("(2, 3") == "header, character 55: expected ')', got byte 125");
  CHECK(extents("(,)") == "header, character 51: expected a whole number >= 0, got byte 44");
  CHECK(extents("(9223372036854775808,)").find("a number of at most 63 bits") != std::string::npos);
  CHECK(extents("(99999999999999999999,)").find("a number of at most 63 bits") != std::string::npos);
  CHECK(extents("(4611686018427387904, 4)") ==
        "shape: expected extents whose bytes fit in 63 bits, got [4611686018427387904, 4]");
  CHECK(extents("(4611686018427387904, 4, 0)").find("63 bits") != std::string::npos);
  CHECK(extents("(2, 2)") == "expected 16 bytes for <f4 [2, 2], got 24");
  CHECK(extents("(2, 4)") == "expected 32 bytes for <f4 [2, 4], got 24");
  CHECK(extents("()") == "expected 4 bytes for <f4 [], got 24");

  std::string flag = file_of("{'descr': '|b1', 'fortran_order': False, 'shape': (1,)}", 1);
  CHECK(complaint_about(flag) == "");
  flag.back() = 2;
  CHECK(complaint_about(flag) == "expected booleans of 0 or 1, got 2");
}

TEST_CASE("npy: a file cut off anywhere is an error") {
  const std::string whole = read_file(numpy_file("f4"));
  for (size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    CHECK(complaint_about(whole.substr(0, n)) != "");
  }
}
