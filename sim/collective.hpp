// Communication on a network with two levels: NVLink within a node, a network between nodes. beta is a bandwidth in one
// direction, alpha the latency of a hop, n the ranks, S the bytes of the whole vector (of all ranks' shards together).
#pragma once

#include "sim/efficiency.hpp"

namespace dsllm::sim {

// Ranks first, first + stride, ...: where they lie decides which links they use.
struct Group {
  int64_t size = 1;      // n
  int64_t per_node = 1;  // of them on one node
  int64_t nodes() const { return (size + per_node - 1) / per_node; }
};
// Ranks are numbered tp fastest, then cp, then dp, then pp, as Megatron does; nodes hold consecutive ranks.
Group group_of(const Machine& machine, int64_t size, int64_t stride);
Group tp_group(const Machine& machine, const Layout& layout);
Group cp_group(const Machine& machine, const Layout& layout);
Group gradient_group(const Machine& machine, const Layout& layout);  // dp * cp: who shares the same weights

// gather_slowdown * ((n-1) alpha + (n-1)/n S / beta): both are measured to be slower than half of an all-reduce (Korthikanti
// et al., 6.2). A ring over nodes uses the network shares of all its GPUs on a node, so beta is the
// smaller of NVLink and per_node shares.
double all_gather_s(const Rates& rates, const Group& group, double bytes);
double reduce_scatter_s(const Rates& rates, const Group& group, double bytes);
// The fastest of the three, as NCCL chooses. Within a node the ring.
double all_reduce_s(const Rates& rates, const Group& group, double bytes);
double ring_all_reduce_s(const Rates& rates, const Group& group,
                         double bytes);  // 2(n-1) alpha + 2(n-1)/n S / beta
double tree_all_reduce_s(const Rates& rates, const Group& group,
                         double bytes);  // 2 ceil(log2 n) alpha + 2 S / beta
// Reduce-scatter in the node, ring all-reduce of the shards between nodes, all-gather in the node.
double hierarchical_all_reduce_s(const Rates& rates, const Group& group, double bytes);
// (n-1) alpha + what of S/n leaves a GPU through the slower link; bytes is what one rank sends in all.
double all_to_all_s(const Rates& rates, const Group& group, double bytes);
// alpha + S / beta, over NVLink (within a node) or the network.
double send_s(const Rates& rates, bool within_node, double bytes);

// Whether stage s and s+1 of a pipeline, tp * cp * dp ranks apart, share a node. True only if all pairs do.
bool stages_share_a_node(const Machine& machine, const Layout& layout);

}  // namespace dsllm::sim
