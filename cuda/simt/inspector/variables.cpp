#include "cuda/simt/inspector/variables.hpp"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <map>
#include <vector>

namespace dsllm::cuda::simt::inspector {
namespace {

struct Type {
  int64_t element_bytes = 0;
  std::vector<int64_t> extents;  // of an array, outermost first
};
using Types = std::map<int64_t, Type>;  // by offset in thread-local memory

// The DIE that attribute `name` of `die` points to.
bool follow(Dwarf_Die* die, unsigned name, Dwarf_Die* result) {
  Dwarf_Attribute attribute;
  return dwarf_attr_integrate(die, name, &attribute) != nullptr &&
         dwarf_formref_die(&attribute, result) != nullptr;
}

void add_extents(Dwarf_Die* array, Type& type) {
  Dwarf_Die child;
  if (dwarf_child(array, &child) != 0) return;
  do {
    if (dwarf_tag(&child) != DW_TAG_subrange_type) continue;
    Dwarf_Attribute attribute;
    Dwarf_Word n = 0;
    if (dwarf_formudata(dwarf_attr(&child, DW_AT_count, &attribute), &n) == 0)
      type.extents.push_back(static_cast<int64_t>(n));
    else if (dwarf_formudata(dwarf_attr(&child, DW_AT_upper_bound, &attribute), &n) == 0)
      type.extents.push_back(static_cast<int64_t>(n) + 1);
  } while (dwarf_siblingof(&child, &child) == 0);
}

Type type_of(Dwarf_Die* variable) {
  Type type;
  Dwarf_Die at;
  if (!follow(variable, DW_AT_type, &at)) return type;
  for (;;) {
    Dwarf_Die next;
    if (dwarf_tag(&at) == DW_TAG_array_type) {
      add_extents(&at, type);
    } else if (dwarf_tag(&at) != DW_TAG_typedef && dwarf_tag(&at) != DW_TAG_const_type &&
               dwarf_tag(&at) != DW_TAG_volatile_type) {
      break;
    }
    if (!follow(&at, DW_AT_type, &next)) return {};
    at = next;
  }
  Dwarf_Word bytes = 0;
  if (dwarf_aggregate_size(&at, &bytes) == 0) type.element_bytes = static_cast<int64_t>(bytes);
  return type;
}

// Variables whose location is a constant and "that far into thread-local memory".
void collect(Dwarf_Die* die, Types& types) {
  Dwarf_Die child;
  if (dwarf_child(die, &child) != 0) return;
  do {
    Dwarf_Attribute attribute;
    Dwarf_Op* expression = nullptr;
    size_t length = 0;
    if (dwarf_tag(&child) == DW_TAG_variable && dwarf_attr(&child, DW_AT_location, &attribute) != nullptr &&
        dwarf_getlocation(&attribute, &expression, &length) == 0 && length == 2 &&
        (expression[1].atom == DW_OP_GNU_push_tls_address || expression[1].atom == DW_OP_form_tls_address))
      types.emplace(static_cast<int64_t>(expression[0].number), type_of(&child));
    collect(&child, types);
  } while (dwarf_siblingof(&child, &child) == 0);
}

const Types& all_types() {
  static const Types types = [] {
    Types found;
    const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    Dwarf* dwarf = file >= 0 ? dwarf_begin(file, DWARF_C_READ) : nullptr;
    Dwarf_CU* unit = nullptr;
    Dwarf_Die top;
    while (dwarf != nullptr && dwarf_get_units(dwarf, unit, &unit, nullptr, nullptr, &top, nullptr) == 0)
      collect(&top, found);
    dwarf_end(dwarf);
    if (file >= 0) close(file);
    return found;
  }();
  return types;
}

}  // namespace

std::string describe_element(const std::string& name, int64_t offset, int64_t byte) {
  const auto known = all_types().find(offset);
  if (known == all_types().end() || known->second.element_bytes == 0)
    return fmt::format("byte {} of {}", byte, name);
  const Type& type = known->second;
  int64_t element = byte / type.element_bytes;
  std::string indices;
  for (auto extent = type.extents.rbegin(); extent != type.extents.rend(); ++extent) {
    indices.insert(0, fmt::format("[{}]", element % *extent));
    element /= *extent;
  }
  const int64_t within = byte % type.element_bytes;
  return name + indices + (within == 0 ? "" : fmt::format(" (byte {} of it)", within));
}

}  // namespace dsllm::cuda::simt::inspector
