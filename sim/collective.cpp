#include "sim/collective.hpp"

#include <algorithm>
#include <cmath>

namespace dsllm::sim {

namespace {

struct Link {
  double bytes_per_s, hop_s;
};

Link within_node(const Rates& r) {
  return {r.machine.node_bytes_per_s * r.chip.node_fraction, r.chip.node_hop_s};
}

// One GPU's share of the network, among `nodes` nodes.
Link between_nodes(const Rates& r, int64_t nodes) {
  const double decay = std::pow(static_cast<double>(nodes), -r.chip.network_decay);
  return {r.machine.network_bytes_per_s * r.chip.network_fraction * decay, r.constants.network_hop_s};
}

// What a ring through the whole group sees: its slowest link.
Link ring_link(const Rates& r, const Group& group) {
  if (group.nodes() == 1) return within_node(r);
  Link network = between_nodes(r, group.nodes());
  network.bytes_per_s *= static_cast<double>(group.per_node);
  if (group.per_node > 1) network.bytes_per_s = std::min(network.bytes_per_s, within_node(r).bytes_per_s);
  // Only one hop in per_node leaves the node.
  const double outside = 1 / static_cast<double>(group.per_node);
  network.hop_s = outside * network.hop_s + (1 - outside) * r.chip.node_hop_s;
  return network;
}

}  // namespace

Group group_of(const Machine& machine, int64_t size, int64_t stride) {
  return {size, std::clamp<int64_t>(machine.gpus_per_node / stride, 1, size)};
}
Group tp_group(const Machine& machine, const Layout& layout) {
  return group_of(machine, layout.tp, 1);
}
Group cp_group(const Machine& machine, const Layout& layout) {
  return group_of(machine, layout.cp, layout.tp);
}
Group gradient_group(const Machine& machine, const Layout& layout) {
  return group_of(machine, layout.dp * layout.cp, layout.tp);
}

namespace {

// (n-1) alpha + (n-1)/n S / beta: once around the ring.
double around_s(const Rates& rates, const Group& group, double bytes) {
  if (group.size <= 1 || !(bytes > 0)) return 0;
  const Link link = ring_link(rates, group);
  const double n = static_cast<double>(group.size);
  return (n - 1) * link.hop_s + (n - 1) / n * bytes / link.bytes_per_s;
}

}  // namespace

double all_gather_s(const Rates& rates, const Group& group, double bytes) {
  return rates.chip.gather_slowdown * around_s(rates, group, bytes);
}

double reduce_scatter_s(const Rates& rates, const Group& group, double bytes) {
  return all_gather_s(rates, group, bytes);
}

double ring_all_reduce_s(const Rates& rates, const Group& group, double bytes) {
  return 2 * around_s(rates, group, bytes);
}

double tree_all_reduce_s(const Rates& rates, const Group& group, double bytes) {
  if (group.size <= 1 || !(bytes > 0)) return 0;
  const Link link = ring_link(rates, group);
  const Link outside = group.nodes() > 1 ? between_nodes(rates, group.nodes()) : link;
  return 2 * std::ceil(std::log2(static_cast<double>(group.size))) * outside.hop_s +
         2 * bytes / link.bytes_per_s;
}

double hierarchical_all_reduce_s(const Rates& rates, const Group& group, double bytes) {
  const Group node{group.per_node, group.per_node};
  const Group across{group.nodes(), 1};
  return 2 * around_s(rates, node, bytes) +
         2 * around_s(rates, across, bytes / static_cast<double>(group.per_node));
}

double all_reduce_s(const Rates& rates, const Group& group, double bytes) {
  const double ring = ring_all_reduce_s(rates, group, bytes);
  if (group.nodes() <= 1) return ring;
  return std::min(
      {ring, tree_all_reduce_s(rates, group, bytes), hierarchical_all_reduce_s(rates, group, bytes)});
}

double all_to_all_s(const Rates& rates, const Group& group, double bytes) {
  if (group.size <= 1 || !(bytes > 0)) return 0;
  const double n = static_cast<double>(group.size);
  const double inside = static_cast<double>(group.per_node - 1) / n * bytes;
  const double outside = static_cast<double>(group.size - group.per_node) / n * bytes;
  const Link node = within_node(rates);
  double seconds =
      static_cast<double>(group.per_node - 1) * node.hop_s + (inside > 0 ? inside / node.bytes_per_s : 0);
  if (outside > 0) {
    const Link network = between_nodes(rates, group.nodes());
    const double out_s =
        static_cast<double>(group.size - group.per_node) * network.hop_s + outside / network.bytes_per_s;
    seconds = std::max(seconds, out_s);  // both links are busy at once
  }
  return seconds;
}

double send_s(const Rates& rates, bool within_node, double bytes) {
  if (!(bytes > 0)) return 0;
  const double beta = within_node ? rates.machine.node_bytes_per_s : rates.machine.network_bytes_per_s;
  return rates.constants.send_latency_s + bytes / (beta * rates.constants.send_fraction);
}

bool stages_share_a_node(const Machine& machine, const Layout& layout) {
  return layout.tp * layout.cp * layout.dp * layout.pp <= machine.gpus_per_node;
}

}  // namespace dsllm::sim
