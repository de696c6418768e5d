#include "cuda/simt/symbols.hpp"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>

namespace dsllm::cuda::simt {
namespace {

std::recursive_mutex mutex;  // libdw has none

// The program and its libraries as libdw sees them; null where it cannot.
Dwfl* program() {
  static const Dwfl_Callbacks callbacks = [] {
    Dwfl_Callbacks c{};
    c.find_elf = dwfl_linux_proc_find_elf;
    // Only what lies in the files themselves: no search for other files, no question to a server.
    c.find_debuginfo = [](Dwfl_Module*, void**, const char*, Dwarf_Addr, const char*, const char*, GElf_Word,
                          char**) { return -1; };
    return c;
  }();
  static Dwfl* const dwfl = [] {
    Dwfl* d = dwfl_begin(&callbacks);
    if (d != nullptr &&
        (dwfl_linux_proc_report(d, getpid()) != 0 || dwfl_report_end(d, nullptr, nullptr) != 0)) {
      dwfl_end(d);
      d = nullptr;
    }
    return d;
  }();
  return dwfl;
}

std::string demangle(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(symbol, nullptr, nullptr, &status),
                                                    std::free);
  return status == 0 ? text.get() : symbol;
}

void erase_all(std::string& text, std::string_view what) {
  for (size_t at; (at = text.find(what)) != std::string::npos;) text.erase(at, what.size());
}

// "void dsllm::cuda::(anonymous namespace)::f<float, 4>(float*)::tile" -> {"f<float, 4>", "tile"}
std::vector<std::string> components(std::string text) {
  erase_all(text, "(anonymous namespace)::");
  erase_all(text, "dsllm::");
  std::vector<std::string> parts(1);
  int depth = 0;  // of < > and ( )
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '(' && depth == 0) {  // arguments: left out
      int open = 0;
      do {
        open += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
      } while (open > 0 && ++i < text.size());
      continue;
    }
    if (c == '<') ++depth;
    if (c == '>') --depth;
    if (depth == 0 && c == ':' && i + 1 < text.size() && text[i + 1] == ':') {
      parts.emplace_back();
      ++i;
    } else if (depth == 0 && c == ' ') {
      parts.assign(1, "");  // what came was a return type
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

std::string describe(Site site) {
  if (site.line == 0) return "an unknown line";
  const char* slash = std::strrchr(site.file, '/');
  return fmt::format("{}:{}", slash ? slash + 1 : site.file, site.line);
}

std::string function_name(const void* function) {
  const std::scoped_lock lock(mutex);
  const auto address = reinterpret_cast<Dwarf_Addr>(function);
  Dwfl_Module* module = program() ? dwfl_addrmodule(program(), address) : nullptr;
  const char* symbol = module ? dwfl_module_addrname(module, address) : nullptr;
  return symbol ? symbol_name(symbol) : fmt::format("{}", function);
}

std::string symbol_name(const std::string& symbol) {
  return components(demangle(symbol.c_str())).back();
}

// The inlined calls below `die` that the address lies in, innermost first. (dwarf_getscopes does the same, but gives up at the
// first entry without an address, which clang's output has.)
static void find_inlined(Dwarf_Die* die, Dwarf_Addr address, std::vector<Dwarf_Die>& found) {
  Dwarf_Die child;
  if (dwarf_child(die, &child) != 0) return;
  do {
    switch (dwarf_tag(&child)) {
      case DW_TAG_namespace:
      case DW_TAG_structure_type:
      case DW_TAG_class_type:
        find_inlined(&child, address, found);
        break;
      case DW_TAG_subprogram:
      case DW_TAG_lexical_block:
      case DW_TAG_inlined_subroutine:
        if (dwarf_haspc(&child, address) != 1) break;
        find_inlined(&child, address, found);
        if (dwarf_tag(&child) == DW_TAG_inlined_subroutine) found.push_back(child);
        return;
      default:
        break;
    }
  } while (dwarf_siblingof(&child, &child) == 0);
}

std::vector<Line> lines_of(const void* instruction) {
  const std::scoped_lock lock(mutex);
  std::vector<Line> lines;
  const auto address = reinterpret_cast<Dwarf_Addr>(instruction);
  Dwfl_Module* module = program() ? dwfl_addrmodule(program(), address) : nullptr;
  Dwfl_Line* line = module ? dwfl_module_getsrc(module, address) : nullptr;
  int number = 0;
  const char* file = line ? dwfl_lineinfo(line, nullptr, &number, nullptr, nullptr, nullptr) : nullptr;
  if (file == nullptr) return lines;
  const char* const folder = dwfl_line_comp_dir(line);
  const auto add = [&](const char* name, int line_number) {
    const std::filesystem::path path = folder ? std::filesystem::path(folder) / name : name;
    lines.push_back({path.lexically_normal().string(), line_number});
  };
  add(file, number);

  Dwarf_Addr bias = 0;
  Dwarf_Die* unit = dwfl_module_addrdie(module, address, &bias);
  std::vector<Dwarf_Die> inlined;
  if (unit) find_inlined(unit, address - bias, inlined);
  Dwarf_Files* files = nullptr;
  size_t n_files = 0;
  if (unit) dwarf_getsrcfiles(unit, &files, &n_files);
  for (Dwarf_Die& scope : inlined) {
    Dwarf_Attribute attribute;
    Dwarf_Word call_file = 0, call_line = 0;
    if (dwarf_formudata(dwarf_attr(&scope, DW_AT_call_file, &attribute), &call_file) != 0 ||
        dwarf_formudata(dwarf_attr(&scope, DW_AT_call_line, &attribute), &call_line) != 0)
      continue;
    const char* name = files ? dwarf_filesrc(files, call_file, nullptr, nullptr) : nullptr;
    if (name) add(name, static_cast<int>(call_line));
  }
  return lines;
}

bool is_kernel_file(const Line& line) {
  const auto in = [&](const char* folder) { return line.file.find(folder) != std::string::npos; };
  return line.line > 0 && !in("/cuda/simt/") && !in("/cuda/core/") && !in("/ref/core/") &&
         line.file.rfind("/usr/", 0) != 0;
}

Line kernel_line(const void* instruction) {
  const std::vector<Line> lines = lines_of(instruction);
  for (const Line& l : lines)
    if (is_kernel_file(l)) return l;
  return lines.empty() ? Line{} : lines.front();
}

// The program's thread-local symbols that begin so.
static std::vector<SharedVariable> thread_local_symbols(const char* prefix) {
  const std::scoped_lock lock(mutex);
  std::vector<SharedVariable> found;
  Dwfl_Module* module =
      program() ? dwfl_addrmodule(program(), reinterpret_cast<Dwarf_Addr>(&shared_variables)) : nullptr;
  GElf_Addr bias = 0;
  Elf* elf = module ? dwfl_module_getelf(module, &bias) : nullptr;
  for (Elf_Scn* section = nullptr; elf && (section = elf_nextscn(elf, section));) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_SYMTAB) continue;
    Elf_Data* data = elf_getdata(section, nullptr);
    for (size_t i = 0; data && i < header.sh_size / header.sh_entsize; ++i) {
      GElf_Sym symbol;
      if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr ||
          GELF_ST_TYPE(symbol.st_info) != STT_TLS)
        continue;
      const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
      if (name == nullptr || std::strncmp(name, prefix, std::strlen(prefix)) != 0) continue;
      const std::string text = demangle(name);
      if (text.find("cuda::simt::") != std::string::npos) continue;  // the executor's
      const std::vector<std::string> parts = components(text);
      if (parts.size() < 2) continue;
      found.push_back({parts.back(), parts[parts.size() - 2], static_cast<int64_t>(symbol.st_value),
                       static_cast<int64_t>(symbol.st_size)});
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  return found;
}

const std::vector<SharedVariable>& shared_variables() {
  static const std::vector<SharedVariable> variables = thread_local_symbols("_ZZ");  // inside of a function
  return variables;
}

const std::vector<SharedVariable>& guard_variables() {
  static const std::vector<SharedVariable> variables = thread_local_symbols("_ZGVZ");
  return variables;
}

namespace {
struct ThreadLocal {
  std::byte* begin = nullptr;
  int64_t bytes = 0;
};
// The program is the first object that the dynamic linker reports.
ThreadLocal thread_local_memory() {
  ThreadLocal found;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* result) {
        auto* t = static_cast<ThreadLocal*>(result);
        t->begin = static_cast<std::byte*>(info->dlpi_tls_data);
        for (int i = 0; i < info->dlpi_phnum; ++i)
          if (info->dlpi_phdr[i].p_type == PT_TLS)
            t->bytes = static_cast<int64_t>(info->dlpi_phdr[i].p_memsz);
        return 1;
      },
      &found);
  return found;
}
}  // namespace

std::byte* thread_local_begin() {
  return thread_local_memory().begin;
}

int64_t thread_local_bytes() {
  return thread_local_memory().bytes;
}

}  // namespace dsllm::cuda::simt
