// The reader of measurement tables: what it accepts, and the text of every error.
#include <doctest/doctest.h>

#include <string>

#include "ref/core/error.hpp"
#include "sim/validate/table.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

const std::string header =
    "name,n_layers,d_model,n_heads,n_kv_heads,d_ff,gated,tied,vocab_size,seq_len,gpu,gpus,gpus_per_node,dp,"
    "tp,pp,cp,"
    "interleave,schedule,zero,micro_batch,global_batch,recompute,sp,precision,measured_step_time_s,"
    "measured_memory_bytes,oom\n";
const std::string row =
    "a,32,4096,32,8,14336,1,0,128256,8192,h100-sxm,64,8,4,2,8,1,2,interleaved,1,1,512,selective,1,bf16,7.5,"
    "6e10,0\n";
const std::string empty_row = "b,,,,,,,,,,,,,,,,,,,,,,,,,,,\n";

// The row with `from` replaced.
std::string row_with(const std::string& from, const std::string& to) {
  std::string text = row;
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string message_of(const std::string& text) {
  try {
    parse_table(text, "t.csv");
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("table: a full row") {
  const auto rows = parse_table(header + row, "t.csv");
  REQUIRE(rows.size() == 1);
  const Measurement& m = rows[0];
  CHECK(m.line == 2);
  CHECK(m.name == "a");
  CHECK(m.n_layers == 32);
  CHECK(m.d_model == 4096);
  CHECK(m.n_heads == 32);
  CHECK(m.n_kv_heads == 8);
  CHECK(m.d_ff == 14336);
  CHECK(m.gated == true);
  CHECK(m.tied == false);
  CHECK(m.vocab_size == 128256);
  CHECK(m.seq_len == 8192);
  CHECK(m.gpu == "h100-sxm");
  CHECK(m.gpus == 64);
  CHECK(m.gpus_per_node == 8);
  CHECK(m.dp == 4);
  CHECK(m.tp == 2);
  CHECK(m.pp == 8);
  CHECK(m.cp == 1);
  CHECK(m.interleave == 2);
  CHECK(m.schedule == ScheduleKind::interleaved);
  CHECK(m.zero == 1);
  CHECK(m.micro_batch == 1);
  CHECK(m.global_batch == 512);
  CHECK(m.recompute == Recompute::selective);
  CHECK(m.sp == true);
  CHECK(m.precision == "bf16");
  CHECK(m.measured_step_time_s == 7.5);
  CHECK(m.measured_memory_bytes == 6e10);
  CHECK(m.oom == false);
}

TEST_CASE("table: an empty cell is unknown") {
  const auto rows = parse_table(header + empty_row, "t.csv");
  REQUIRE(rows.size() == 1);
  const Measurement& m = rows[0];
  CHECK(!m.n_layers.has_value());
  CHECK(!m.gated.has_value());
  CHECK(!m.gpu.has_value());
  CHECK(!m.schedule.has_value());
  CHECK(!m.recompute.has_value());
  CHECK(!m.sp.has_value());
  CHECK(!m.measured_step_time_s.has_value());
  CHECK(!m.oom.has_value());
}

TEST_CASE("table: comments, CR LF, quotes, spaces, a byte order mark, any order of the columns") {
  std::string crlf = "\xEF\xBB\xBF# a comment, with a comma\r\n" + header + "\r\n# another\r\n" +
                     row_with("a,32", "\"a, \"\"quoted\"\"\" , 32.0 ");
  for (size_t at = 0; (at = crlf.find('\n', at)) != std::string::npos; at += 2)
    if (at == 0 || crlf[at - 1] != '\r') crlf.insert(at, "\r");
  const auto rows = parse_table(crlf, "t.csv");
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].line == 5);
  CHECK(rows[0].name == "a, \"quoted\"");
  CHECK(rows[0].n_layers == 32);
  CHECK(rows[0].oom == false);

  // The first column moved to the end.
  std::string moved_header = header.substr(5, header.size() - 6) + ",name\n";
  std::string moved_row = row.substr(2, row.size() - 3) + ",a\n";
  const auto moved = parse_table(moved_header + moved_row, "t.csv");
  CHECK(moved[0].name == "a");
  CHECK(moved[0].oom == false);

  // The last line without its end.
  CHECK(parse_table(header + row.substr(0, row.size() - 1), "t.csv").size() == 1);
}

TEST_CASE("table: names as tables write them") {
  CHECK(gpu_from_table("H100-SXM") == "h100-sxm");
  CHECK(gpu_from_table("A100-SXM-80GB") == "a100-sxm");
  CHECK(gpu_from_table("a100_40gb") == "a100-sxm-40gb");
  CHECK(gpu_from_table("V100-SXM2-32GB") == "v100-sxm");
  CHECK(!gpu_from_table("h1000").has_value());
  const auto rows = parse_table(
      header + row_with("interleaved", "ZB_H1") + row_with("1,bf16", "TRUE,BF16") + empty_row, "t.csv");
  CHECK(rows[0].schedule == ScheduleKind::zb_h1);
  CHECK(rows[1].sp == true);
  CHECK(rows[1].precision == "bf16");
}

TEST_CASE("table: an error names the line, the column, the rule and the value") {
  const auto replaced = [](const std::string& from, const std::string& to) {
    return message_of(header + row_with(from, to));
  };
  CHECK(replaced("a,32,", "a,nan,") ==
        "t.csv: line 2, column n_layers: expected a whole number from 1 to 10000, got 'nan'");
  CHECK(replaced("a,32,", "a,-32,") ==
        "t.csv: line 2, column n_layers: expected a whole number from 1 to 10000, got '-32'");
  CHECK(replaced("a,32,", "a,32.5,") ==
        "t.csv: line 2, column n_layers: expected a whole number from 1 to 10000, got '32.5'");
  CHECK(replaced("a,32,", "a,1e400,") ==
        "t.csv: line 2, column n_layers: expected a whole number from 1 to 10000, got '1e400'");
  CHECK(replaced("a,32,", "a,32x,") ==
        "t.csv: line 2, column n_layers: expected a whole number from 1 to 10000, got '32x'");
  CHECK(replaced("interleaved,1,", "interleaved,4,") ==
        "t.csv: line 2, column zero: expected a whole number from 0 to 3, got '4'");
  CHECK(replaced("7.5", "NaN") ==
        "t.csv: line 2, column measured_step_time_s: expected a number above 0 and up to 1000000000, got "
        "'NaN'");
  CHECK(replaced("7.5", "inf") ==
        "t.csv: line 2, column measured_step_time_s: expected a number above 0 and up to 1000000000, got "
        "'inf'");
  CHECK(
      replaced("7.5", "0") ==
      "t.csv: line 2, column measured_step_time_s: expected a number above 0 and up to 1000000000, got '0'");
  CHECK(replaced("6e10", "-6e10") ==
        "t.csv: line 2, column measured_memory_bytes: expected a number above 0 and up to 1e+15, "
        "got '-6e10'");
  CHECK(replaced("14336,1", "14336,2") == "t.csv: line 2, column gated: expected 0 or 1, got '2'");
  CHECK(
      replaced("interleaved", "2f2b") ==
      "t.csv: line 2, column schedule: expected one of gpipe, 1f1b, interleaved, zb-h1, zb-h2, dualpipe, got "
      "'2f2b'");
  CHECK(replaced("selective", "some") ==
        "t.csv: line 2, column recompute: expected one of none, selective, full, got 'some'");
  CHECK(replaced("bf16", "int4") ==
        "t.csv: line 2, column precision: expected one of bf16, fp16, fp8, got 'int4'");
  CHECK(replaced("h100-sxm", "tpu-v4")
            .starts_with("t.csv: line 2, column gpu: expected one of v100-sxm, a100-pcie-40gb, "));
  CHECK(replaced("h100-sxm", "tpu-v4").ends_with(", gb200, got 'tpu-v4'"));
  CHECK(replaced(",0\n", "\n") == "t.csv: line 2: expected 28 cells, as the header has, got 27 cells");
  CHECK(replaced(",0\n", ",0,0\n") == "t.csv: line 2: expected 28 cells, as the header has, got 29 cells");
  CHECK(
      replaced("a,32", "\"a,32")
          .starts_with(
              "t.csv: line 2: expected a closing quote on the line where a cell opens one, got \"a,32,4096"));
  CHECK(replaced("a,32", "\"a\"b,32") == "t.csv: line 2: expected a comma after a closing quote, got \"a\"b");
}

TEST_CASE("table: errors of the header and of empty files") {
  CHECK(message_of("") == "t.csv: expected a header and at least one row, got neither");
  CHECK(message_of("# nothing\n\n") == "t.csv: expected a header and at least one row, got neither");
  CHECK(message_of(header) == "t.csv: expected at least one row below the header, got none");
  CHECK(message_of("name,n_layers,n_layers\n") ==
        "t.csv: line 1: expected every column once, got the column 'n_layers' twice");
  CHECK(message_of("name,n_layers\n") ==
        "t.csv: line 1: expected the column 'd_model', got a header without it");
  CHECK(message_of("# c\nname,layers\n")
            .starts_with("t.csv: line 2: expected a header of the columns name, n_layers, d_model, "));
  CHECK(message_of("# c\nname,layers\n").ends_with(", oom, got the unknown column 'layers'"));
  CHECK_THROWS_AS(read_table("/nowhere/t.csv"), FileError);
}
