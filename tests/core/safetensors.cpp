#include "ref/core/safetensors.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>

#include "ref/core/npy.hpp"
#include "ref/core/safetensors_writer.hpp"
#include "tests/temporary_folder.hpp"

using namespace dsllm;
namespace fs = std::filesystem;

// What the reader says about "<folder>/<name>.safetensors", without the path.
static std::string complaint_about(const std::string& path) {
  try {
    const SafetensorsFile file(path);
  } catch (const FileError& e) {
    const std::string what = e.what();
    REQUIRE(what.starts_with(path + ": "));
    return what.substr(path.size() + 2);
  }
  return "";
}

TEST_CASE("safetensors: every broken rule is an error that names the tensor and the rule") {
  const std::string offsets = "tensor 'a': expected data_offsets [begin, end] with 0 <= begin <= end, got ";
  const std::string shape = "tensor 'a': expected a shape of whole numbers >= 0, got ";
  const std::string overflow = "tensor 'a': expected a shape whose bytes fit in 63 bits, got ";
  const std::map<std::string, std::string> complaints = {
      {"empty", "expected 8 bytes with the length of the header, got 0"},
      {"seven_bytes", "expected 8 bytes with the length of the header, got 7"},
      {"header_past_the_end", "header: expected a length of at most the 81 bytes that follow, got 1000"},
      {"header_one_byte_past_the_end", "header: expected a length of at most the 2 bytes that follow, got 3"},
      {"header_over_100_mb", "header: expected at most 100000000 bytes, got 100000001"},
      {"header_length_of_64_bits", "header: expected at most 100000000 bytes, got 18446744073709551615"},
      {"header_empty", "header: expected a JSON object, beginning with '{', got nothing"},
      {"header_begins_with_a_space", "header: expected a JSON object, beginning with '{', got byte 32"},
      {"header_is_a_list", "header: expected a JSON object, beginning with '{', got byte 91"},
      {"json_broken", "byte 6: expected valid JSON, got "},
      {"json_goes_on", "byte 4: expected valid JSON, got "},
      {"json_number_too_large", "byte 10: expected valid JSON, got "},
      {"json_too_deep", "expected JSON nested at most 64 deep, got deeper nesting"},
      {"json_not_utf8", "byte 3: expected valid JSON, got "},
      {"duplicate_name", "key 'a': expected one value for it, got two"},
      {"duplicate_field", "key 'dtype': expected one value for it, got two"},
      {"metadata_not_an_object", "__metadata__: expected an object, got 1"},
      {"metadata_not_a_string", "__metadata__ 'step': expected a string, got 1"},
      {"tensor_not_an_object", "tensor 'a': expected an object, got [1]"},
      {"field_missing", "tensor 'a': expected a field 'shape', got none"},
      {"field_unknown", "tensor 'a': expected only dtype, shape and data_offsets, got 'stride'"},
      {"dtype_unknown", "tensor 'a': expected a known dtype, got \"F33\""},
      {"dtype_not_a_string", "tensor 'a': expected a known dtype, got 32"},
      {"shape_negative", shape + "[-1,-6]"},
      {"shape_fractional", shape + "[1.5,4]"},
      {"shape_of_65_bits", shape + "[3.6893488147419103e+19]"},
      {"shape_product_overflows", overflow + "F32 [4611686018427387904,4]"},
      {"shape_overflows_beside_a_zero", overflow + "F32 [4611686018427387904,4,0]"},
      {"shape_larger_than_bytes", "tensor 'a': expected 32 bytes for F32 [2,4], got 24 in [0, 24]"},
      {"shape_smaller_than_bytes", "tensor 'a': expected 16 bytes for F32 [2,2], got 24 in [0, 24]"},
      {"offsets_reversed", offsets + "[4,0]"},
      {"offsets_negative", offsets + "[-4,0]"},
      {"offsets_three", offsets + "[0,4,8]"},
      {"offsets_past_the_end", "tensor 'a': expected offsets inside the 24 data bytes, got [0, 32]"},
      {"offsets_overlap",
       "tensor 'b': expected its data at 16, where the one before it ends, got an overlap at 12"},
      {"offsets_equal",
       "tensor 'b': expected its data at 16, where the one before it ends, got an overlap at 0"},
      {"gap_at_the_front",
       "tensor 'a': expected its data at 0, where the one before it ends, got a gap at 4"},
      {"gap_between", "tensor 'b': expected its data at 4, where the one before it ends, got a gap at 8"},
      {"trailing_bytes", "expected no bytes after the last tensor, got 1"},
  };
  std::set<std::string> seen;
  for (const auto& entry : fs::directory_iterator(DSLLM_SOURCE_DIR "/tests/core/bad_safetensors")) {
    const std::string name = entry.path().stem();
    CAPTURE(name);
    REQUIRE(complaints.contains(name));
    const std::string complaint = complaint_about(entry.path());
    // The words of the JSON parser are its own; only ours are compared.
    if (complaints.at(name).ends_with("got "))
      CHECK(complaint.starts_with(complaints.at(name)));
    else
      CHECK(complaint == complaints.at(name));
    seen.insert(name);
  }
  CHECK(seen.size() == complaints.size());
}

TEST_CASE("safetensors: a file cut off anywhere is an error") {
  const TemporaryFolder folder;
  const std::string path = folder / "whole.safetensors", cut = folder / "cut.safetensors";
  SafetensorsWriter writer(path, {{"a", DType::f32, {2, 3}}, {"b", DType::u8, {5}}});
  const Tensor<float, 2> a(2, 3);
  const Tensor<uint8_t, 1> b(5);
  writer.write("a", a);
  writer.write("b", b);
  writer.commit();
  const std::string whole = read_file(path);
  for (size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    const auto bytes = std::as_bytes(std::span(whole)).first(n);
    CHECK_THROWS_AS(parse_safetensors(bytes, cut), FileError);
  }
  CHECK_NOTHROW(parse_safetensors(std::as_bytes(std::span(whole)), cut));
}

namespace {

// A tensor [2, 3] of every type by the name of the type, an empty one, a scalar, and a name that needs escapes.
std::vector<TensorSpec> every_type() {
  std::vector<TensorSpec> specs;
  for (const DTypeInfo& d : dtypes) specs.push_back({std::string(d.name), d.dtype, {2, 3}});
  std::stable_sort(specs.begin(), specs.end(), [](const TensorSpec& a, const TensorSpec& b) {
    return describe(a.dtype).size > describe(b.dtype).size;
  });
  specs.push_back({"no rows", DType::boolean, {0, 7}});
  specs.push_back({"scalar", DType::u8, {}});
  specs.push_back({"Ünï \"code\"\n", DType::u8, {1}});
  return specs;
}

// Byte i of a tensor in these files.
size_t pattern(const TensorSpec& t, size_t i) {
  return t.dtype == DType::boolean ? i % 2 : (i * 37 + t.name.size()) % 256;
}

void write_every_type(const std::string& path) {
  SafetensorsWriter writer(path, every_type(), {{"format", "pt"}, {"step", "12"}});
  for (const TensorSpec& t : every_type()) {
    const int64_t n = *byte_count(t.dtype, t.shape);
    std::vector<uint8_t> bytes(static_cast<size_t>(n));
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(pattern(t, i));
    // in two pieces
    writer.write_bytes(t.name, t.dtype, bytes.data(), n / 2);
    writer.write_bytes(t.name, t.dtype, bytes.data() + n / 2, n - n / 2);
  }
  writer.commit();
}

void check_every_type(const std::string& path) {
  const SafetensorsFile file(path);
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}, {"step", "12"}});
  REQUIRE(file.tensors().size() == every_type().size());
  for (const TensorSpec& t : every_type()) {
    CAPTURE(t.name);
    const TensorInfo& info = file.info(t.name);
    CHECK(info.dtype == t.dtype);
    CHECK(info.shape == t.shape);
    REQUIRE(static_cast<int64_t>(info.bytes.size()) == *byte_count(t.dtype, t.shape));
    for (size_t i = 0; i < info.bytes.size(); ++i)
      REQUIRE(std::to_integer<size_t>(info.bytes[i]) == pattern(t, i));
  }
}

}  // namespace

TEST_CASE("safetensors: what is written is read back, in every type") {
  const TemporaryFolder folder;
  const std::string path = folder / "all.safetensors";
  write_every_type(path);
  check_every_type(path);
  const SafetensorsFile file(path);
  CHECK(file.view<int32_t, 2>("I32").extent[1] == 3);
  CHECK(file.view<bool, 2>("BOOL")(0, 1));
  CHECK(file.view<uint8_t, 1>("scalar").size() == 1);
  CHECK(file.view<bool, 2>("no rows").size() == 0);
  CHECK(file.copy<uint16_t, 2>("U16")(1, 2) == file.view<uint16_t, 2>("U16")(1, 2));
  CHECK_FALSE(file.contains("F33"));
}

TEST_CASE("safetensors: data begins at a multiple of 64 bytes, whatever the names") {
  const TemporaryFolder folder;
  for (size_t length = 1; length < 70; ++length) {
    SafetensorsWriter writer(folder / "x", {{std::string(length, 'n'), DType::f64, {1}}});
    const Tensor<double, 1> x(1);
    writer.write(std::string(length, 'n'), x);
    writer.commit();
    const SafetensorsFile file(folder / "x");
    REQUIRE(reinterpret_cast<uintptr_t>(file.tensors()[0].bytes.data()) % 64 == 0);
  }
}

TEST_CASE("safetensors: another type, another shape or an unknown name is an error, not a guess") {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  SafetensorsWriter writer(path, {{"w", DType::f32, {2, 3}}, {"flag", DType::u8, {1}}});
  const Tensor<float, 2> w(2, 3);
  Tensor<uint8_t, 1> flag(1);
  flag(0) = 2;
  writer.write("w", w);
  writer.write("flag", flag);
  writer.commit();
  const SafetensorsFile file(path);
  const auto says = [&](const char* words) { return path + words; };
  CHECK_THROWS_WITH_AS((file.view<double, 2>("w")), says(": tensor 'w': expected F64, got F32").c_str(),
                       FileError);
  CHECK_THROWS_WITH_AS((file.view<float, 1>("w")),
                       says(": tensor 'w': expected 1 extents, got [2, 3]").c_str(), FileError);
  CHECK_THROWS_WITH_AS((file.copy<float, 3>("w")),
                       says(": tensor 'w': expected 3 extents, got [2, 3]").c_str(), FileError);
  CHECK_THROWS_WITH_AS((file.view<float, 2>("v")),
                       says(": tensor 'v': expected a tensor of that name, got none").c_str(), FileError);
  Tensor<float, 2> transposed(3, 2);
  CHECK_THROWS_WITH_AS(file.read_as("w", transposed),
                       says(": tensor 'w': expected [3, 2], got [2, 3]").c_str(), FileError);
  std::vector<double> five(5);
  CHECK_THROWS_WITH_AS(file.read_as("w", five), says(": tensor 'w': expected 5 elements, got 6").c_str(),
                       FileError);
  Tensor<float, 1> one(1);
  CHECK_THROWS_WITH_AS(file.read_as("flag", one),
                       says(": tensor 'flag': expected F64, F32, BF16 or F16, got U8").c_str(), FileError);
}

TEST_CASE("safetensors: misaligned data is refused by view and taken by copy and read_as") {
  const TemporaryFolder folder;
  // Hugging Face's writer aligns; others need not. The header of 63 bytes puts the data at 71.
  const std::string header = R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  std::string text = header + std::string(63 - header.size(), ' ');
  std::string bytes = {63, 0, 0, 0, 0, 0, 0, 0};
  const float values[2] = {1.5f, -2.0f};
  bytes += text + std::string(reinterpret_cast<const char*>(values), 8);
  write_file_atomically(folder / "odd", bytes);
  const SafetensorsFile file(folder / "odd");
  CHECK_THROWS_WITH_AS(
      (file.view<float, 1>("w")),
      ((folder / "odd") +
       ": tensor 'w': expected data at a multiple of 4 bytes, to be used where it lies, got another place; "
       "copy it")
          .c_str(),
      FileError);
  CHECK(file.copy<float, 1>("w")(1) == -2.0f);
  Tensor<double, 1> x(2);
  file.read_as("w", x);
  CHECK(x(0) == 1.5);
}

TEST_CASE("safetensors: conversion is exact, from F64 to float it rounds to nearest") {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder / "x", {{"f64", DType::f64, {4}},
                                          {"f32", DType::f32, {2}},
                                          {"bf16", DType::bf16, {3}},
                                          {"f16", DType::f16, {65536}},
                                          {"bool", DType::boolean, {1}}});
  Tensor<double, 1> f64(4);
  f64(0) = 1 + 0x1p-24;            // a tie, to even
  f64(1) = 1 + 0x1p-24 + 0x1p-50;  // above it
  f64(2) = 1e300;
  f64(3) = -0.0;
  Tensor<float, 1> f32(2);
  f32(0) = 0x1p-149f;
  f32(1) = std::numeric_limits<float>::quiet_NaN();
  Tensor<bf16, 1> b(3);
  b(0) = bf16(3.140625f);
  b(1) = bf16(0x1p-133f);  // the smallest subnormal
  b(2) = bf16(std::numeric_limits<float>::infinity());
  Tensor<f16, 1> h(65536);
  for (int i = 0; i < 65536; ++i) h(i).bits = static_cast<uint16_t>(i);
  Tensor<uint8_t, 1> two(1);
  two(0) = 2;
  writer.write("f64", f64);
  writer.write("f32", f32);
  writer.write("bf16", b);
  writer.write("f16", h);
  writer.write_bytes("bool", DType::boolean, two.data, 1);
  writer.commit();

  const SafetensorsFile file(folder / "x");
  Tensor<float, 1> x(4), y(2), z(3), all(65536);
  file.read_as("f64", x);
  CHECK(x(0) == 1.0f);
  CHECK(x(1) == 1.0f + 0x1p-23f);
  CHECK(std::isinf(x(2)));
  CHECK(std::signbit(x(3)));
  file.read_as("f32", y);
  CHECK(y(0) == 0x1p-149f);
  CHECK(std::isnan(y(1)));
  file.read_as("bf16", z);
  CHECK(z(0) == 3.140625f);
  CHECK(z(1) == 0x1p-133f);
  CHECK(std::isinf(z(2)));
  file.read_as("f16", all);
  for (int i = 0; i < 65536; ++i) {
    const float expected = f16_to_float(f16{static_cast<uint16_t>(i)});
    REQUIRE((all(i) == expected || (std::isnan(all(i)) && std::isnan(expected))));
  }
  CHECK_THROWS_WITH_AS((file.view<bool, 1>("bool")),
                       ((folder / "x") + ": tensor 'bool': expected booleans of 0 or 1, got 2").c_str(),
                       FileError);
}

TEST_CASE("safetensors: the writer refuses what would make a bad file") {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  using Specs = std::vector<TensorSpec>;
  const auto make = [&](const Specs& specs) { SafetensorsWriter writer(path, specs); };
  CHECK_THROWS_WITH_AS(
      make({{"a", DType::u8, {1}}, {"a", DType::u8, {1}}}),
      "write safetensors: expected names that differ, and none of them __metadata__, got 'a'", ValueError);
  CHECK_THROWS_AS(make({{"__metadata__", DType::u8, {1}}}), ValueError);
  CHECK_THROWS_WITH_AS(make({{"a", DType::u8, {-1}}}),
                       "write safetensors: expected tensors whose bytes fit in 63 bits, got tensor 'a'",
                       ValueError);
  CHECK_THROWS_AS(make({{"a", DType::u8, {INT64_MAX}}, {"b", DType::u8, {1}}}), ValueError);
  CHECK_THROWS_WITH_AS(
      make({{"a", DType::u8, {1}}, {"b", DType::f32, {1}}}),
      "write safetensors: expected tensors in falling order of the size of their elements, got "
      "tensor 'b' of 4 bytes each after one of 1",
      ValueError);

  SafetensorsWriter writer(path, {{"a", DType::f32, {2}}, {"b", DType::f32, {1}}});
  const Tensor<float, 1> one(1), three(3);
  const Tensor<int32_t, 1> integer(1);
  CHECK_THROWS_WITH_AS(writer.write("b", one),
                       "write safetensors: expected tensor 'a' of F32, got 'b' of F32", ValueError);
  CHECK_THROWS_WITH_AS(writer.write("a", integer),
                       "write safetensors: expected tensor 'a' of F32, got 'a' of I32", ValueError);
  CHECK_THROWS_WITH_AS(writer.write("a", three),
                       "write safetensors: expected 8 more bytes of tensor 'a', got 12", ValueError);
  writer.write("a", one);
  CHECK_THROWS_WITH_AS(writer.commit(), "write safetensors: expected 8 bytes of tensor 'a', got 4",
                       ValueError);
  writer.write("a", one);
  writer.write("b", one);
  CHECK_THROWS_WITH_AS(writer.write("b", one), "write safetensors: expected no more data, got tensor 'b'",
                       ValueError);
  CHECK_FALSE(fs::exists(path));
  writer.commit();
  CHECK(fs::exists(path));
}

namespace {

// Tensors t0 .. t4 of 1 .. 5 floats, t3 empty; every element of ti is i.
std::vector<TensorSpec> five_tensors() {
  return {{"t0", DType::f32, {1}},
          {"t1", DType::f32, {2}},
          {"t2", DType::f32, {3}},
          {"t3", DType::f32, {0}},
          {"t4", DType::f32, {5}}};
}
void write_five(const std::string& folder, int64_t max_shard_bytes) {
  SafetensorsModelWriter writer(folder, five_tensors(), max_shard_bytes, {{"format", "pt"}});
  for (int i = 0; i < 5; ++i) {
    Tensor<float, 1> x(five_tensors()[static_cast<size_t>(i)].shape[0]);
    for (int64_t j = 0; j < x.size(); ++j) x(j) = static_cast<float>(i);
    writer.write(fmt::format("t{}", i), x);
  }
  writer.commit();
}
void check_five(const std::string& folder) {
  const SafetensorsModel model(folder);
  REQUIRE(model.tensors().size() == 5);
  CHECK(model.metadata().at("format") == "pt");
  for (int i = 0; i < 5; ++i) {
    const auto x = model.view<float, 1>(fmt::format("t{}", i));
    CHECK(x.size() == five_tensors()[static_cast<size_t>(i)].shape[0]);
    for (int64_t j = 0; j < x.size(); ++j) CHECK(x(j) == static_cast<float>(i));
  }
}
size_t files_in(const std::string& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("safetensors: a model in one file or in shards reads the same; one form replaces the other") {
  const TemporaryFolder folder;
  write_five(folder.path, 1000);
  CHECK(files_in(folder.path) == 1);
  check_five(folder.path);
  write_five(folder.path, 12);  // t0 t1 | t2 t3 | t4, which is larger than a shard
  CHECK(files_in(folder.path) == 4);
  CHECK(fs::exists(folder / "model-00003-of-00003.safetensors"));
  check_five(folder.path);
  write_five(folder.path, 44);
  CHECK_FALSE(fs::exists(folder / "model.safetensors.index.json"));
  check_five(folder.path);
}

TEST_CASE("safetensors: a file that the original library wrote") {
  // Made by tests/golden/safetensors_check.py, with the content of write_every_type.
  check_every_type(DSLLM_SOURCE_DIR "/tests/core/library.safetensors");
}

TEST_CASE("safetensors: files for the original library to read") {
  // tests/golden/safetensors_check.py names the folder and judges what it finds there.
  const char* const folder = std::getenv("DSLLM_CHECK_FOLDER");
  if (folder == nullptr) {
    MESSAGE("skipped: run by tests/golden/safetensors_check.py");
    return;
  }
  write_every_type(std::string(folder) + "/all.safetensors");
  write_five(folder, 12);
  write_npy(std::string(folder) + "/x.npy",
            SafetensorsFile(std::string(folder) + "/all.safetensors").copy<int32_t, 2>("I32"));
}

TEST_CASE("safetensors: an index that does not agree with its shards, or leaves the folder, is an error") {
  const TemporaryFolder folder;
  write_five(folder.path, 12);
  const std::string index = folder / "model.safetensors.index.json", good = read_file(index);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const size_t at = text.find(from);
    REQUIRE(at != text.npos);
    write_file_atomically(index, text.replace(at, from.size(), to));
    try {
      const SafetensorsModel model(folder.path);
    } catch (const FileError& e) {
      return std::string(e.what()).substr(folder.path.size());
    }
    return std::string();
  };
  CHECK(with("", "") == "");
  const std::string t2 = R"("t2": "model-00002-of-00003.safetensors")";
  CHECK(with(t2, R"("t2": "../model-00002-of-00003.safetensors")") ==
        "/model.safetensors.index.json: tensor 't2': expected the name of a file in the same folder, got "
        "\"../model-00002-of-00003.safetensors\"");
  for (const char* name : {R"("/etc/passwd")", R"("..")", R"("")", R"("a\\b")", R"("a\u0000b")", "7"})
    CHECK(with(t2, fmt::format(R"("t2": {})", name)).find("the name of a file in the same folder") !=
          std::string::npos);
  CHECK(with(t2 + ",", "") ==
        "/model-00002-of-00003.safetensors: tensor 't2': expected its name in the index, with this file, got "
        "none");
  CHECK(with(t2, R"("t2": "model-00001-of-00003.safetensors")") ==
        "/model-00002-of-00003.safetensors: tensor 't2': expected its name in the index, with this file, got "
        "'model-00001-of-00003.safetensors'");
  CHECK(with(t2, t2 + R"(, "t9": "model-00001-of-00003.safetensors")") ==
        "/model-00001-of-00003.safetensors: tensor 't9': expected the tensor that the index promises, got "
        "none");
  CHECK(with("model-00003-of", "model-00009-of").starts_with("/model-00009-of-00003.safetensors: "));
  CHECK(with("weight_map", "weights") ==
        "/model.safetensors.index.json: expected an object 'weight_map', got none");
  fs::copy_file(folder / "model-00001-of-00003.safetensors", folder / "model.safetensors");
  CHECK_THROWS_WITH_AS(
      SafetensorsModel(folder.path),
      (folder.path + ": expected either model.safetensors or model.safetensors.index.json, got both").c_str(),
      FileError);
  CHECK_THROWS_WITH_AS(SafetensorsModel(folder / "nowhere"),
                       ((folder / "nowhere") +
                        ": expected either model.safetensors or model.safetensors.index.json, got neither")
                           .c_str(),
                       FileError);
}

TEST_CASE("safetensors: a tensor that two shards hold is an error") {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b"}) {
    SafetensorsWriter writer(folder / name, {{"t", DType::u8, {0}}});
    writer.commit();
  }
  write_file_atomically(folder / "model.safetensors.index.json", R"({"weight_map": {"t": "a", "u": "b"}})");
  CHECK_THROWS_WITH_AS(
      SafetensorsModel(folder.path),
      ((folder / "b") + ": tensor 't': expected a name that no other shard has, got a second one").c_str(),
      FileError);
}

TEST_CASE("safetensors: thousands of tensors do not take quadratic time") {
  // Looking through all names for each would be 5 * 10^9 comparisons.
  std::vector<TensorSpec> specs;
  for (int i = 0; i < 100'000; ++i) specs.push_back({fmt::format("layers.{}.weight", i), DType::u8, {0}});
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder / "x", specs);
  writer.commit();
  CHECK(SafetensorsFile(folder / "x").tensors().size() == specs.size());
}
