#include "tests/judge/pair.hpp"

#include <fmt/format.h>

#include <cmath>

#include "ref/core/error.hpp"

namespace dsllm::tests {

namespace {

int64_t whole(const std::string& name, double x) {
  if (!(x >= 0 && x < 0x1p53 && x == std::floor(x)))
    throw ValueError(name, "a whole number from 0 on", fmt::format("{}", x));
  return static_cast<int64_t>(x);
}

DType type_of(Kind kind, const Types& types) {
  switch (kind) {
    case Kind::real:
      return types.real;
    case Kind::stored:
      return types.stored;
    case Kind::wide:
      return types.arithmetic;
    case Kind::index:
      break;
  }
  return DType::i32;
}

}  // namespace

int64_t Numbers::size(const std::string& name) const {
  return whole(name, at(name));
}

Call::Call(const Numbers& numbers, const std::vector<Argument>& arguments, const Types& types)
    : numbers_(numbers), arguments_(arguments) {
  for (const Argument& a : arguments) {
    GuardedArray& array =
        arrays_.emplace(a.name, GuardedArray(type_of(a.kind, types), a.shape)).first->second;
    if (a.role == Role::input || a.role == Role::update) array.set_all(a.values);
  }
}

double Call::number(const std::string& name) const {
  const auto it = numbers_.find(name);
  if (it == numbers_.end()) throw ValueError("Call", "a number of the pair", "'" + name + "'");
  return it->second;
}

int64_t Call::size(const std::string& name) const {
  return whole(name, number(name));
}

GuardedArray& Call::array(const std::string& name) {
  const auto alias = aliases_.find(name);
  return own_array(alias == aliases_.end() ? name : alias->second);
}

GuardedArray& Call::own_array(const std::string& name) {
  const auto it = arrays_.find(name);
  if (it == arrays_.end()) throw ValueError("Call", "an argument of the pair", "'" + name + "'");
  return it->second;
}

void Call::alias(const std::string& name, const std::string& other) {
  array(name);
  array(other);
  aliases_[name] = other;
}

bool Call::is_overwritten(const std::string& name) const {
  for (const auto& [alias, other] : aliases_)
    if (other == name) return true;
  return false;
}

}  // namespace dsllm::tests
