#include "sim/collective.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include "tests/sim/close.hpp"

using namespace dsllm;
using namespace dsllm::sim;

namespace {

// Nodes of 8 with 100 GB/s inside and 10 GB/s a GPU outside, hops of 1 and 10 us, nothing lost.
Rates plain(int64_t gpus) {
  Machine m;
  m.gpus = gpus;
  m.gpus_per_node = 8;
  m.flops_per_s = 1e14;
  m.hbm_bytes = 80e9;
  m.hbm_bytes_per_s = 1e12;
  m.node_bytes_per_s = 100e9;
  m.network_bytes_per_s = 10e9;
  m.compute_capability = 90;
  m.sm_count = 100;
  Constants c;
  c.hopper.node_fraction = 1;
  c.hopper.node_hop_s = 1e-6;
  c.hopper.network_fraction = 1;
  c.hopper.network_decay = 0;
  c.hopper.gather_slowdown = 1;
  c.network_hop_s = 10e-6;
  c.send_fraction = 1;
  c.send_latency_s = 20e-6;
  return rates_of(m, c);
}

}  // namespace

TEST_CASE("groups know how many of them share a node") {
  const Machine m = plain(64).machine;
  CHECK(group_of(m, 8, 1).per_node == 8);
  CHECK(group_of(m, 4, 1).per_node == 4);
  CHECK(group_of(m, 16, 1).nodes() == 2);
  // Replicas of tp = 4: two on a node.
  Layout l;
  l.tp = 4;
  l.dp = 8;
  CHECK(gradient_group(m, l).per_node == 2);
  CHECK(gradient_group(m, l).nodes() == 4);
  CHECK(tp_group(m, l).nodes() == 1);
  // tp over two nodes leaves each replica its own.
  l.tp = 16;
  l.dp = 4;
  CHECK(tp_group(m, l).nodes() == 2);
  CHECK(gradient_group(m, l).per_node == 1);
  CHECK(gradient_group(m, l).nodes() == 4);
}

TEST_CASE("collectives take what their formulas say") {
  const Rates r = plain(64);
  const Group node{8, 8}, nodes{4, 1}, mixed{16, 8};
  const double s = 8e9;
  // 7 hops of 1 us and 7/8 of 8 GB at 100 GB/s.
  CHECK(all_gather_s(r, node, s) == nearly(7e-6 + 0.07));
  CHECK(reduce_scatter_s(r, node, s) == nearly(7e-6 + 0.07));
  CHECK(all_reduce_s(r, node, s) == nearly(14e-6 + 0.14));
  // One GPU of each node: 10 GB/s and 10 us.
  CHECK(ring_all_reduce_s(r, nodes, s) == nearly(60e-6 + 2 * 0.75 * 0.8));
  CHECK(tree_all_reduce_s(r, nodes, s) == nearly(40e-6 + 2 * 0.8));
  // 8 GPUs of each node together have 80 GB/s; of 8 hops, 7 stay inside.
  CHECK(all_gather_s(r, mixed, s) == nearly(15 * (10e-6 + 7e-6) / 8 + 15.0 / 16 * 8 / 80));
  // In the node 2 * (7 us + 0.07 s), between the nodes 2 * (10 us + half of a gigabyte at 10 GB/s).
  CHECK(hierarchical_all_reduce_s(r, mixed, s) == nearly(2 * (7e-6 + 0.07) + 2 * (10e-6 + 0.05)));
  // 56 hops outside the node; 56 of 64 parts leave a GPU.
  CHECK(all_to_all_s(r, {64, 8}, s) == nearly(56 * 10e-6 + 56.0 / 64 * 0.8));
  CHECK(send_s(r, true, s) == nearly(20e-6 + 0.08));
  CHECK(send_s(r, false, s) == nearly(20e-6 + 0.8));
}

TEST_CASE("the fastest algorithm is taken: a tree for short messages, rings for long ones") {
  const Rates r = plain(512);
  const Group group{512, 8};
  CHECK(all_reduce_s(r, group, 1e3) < ring_all_reduce_s(r, group, 1e3));
  for (const double bytes : {1.0, 1e3, 1e6, 1e9, 1e12}) {
    CHECK(all_reduce_s(r, group, bytes) <= ring_all_reduce_s(r, group, bytes));
    CHECK(all_reduce_s(r, group, bytes) <= tree_all_reduce_s(r, group, bytes));
    CHECK(all_reduce_s(r, group, bytes) <= hierarchical_all_reduce_s(r, group, bytes));
  }
  // 1 TB is all bandwidth: 2 * 511/512 of it at 80 GB/s.
  CHECK(all_reduce_s(r, group, 1e12) == nearly(2 * 511.0 / 512 * 1e12 / 80e9).epsilon(0.01));
}

TEST_CASE("nothing is sent by one rank, nor in no bytes, and time never falls with either") {
  const Rates r = plain(1024);
  for (auto* f :
       {all_gather_s, reduce_scatter_s, all_reduce_s, all_to_all_s, ring_all_reduce_s, tree_all_reduce_s}) {
    CHECK(f(r, {1, 1}, 1e9) == 0);
    CHECK(f(r, {8, 8}, 0) == 0);
    double before = 0;
    for (double bytes = 1; bytes < 1e12; bytes *= 10) {
      const double now = f(r, {16, 8}, bytes);
      CHECK(now > before);
      before = now;
    }
  }
  double before = 0;
  for (int64_t n = 1; n <= 1024; n *= 2) {
    const double now = all_reduce_s(r, group_of(r.machine, n, 1), 1e9);
    CHECK(now >= before);
    before = now;
  }
}

TEST_CASE("constants lose bandwidth as they say") {
  Rates r = plain(64);
  const Group nodes{4, 1};
  const double whole = all_gather_s(r, nodes, 1e12);
  r.chip.network_fraction = 0.5;
  CHECK(all_gather_s(r, nodes, 1e12) == nearly(2 * whole).epsilon(1e-3));
  r.chip.network_decay = 0.5;  // 4 nodes: half once more
  CHECK(all_gather_s(r, nodes, 1e12) == nearly(4 * whole).epsilon(1e-3));
  r.chip.gather_slowdown = 1.5;
  CHECK(all_gather_s(r, nodes, 1e12) == nearly(6 * whole).epsilon(1e-3));
  CHECK(ring_all_reduce_s(r, nodes, 1e12) == nearly(8 * whole).epsilon(1e-3));
}
