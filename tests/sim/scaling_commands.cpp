// The commands: reports that show their formulas, JSON and CSV that can be read, and files that are refused with the place.
#include "sim/scaling/commands.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "ref/core/error.hpp"
#include "ref/core/json.hpp"
#include "sim/model_cost.hpp"
#include "sim/scaling/csv.hpp"
#include "sim/scaling/grid.hpp"
#include "sim/scaling/isoflop.hpp"
#include "sim/scaling/laws.hpp"
#include "sim/scaling/predict.hpp"
#include "tests/sim/shared_facts.hpp"
#include "tests/temporary_folder.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

template <class Options>
std::string printed(void (*command)(const Options&, std::ostream&), const Options& options) {
  std::ostringstream out;
  command(options, out);
  return out.str();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A file of this content, for as long as the object lives.
class Sheet {
 public:
  explicit Sheet(const std::string& content, const std::string& name = "t.csv") : path_(folder_ / name) {
    std::ofstream(path_) << content;
  }
  std::string path() const { return path_; }

 private:
  TemporaryFolder folder_;
  std::string path_;
};

// What reading says, without the folder's name.
template <class Read>
std::string complaint(Read read, const std::string& content) {
  const Sheet sheet(content);
  try {
    read(sheet.path());
  } catch (const FileError& e) {
    const std::string text = e.what();
    CHECK(text.starts_with(sheet.path() + ": "));
    return text.substr(sheet.path().size() + 2);
  }
  return "nothing";
}

}  // namespace

TEST_CASE("scaling law prints each formula with its numbers put in") {
  const std::string text = printed(scaling_law_command, {1e20, "deepseek-current", 4096, {}});
  CHECK(contains(text, "eta = 0.3118 * (1e20)^-0.125 = 9.86e-04"));
  CHECK(contains(text, "B   = 0.292 * (1e20)^0.3271 = 1.017e6 tokens = 248 sequences of 4096"));
  CHECK(contains(text, "M = 0.1715 * (1e20)^0.5243 = 5.251e9 FLOPs a token"));
  CHECK(contains(text, "D = 5.8316 * (1e20)^0.4757 = 1.905e10"));
  CHECK(contains(text, "an extrapolation: beyond the fitted runs by a factor of 5\n"));
  CHECK_FALSE(contains(printed(scaling_law_command, {1e19, "deepseek-current", 4096, {}}), "extrapolation"));
  CHECK(contains(printed(scaling_law_command, {1e15, "deepseek-current", 4096, {}}),
                 "an extrapolation: below the fitted runs by a factor of 100\n"));
  const Json json =
      parse_json(printed(scaling_law_command, {8.493e22, "deepseek-current", 4096, {true, false}}), "law");
  CHECK(json["learning_rate"].get<double>() == doctest::Approx(4.2e-4).epsilon(0.012));
  CHECK(json["batch_sequences"].get<double>() == doctest::Approx(2255).epsilon(0.001));
  CHECK(json["nearest_paper_shape"]["name"] == "table 3");  // M_opt is 1.82e11, between 5120 and 8192 wide
  const std::string csv = printed(scaling_law_command, {1e20, "chinchilla", 4096, {false, true}});
  const CsvTable table = parse_csv(csv, "csv");
  CHECK(table.rows.size() == 1);
  CHECK(table.number(0, table.require({"tokens"})) == doctest::Approx(1.83e10).epsilon(0.001));
}

TEST_CASE("data sets: exponents of table 4, and points that their authors published") {
  for (const ScalingData& data : scaling_data()) {
    CAPTURE(data.name);
    CHECK(data.a + data.b == doctest::Approx(1));
    const Allocation at = allocate(data, 1e21), ten = allocate(data, 1e22);
    CHECK(at.model_scale.has_value() == data.model_scale.has_value());
    if (!at.model_scale) continue;
    CHECK(*at.model_scale * *at.tokens == doctest::Approx(1e21).epsilon(0.001));  // C = M D
    CHECK(std::log10(*ten.model_scale / *at.model_scale) == doctest::Approx(data.a).epsilon(0.001));
  }
  // Hoffmann et al. 2022, table 3, their own first approach: 67e9 parameters and 1.5e12 tokens at 5.76e23 FLOPs.
  const Allocation chinchilla = allocate(find_scaling_data("chinchilla"), 5.76e23);
  CHECK(*chinchilla.model_scale / 6 == doctest::Approx(67e9).epsilon(0.1));
  CHECK(*chinchilla.tokens == doctest::Approx(1.5e12).epsilon(0.1));
  CHECK_THROWS_WITH_AS(find_scaling_data("gpt-4"),
                       "data: expected one of kaplan, chinchilla, deepseek-early, deepseek-current, "
                       "deepseek-openwebtext2, got gpt-4",
                       ValueError);
  const std::string text = printed(scaling_law_command, {1e20, "deepseek-early", 4096, {}});
  CHECK(contains(text, "no M and no D: table 4 gives the exponents only"));
}

TEST_CASE("shapes: table 3 by equation (2), and one drawn up for any M") {
  const std::vector<Shape> shapes = paper_shapes();
  REQUIRE(shapes.size() == 9);
  // Table 3 prints 352M, 963M, 3.02B, 9.66B, 45.1B, 85.6B, 419B; the 7B and 67B models come to 42.3B and 497B by (2).
  const double expected[] = {352e6, 963e6, 3.02e9, 9.66e9, 42.28e9, 45.1e9, 85.6e9, 419e9, 497.3e9};
  for (size_t i = 0; i < 9; ++i) CHECK(shapes[i].model_scale == doctest::Approx(expected[i]).epsilon(0.002));
  CHECK(nearest_paper_shape(43e9).name == "deepseek-llm-7b");
  // The widths of SwiGLU that both models have (table 2, config.json) follow from the rule for shapes.
  for (const Shape& s : shapes) {
    if (s.model.d_model == 4096) CHECK(s.model.d_ff == 11008);
    if (s.model.d_model == 8192) CHECK(s.model.d_ff == 22016);
  }
  for (double m = 1e8; m < 1e13; m *= 1.7) {
    CAPTURE(m);
    const Shape shape = draw_shape(m);
    CHECK(std::abs(shape.model_scale / m - 1) <= 0.05);
    CHECK(shape.model_scale == paper_m(shape.model));
    const double aspect =
        static_cast<double>(shape.model.d_model) / static_cast<double>(shape.model.n_layers);
    CHECK(aspect > 20);
    CHECK(aspect < 200);
    CHECK_NOTHROW(shape.model.validate());
  }
  CHECK_NOTHROW(draw_shape(1).model.validate());
  CHECK_NOTHROW(draw_shape(1e30).model.validate());
}

TEST_CASE("budgets that are none are refused") {
  for (double c : {0.0, -1e20, std::nan(""), static_cast<double>(INFINITY)}) {
    CHECK_THROWS_AS(printed(scaling_law_command, {c, "deepseek-current", 4096, {}}), ValueError);
  }
  CHECK_THROWS_AS(printed(scaling_law_command, {1e20, "deepseek-current", 0, {}}), ValueError);
  CHECK_THROWS_AS(printed(scaling_law_command, {1e20, "deepseek-current", 4096, {true, true}}), UsageError);
}

TEST_CASE("isoflop, grid and predict print reports, JSON and CSV") {
  std::string rows = "C,M,loss\n";
  for (double c : {1e18, 1e19, 1e20})
    for (double away : {0.5, 0.8, 1.0, 1.5, 2.0})
      rows +=
          fmt::format("{},{},{}\n", c, 0.2 * std::sqrt(c) * away, 2 + 0.1 * std::log(away) * std::log(away));
  const Sheet isoflop(rows);
  CHECK(contains(printed(scaling_isoflop_command, {isoflop.path(), 3, {50, 0.95, 0}, {}}),
                 "M_opt = 0.2 C^a   a = 0.5000 [0.5000, 0.5000]"));
  const Json fit =
      parse_json(printed(scaling_isoflop_command, {isoflop.path(), 3, {50, 0.95, 0}, {true, false}}), "json");
  CHECK(fit["model_scale"]["exponent"].get<double>() == doctest::Approx(0.5));
  CHECK(fit["budgets"].size() == 3);
  CHECK(parse_csv(printed(scaling_isoflop_command, {isoflop.path(), 3, {50, 0.95, 0}, {false, true}}), "csv")
            .rows.size() == 3);

  const std::string grid_rows =
      "batch_tokens\\lr,0.0005,0.001,0.002\n524288,2.484,2.480,2.489\n1048576,2.480,2.474,2.480\n2097152,2."
      "497,2.487,2.481\n";
  const Sheet grid(grid_rows, "grid_1e20_3B.csv"), nameless(grid_rows);
  const std::string text = printed(scaling_grid_command, {grid.path(), 0, 0.0025, {}});
  CHECK(contains(text, "[2.480] <2.474>*[2.480]"));
  CHECK(contains(text, "Star, equation (1) at C = 1e20 (from the file's name)"));
  CHECK(contains(text, "inside the ranges of the band"));
  CHECK(contains(printed(scaling_grid_command, {nameless.path(), 0, 0.0025, {}}), "Star: none"));
  CHECK(contains(printed(scaling_grid_command, {nameless.path(), 1e24, 0.0025, {}}), "off the grid"));
  const Json band =
      parse_json(printed(scaling_grid_command, {nameless.path(), 1e20, 0.0025, {true, false}}), "json");
  CHECK(band["near_cells"] == 4);
  CHECK(band["star"]["inside"] == true);
  CHECK(
      parse_csv(printed(scaling_grid_command, {grid.path(), 0, 0.0025, {false, true}}), "csv").rows.size() ==
      9);

  std::string losses = "C,bpb\n";
  for (double c = 1e17; c < 1e21; c *= 10)
    losses += fmt::format("{},{}\n", c, 0.5 + std::pow(c / 1e17, -0.1));
  const Sheet plain(losses), starred(losses + "1e23 (large),0.75\n1e24 (unknown),\n");
  const std::string both = printed(scaling_predict_command, {starred.path(), {1e25}, {50, 0.95, 0}, {}});
  CHECK(contains(
      both,
      "large: L(1e23) = 0.5000 + 50.12 * (1e23)^-0.1000 = 0.7512 [0.7512, 0.7512]; measured 0.75: +0.2%"));
  CHECK(contains(both, "unknown: L(1e24)"));
  CHECK(contains(both, "L(1e25)"));
  // Without a budget to predict, those of the paper's two models.
  const Json predicted =
      parse_json(printed(scaling_predict_command, {plain.path(), {}, {50, 0.95, 0}, {true, false}}), "json");
  REQUIRE(predicted["predictions"].size() == 2);
  CHECK(predicted["predictions"][0]["compute_flops"].get<double>() ==
        doctest::Approx(8.493e22).epsilon(1e-4));
  CHECK(predicted["predictions"][1]["compute_flops"].get<double>() ==
        doctest::Approx(8.655e23).epsilon(1e-4));
  CHECK(predicted["alpha"].get<double>() == doctest::Approx(0.1).epsilon(1e-6));
  CHECK(parse_csv(printed(scaling_predict_command, {starred.path(), {}, {50, 0.95, 0}, {false, true}}), "csv")
            .rows.size() == 6);
}

TEST_CASE("files that cannot be believed are refused with the line, the column and the rule") {
  const auto isoflop = [](const std::string& content) { return complaint(read_isoflop, content); };
  const std::string good =
      "C,M,loss\n1e18,1e8,2\n1e18,2e8,1.9\n1e18,4e8,2\n1e19,1e8,2\n1e19,2e8,1.9\n1e19,4e8,2\n";
  CHECK(isoflop(good) == "nothing");
  CHECK(isoflop("\xef\xbb\xbf# a comment\r\nC, M ,loss\r\n\r\n" + good.substr(9)) == "nothing");
  CHECK(isoflop("") == "expected a line of column names, got none");
  CHECK(isoflop("C,M,loss\n") == "expected lines of numbers after the column names, got none");
  CHECK(isoflop("C,M,M\n1,2,3\n") == "line 1, cell 3: expected every column once, got M again");
  CHECK(isoflop("C,,M\n1,2,3\n") == "line 1, cell 2: expected the name of a column, got an empty cell");
  CHECK(isoflop("C,M,speed\n1,2,3\n") ==
        "line of column names: expected a column by one of the names loss, bpb, val_bpb, got C, M, speed");
  CHECK(isoflop("C,M,loss,speed\n1,2,3,4\n") ==
        "line of column names: expected no columns but C, M, loss, got speed");
  CHECK(isoflop(good + "1e19,8e8\n") == "line 8: expected 3 cells, as many as there are columns, got 2");
  CHECK(isoflop(good + "1e19,8e8,nan\n") == "line 8, column loss: expected a finite number, got nan");
  CHECK(isoflop(good + "1e19,8e8,\n") == "line 8, column loss: expected a finite number, got an empty cell");
  CHECK(isoflop(good + "1e19,inf,2\n") == "line 8, column M: expected a finite number, got inf");
  CHECK(isoflop(good + "1e999,8e8,2\n") == "line 8, column C: expected a finite number, got 1e999");
  CHECK(isoflop(good + "1e19,8e8,2.0x\n") == "line 8, column loss: expected a finite number, got 2.0x");
  CHECK(isoflop(good + "1e19,-8e8,2\n") == "line 8, column M: expected a number above 0, got -8e8");
  CHECK(
      isoflop(good + "1e19,2e8,2\n") ==
      "line 8, column M: expected every model scale once in a budget, got 2e+08 at C = 1e+19, as in line 6");
  CHECK(isoflop(good + "1e20,8e8,2\n") ==
        "column M, C = 1e+20: expected three model scales at least, for a parabola, got 1");
  CHECK(isoflop("C,M,loss\n1e18,1e8,2\n1e18,2e8,1.9\n1e18,4e8,2\n") ==
        "column C: expected two budgets at least, for a power law, got one");

  const auto grid = [](const std::string& content) { return complaint(read_grid, content); };
  const std::string corner = "log2_batch_tokens\\log2_lr";
  CHECK(grid(corner + ",-10,-9\n18,2,2\n19,2,2\n") == "nothing");
  CHECK(grid("batch,-10,-9\n18,2,2\n") ==
        "first cell: expected log2_batch_tokens\\log2_lr or batch_tokens\\lr, got batch");
  CHECK(grid(corner + ",-10,fast\n18,2,2\n") ==
        "line of column names, cell 3: expected a learning rate, got fast");
  CHECK(grid(corner + ",-9,-10\n18,2,2\n") ==
        "line of column names, cell 3: expected an axis that rises, every value once, got -10 after -9");
  CHECK(grid(corner + ",-10,-9\n18,2,2\n18,2,2\n") ==
        "line 3, column log2_batch_tokens\\log2_lr: expected an axis that rises, every value once, got 18 "
        "after 18");
  CHECK(grid(corner + ",-10,-9\n18,2,NaN\n") == "line 2, column -9: expected a finite number, got NaN");
  CHECK(grid(corner + ",-10,-9\n18,2,-1\n") == "line 2, column -9: expected a number above 0, got -1");
  CHECK(grid(corner + "\n18\n") == "line of column names: expected one column a rate, got none");
  CHECK(contains(grid("batch_tokens\\lr,0,1\n18,2,2\n"), "cell 2: expected a number above 0, got 0"));

  const auto losses = [](const std::string& content) { return complaint(read_losses, content); };
  const std::string four = "C,loss\n1e17,4\n1e18,3\n1e19,2.5\n1e20,2.2\n";
  CHECK(losses(four) == "nothing");
  CHECK(losses("C,loss\n1e17,4\n1e18,3\n1e19,2.5\n1e20 (large),2\n") ==
        "column C: expected four budgets at least, for L0, A and alpha, got 3");
  CHECK(losses(four + "1e17,4\n") == "line 6, column C: expected every budget once, got 1e+17, as in line 2");
  CHECK(losses(four + "1e21 large,2\n") == "line 6, column C: expected a finite number, got 1e21 large");
  CHECK(losses(four + "1e21 (large),none\n") == "line 6, column loss: expected a finite number, got none");
  CHECK_THROWS_AS(read_losses("/no/such/file.csv"), FileError);
}

TEST_CASE("points that no curve fits are refused with the file's name") {
  const Sheet hill("C,M,loss\n1e18,1e8,2\n1e18,2e8,3\n1e18,4e8,2\n1e19,1e8,2\n1e19,2e8,1.9\n1e19,4e8,2\n");
  CHECK_THROWS_WITH_AS(
      printed(scaling_isoflop_command, {hill.path(), 0, {50, 0.95, 0}, {}}),
      (hill.path() + ", budget 1e+18: expected a curve with a minimum, got losses that bend downwards")
          .c_str(),
      ValueError);
  const Sheet rising("C,loss\n1e17,2\n1e18,2.1\n1e19,2.2\n1e20,2.4\n");
  CHECK_THROWS_WITH_AS(
      printed(scaling_predict_command, {rising.path(), {}, {50, 0.95, 0}, {}}),
      (rising.path() + ": expected losses that fall as L0 + A C^-alpha with alpha between 0.001 and 4, got "
                       "losses that no such curve fits best")
          .c_str(),
      ValueError);
}

TEST_CASE("the digitized figures go through the commands as they are") {
  const auto optima = test::shared_fact("paper/fig4bc_fig5_optimum_digitized.csv");
  if (!optima) return;
  const LossTable table = read_losses(*optima);
  CHECK(table.points.size() == 8);
  REQUIRE(table.targets.size() == 2);
  CHECK(table.targets[1].label == "67B star");
  CHECK(*table.targets[1].measured == 0.631);
}
