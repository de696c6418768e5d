// A pair: one operation, the truth about it in double, and the implementations that claim to compute it.
//
// The tests, the verifier and the benchmarks are all made from the list of pairs in tests/pairs/. To add a component is
// to add one entry there.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/judge/array.hpp"
#include "tests/judge/draw.hpp"

namespace dsllm::tests {

enum class Role {
  input,    // must be unchanged afterwards
  output,   // begins as NaN, must be written everywhere
  update,   // begins with values and is an output: gradients that accumulate, logits that become gradients
  scratch,  // begins as NaN, may hold anything afterwards
};

// Which of the candidate's three types an argument has.
enum class Kind {
  real,    // activations and their gradients: float or bf16, double for the truth
  stored,  // weights and logits, which a candidate may store in another type than its activations
  wide,  // what stays in the type of the arithmetic, float where activations are bf16: losses, statistics of rows,
  // gradients of weights (they accumulate; paper 2.3: "bf16 ..., but accumulate gradients in fp32"), moments
  index,  // int32
};

struct Types {
  DType real, stored;
  DType arithmetic;  // of Kind::wide, and of everything that is computed: its eps is that of the bounds
  bool operator==(const Types&) const = default;
};

// The types of the truth.
inline constexpr Types all_double{DType::f64, DType::f64, DType::f64};

struct Argument {
  std::string name;
  Role role;
  std::vector<int64_t> shape;
  std::vector<double> values =
      {};  // of inputs and updates; rounded to the candidate's type before anybody computes
  Kind kind = Kind::real;
};

// Sizes and other numbers of one case: {{"n", 3}, {"d", 64}, {"eps", 1e-6}}.
struct Numbers : std::map<std::string, double> {
  using map::map;
  // Throws ValueError unless it is a whole number from 0 on.
  int64_t size(const std::string& name) const;
};

// The arguments of one call by name. An implementation is a function of it.
class Call {
 public:
  Call(const Numbers& numbers, const std::vector<Argument>& arguments, const Types& types);

  template <class T, int N>
  View<const T, N> in(const std::string& name) {
    return array(name).view<T, N>();
  }
  template <class T, int N>
  View<T, N> out(const std::string& name) {
    return array(name).view<T, N>();
  }
  // Throw ValueError for a name that the pair does not have.
  double number(const std::string& name) const;
  int64_t size(const std::string& name) const;
  GuardedArray& array(const std::string& name);

  const std::vector<Argument>& arguments() const { return arguments_; }
  // From now on `name` is the memory of `other`: an operation in place.
  void alias(const std::string& name, const std::string& other);
  // Whether another argument is the memory of `name`.
  bool is_overwritten(const std::string& name) const;

 private:
  GuardedArray& own_array(const std::string& name);

  Numbers numbers_;
  std::vector<Argument> arguments_;
  std::map<std::string, GuardedArray> arrays_;
  std::map<std::string, std::string> aliases_;
};

using Run = std::function<void(Call&)>;

// What a candidate runs on.
enum class Backend { ref, cuda_on_cpu, cuda_on_device };

struct Traits {
  // Two runs give the same bits. False for kernels whose threads add to one place in the order in which they come.
  bool deterministic = true;
  // Which cases it is made for, unless for all: a width of heads, a layout. It is not judged by the others.
  std::function<bool(const Numbers&)> supports = {};
};

class OnDevice;  // tests/pairs/on_device.hpp

struct Candidate {
  std::string name;  // "ref float"
  DType real;        // of arguments of Kind::real
  DType stored;      // of arguments of Kind::stored
  Run run;
  DType arithmetic = real;  // of arguments of Kind::wide, and of what is computed in between
  Backend backend = Backend::ref;
  Traits traits = {};
  // Of a kernel: the launch alone, on arguments that are on the device already; run copies them there and back.
  std::function<void(OnDevice&)> launch = {};

  Types types() const { return {real, stored, arithmetic}; }
  bool supports(const Numbers& numbers) const { return !traits.supports || traits.supports(numbers); }
};

// By output, for each element: the largest error that arithmetic with this eps excuses. See bounds.hpp.
using Bounds = std::map<std::string, std::vector<double>>;

struct Pair {
  Pair(std::string operation, std::string paper_section)
      : name(std::move(operation)), section(std::move(paper_section)) {}

  std::string name;     // that of the function
  std::string section;  // of the paper
  std::vector<Numbers> cases;
  std::vector<Style> styles = {Style::normal};
  std::function<std::vector<Argument>(const Numbers&, Draw&)> arguments;
  Run truth;  // in double
  std::vector<Candidate> candidates;
  // From the arguments in double, before and after the truth ran. Not called for Style::integers, where the bound is
  // zero.
  std::function<Bounds(Call& before, Call& truth, double eps)> bounds;
  // If there is one, of the candidate's types: an error up to twice the largest one that this plain implementation
  // makes on the same inputs, both as multiples of bounds, is excused as well (Dao et al. 2022 test so), and bounds is only the floor under it.
  std::vector<Candidate> plain = {};
  std::vector<std::pair<std::string, std::string>> in_place = {};  // {"y", "x"}: y may be x
  std::function<double(const Numbers&)> flops = {};
  // Bytes to move at least, where they are not all of each argument: of a table only some rows. See bytes_moved.
  std::function<int64_t(Call&)> bytes = {};
  // What benchmarks time: a case that takes milliseconds on a CPU, and one that fills a GPU.
  Numbers bench = {}, bench_on_device = {};
};

}  // namespace dsllm::tests
