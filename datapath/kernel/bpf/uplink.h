/*
 * What comes to the node from outside, before its netfilter. An answer to a flow that a pod of this node has steered, which has come
 * past the chain, is marked:
 *
 *     wire ──► uplink ── tc ingress: from_uplink ──► netfilter, routing ──► tc egress: to_pod of the flow's pod ═► chain
 *
 * from_pod took the request away before netfilter saw it. To conntrack the answer belongs to nothing (of TCP a SYN+ACK without a
 * SYN, of ICMP a reply or an error without its request): it is INVALID, and what is invalid is dropped where kube-proxy runs. By
 * its mark a rule of ours knows it (datapath/half-seen).
 */
#pragma once

#include "ingress.h"
#include "pmtu.h"

/* The interface of the pod of this node that has the packet's destination; 0: none has. */
static __always_inline __u32 pod_interface(const struct packet *packet)
{
	struct peer_key key = {.prefix_len = PEER_STATIC_BITS + (packet->family == FAMILY_IPV6 ? 128 : 32), .family = packet->family};
	struct peer_value *value;

	*(struct address *)key.address = packet->destination;
	value = bpf_map_lookup_elem(&peer, &key);
	return value ? value->ifindex : 0;
}

/* Is it an answer to what the pod behind `ifindex` has steered? */
static __always_inline bool answers_steered(struct packet *packet, __u32 ifindex)
{
	struct sfcflow_value *flow;
	struct sfcflow_key key;
	bool a_to_b;

	if (is_orphan(packet, ifindex))
		return false;
	a_to_b = flow_key(&key, ifindex, packet);
	flow = bpf_map_lookup_elem(&sfcflow, &key);
	return flow && flow->role == FLOW_ROLE_SOURCE && !is_forward(flow, a_to_b);
}

static __always_inline int enter_node(struct __sk_buff *skb, struct packet *packet)
{
	__u32 ifindex;

	/* With a tag that is still to be taken off: the VLAN's own interface sees the packet next. */
	if (!is_ip(skb) || skb->vlan_present || parse(skb, packet) != PARSE_OK || is_steering(packet))
		return VERDICT_PASS;
	ifindex = pod_interface(packet);
	if (ifindex && (is_about_tunnel(packet) || answers_steered(packet, ifindex)))
		mark_half_seen(skb);
	return VERDICT_PASS;
}
