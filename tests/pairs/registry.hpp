// The list of everything that is judged. tests/pairs/<component>.cpp makes the pairs of a component; swiglu.cpp is a short
// one to begin with. A new pair says, as fields of Pair (tests/judge/pair.hpp): the sizes it is tried with, the arguments
// with their roles and shapes and how they are drawn, the truth, the candidates, and an error bound with its reason; then
// its function is named here and in registry.cpp. Tests, verifier and benchmarks follow from that.
//
// A kernel is one more line in its component's file, which makes a candidate in float and one in bf16
// (tests/pairs/on_device.hpp):
//
//     add_cuda<float, bf16>(f, "one thread a row", []<class T>(OnDevice& d) {
//       cuda::rmsnorm_forward<T>(d.in<T, 2>("x"), d.in<T, 1>("weight"), d.number("eps"), d.out<T, 2>("y"),
//                                d.out<float, 1>("inv_rms"), d.stream());
//     });
//
// d has copied the arguments to the device; afterwards it waits and copies them back. Arguments of Kind::wide are float,
// all others T. Each step of a ladder is a line of its own. What a kernel needs beside its arguments is
// d.scratch<float>(rows, columns), which begins as NaN. A kernel whose sums depend on the order of its threads (atomics)
// says so with a last argument, {.deterministic = false}; all others have to give the same bits twice. One that is made
// for some cases only says which: {.supports = [](const Numbers& s) { return s.at("d_head") == 64; }}. The inputs are
// rounded to the candidate's types before the truth sees them, the arithmetic is held to the eps of float, and a result
// that is stored in bf16 may be off by that one rounding more.
#pragma once

#include <string>
#include <vector>

#include "tests/judge/pair.hpp"

namespace dsllm::tests {

const std::vector<Pair>& all_pairs();
// Throws ValueError, listing the names.
const Pair& find_pair(const std::string& name);

// ref/model (paper 2.2)
std::vector<Pair> embedding_pairs();
std::vector<Pair> linear_pairs();
std::vector<Pair> rmsnorm_pairs();
std::vector<Pair> rope_pairs();
std::vector<Pair> attention_pairs();
std::vector<Pair> swiglu_pairs();
std::vector<Pair> cross_entropy_pairs();
// ref/train (2.3) and ref/align (4)
std::vector<Pair> lr_schedule_pairs();
std::vector<Pair> adamw_pairs();
std::vector<Pair> grad_clip_pairs();
std::vector<Pair> optimizer_steps_pairs();
std::vector<Pair> dpo_pairs();

}  // namespace dsllm::tests
