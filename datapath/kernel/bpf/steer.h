/* The decisions at a pod's way out: which hop comes next, and the flow entry that remembers it. */
#pragma once

#include "backend.h"
#include "classify.h"
#include "encap.h"
#include "flow.h"
#include "icmp.h"
#include "probe.h"

/* Where forward packets of a flow go from here. */
enum hop { HOP_ENCAPSULATE, HOP_PLAIN, HOP_DROP, HOP_REJECT };

/* The next hop of a flow at this endpoint, and the reason to count it under. */
struct decision {
	struct address next_hop;
	__be32 path;
	enum hop hop;
	enum reason reason;
	__u8 next_family;
};

static __always_inline void decide_drop(struct decision *decision, enum reason reason)
{
	decision->hop = HOP_DROP;
	decision->reason = reason;
}

/*
 * Takes the path to one of its backends. `kept` is the flow's present next hop when its path is
 * still the same, else NULL: a live flow stays on its instance.
 */
static __always_inline void take_path(struct decision *decision, __be32 path_id, const struct packet *packet,
                                      const struct sfcflow_value *kept, enum reason reason)
{
	struct sfcpath_key key = {.path = path_id};
	struct sfcpath_value *path = bpf_map_lookup_elem(&sfcpath, &key);
	struct backend backend = {};

	decision->path = path_id;
	if (!path)
		return decide_drop(decision, REASON_UNKNOWN_PATH);
	if (kept && kept->next_path == path_id && (kept->flags & FLOW_FLAG_NEXT_HOP)) {
		decision->next_hop = *(struct address *)kept->next_hop;
		decision->next_family = kept->next_family;
	} else {
		if (!choose_backend(&backend, path, path_id, packet)) {
			decide_drop(decision, REASON_NO_BACKEND);
			if (path->failure_policy == FAILURE_POLICY_BYPASS) {
				decision->hop = HOP_PLAIN;
				decision->reason = REASON_BYPASSED;
			} else if (path->failure_policy == FAILURE_POLICY_REJECT) {
				decision->hop = HOP_REJECT;
				decision->reason = REASON_REJECTED;
			}
			return;
		}
		decision->next_hop = backend.address;
		decision->next_family = backend.family;
	}
	decision->hop = HOP_ENCAPSULATE;
	decision->reason = reason;
}

/* True when a pod's node at this address would unwrap a packet at service index 0. */
static __always_inline bool decapsulates(const struct packet *packet)
{
	struct peer_key key = {.prefix_len = PEER_STATIC_BITS + (packet->family == FAMILY_IPV6 ? 128 : 32), .family = packet->family};
	struct peer_value *value;

	*(struct address *)key.address = packet->destination;
	value = bpf_map_lookup_elem(&peer, &key);
	return value && (value->flags & PEER_FLAG_DECAPSULATES);
}

/*
 * What follows a function on the flow's path: the next function; behind the last one (where the
 * service index reaches 0) whatever the function's own pod is selected for, so that chains join;
 * else the destination, encapsulated where its node unwraps, plain where not.
 */
static __always_inline void decide_after_function(struct decision *decision, const struct endpoint_value *source,
                                                  const struct packet *packet, const struct sfcflow_value *flow)
{
	__u32 path = bpf_ntohl(flow->path);
	__be32 joined;

	if ((path & 0xff) > 1)
		return take_path(decision, bpf_htonl(path - 1), packet, flow, REASON_STEERED_NEXT);
	joined = is_probe(flow->path) ? 0 : classify(source, packet, DIRECTION_FROM_POD);
	if (joined && bpf_ntohl(joined) >> 8 != path >> 8) /* not the chain it has just been through */
		return take_path(decision, joined, packet, flow, REASON_STEERED_NEXT);
	decision->path = bpf_htonl(path & ~0xffU);
	decision->reason = REASON_LEFT_CLUSTER;
	decision->hop = HOP_PLAIN;
	if (decapsulates(packet)) {
		decision->reason = REASON_STEERED_DESTINATION;
		decision->hop = HOP_ENCAPSULATE;
		decision->next_hop = packet->destination;
		decision->next_family = packet->family;
	}
}

/* The endpoint's own address of a family; false when it has none. */
static __always_inline bool local_address(struct address *local, const struct endpoint_value *endpoint, __u8 family)
{
	*local = (struct address){};
	if (family == FAMILY_IPV6) {
		*local = *(struct address *)endpoint->ipv6;
		return endpoint->flags & ENDPOINT_FLAG_IPV6;
	}
	local->word[0] = *(__be32 *)endpoint->ipv4;
	return endpoint->flags & ENDPOINT_FLAG_IPV4;
}

/* Writes a decision into a flow entry. False, and nothing is written: the endpoint has no address of the hop's family. */
static __always_inline bool remember(struct sfcflow_value *flow, const struct decision *decision, const struct endpoint_value *endpoint)
{
	struct address local;

	if (decision->hop == HOP_ENCAPSULATE) {
		if (!local_address(&local, endpoint, decision->next_family))
			return false;
		if (!same_address(flow->next_hop, &decision->next_hop))
			flow->next_path_mtu = 0; /* it was another hop's, as was the route */
		*(struct address *)flow->next_hop = decision->next_hop;
		*(struct address *)flow->next_local = local;
		flow->next_family = decision->next_family;
		flow->flags |= FLOW_FLAG_NEXT_HOP | FLOW_FLAG_RESOLVED;
	} else {
		flow->flags = (flow->flags & ~FLOW_FLAG_NEXT_HOP) | FLOW_FLAG_RESOLVED;
	}
	flow->next_path = decision->path;
	flow->next_ifindex = 0;
	flow->generation = endpoint->generation;
	return true;
}

/* Reason of an established forward packet, from what the entry remembers. */
static __always_inline enum reason established_reason(const struct sfcflow_value *flow)
{
	if (flow->role == FLOW_ROLE_SOURCE)
		return REASON_STEERED_SOURCE;
	return (bpf_ntohl(flow->next_path) & 0xff) ? REASON_STEERED_NEXT : REASON_STEERED_DESTINATION;
}

/* What `take_path` decided against steering. Who is rejected is told: by a RST, of what is no TCP by an ICMP error. */
static __always_inline int not_steered(const struct decision *decision, const struct packet *packet, enum direction direction)
{
	struct scratch *own = own_scratch();

	count(decision->reason, direction, packet->length);
	if (decision->hop == HOP_PLAIN)
		return VERDICT_PASS;
	if (decision->hop != HOP_REJECT || !own)
		return VERDICT_DROP;
	if (packet->protocol == IPPROTO_TCP && !packet->is_error)
		return TELL_RESET;
	own->says = prohibited(packet->family);
	return TELL_ICMP;
}

/* A packet of a flow whose instance is lost: its connection is over, and both ends are told. */
static __always_inline int end_flow(const struct packet *packet, struct sfcflow_value *flow, bool forward, enum direction direction)
{
	if (forward)
		flow_touch(flow, true, packet->length);
	flow->tcp_state = TCP_STATE_RESET;
	count(REASON_INSTANCE_LOST, direction, packet->length);
	return TELL_END;
}

static __always_inline int drop(enum reason reason, enum direction direction, __u32 bytes)
{
	count(reason, direction, bytes);
	return VERDICT_DROP;
}

static __always_inline struct endpoint_value *find_endpoint(struct __sk_buff *skb)
{
	struct endpoint_key key = {.ifindex = skb->ifindex};

	return bpf_map_lookup_elem(&endpoint, &key);
}

/* Is the packet for this pod itself? Steering traffic to anybody else behind it is not ours to open. */
static __always_inline bool is_for(const struct endpoint_value *target, const struct packet *packet)
{
	struct address local;

	return local_address(&local, target, packet->family) && same_address(&local, &packet->destination);
}

/* Sends the packet to the next hop of its flow. */
static __always_inline int steer_forth(struct __sk_buff *skb, const struct packet *packet, struct sfcflow_value *flow, __be32 path, __u8 ttl,
                                       bool reply, enum reason reason, enum direction direction)
{
	struct scratch *own = own_scratch();

	if (!own)
		return VERDICT_DROP;
	own->tunnel = (struct tunnel){
		.source = *(struct address *)flow->next_local,
		.destination = *(struct address *)flow->next_hop,
		.path = path,
		.family = flow->next_family,
		.ttl = ttl,
		.reply = reply,
	};
	return steer(skb, packet, own, ROUTE_AT(flow, next), reason, direction);
}

/* A reply, to the previous one. */
static __always_inline int steer_back(struct __sk_buff *skb, const struct packet *packet, struct sfcflow_value *flow, __be32 path, __u8 ttl)
{
	struct scratch *own = own_scratch();

	if (!own)
		return VERDICT_DROP;
	own->tunnel = (struct tunnel){
		.source = *(struct address *)flow->previous_local,
		.destination = *(struct address *)flow->previous_hop,
		.path = path,
		.family = flow->previous_family,
		.ttl = ttl,
		.reply = true,
	};
	return steer(skb, packet, own, ROUTE_AT(flow, previous), REASON_STEERED_REPLY, DIRECTION_FROM_POD);
}

/* A fresh entry of a flow that is none of the datapath's: its packets pass, both ways. */
static __always_inline void remember_own(struct __sk_buff *skb, const struct endpoint_value *endpoint, const struct packet *packet,
                                         const struct sfcflow_key *key, bool a_to_b, __u8 role)
{
	struct sfcflow_value *flow = new_flow();

	if (!flow || !admit(skb->ifindex))
		return;
	flow->role = role;
	flow->flags = FLOW_FLAG_RESOLVED | (a_to_b ? FLOW_FLAG_FORWARD_A_TO_B : 0);
	flow->endpoint = endpoint->id;
	flow->tcp_state = tcp_first_state(packet->tcp_flags);
	flow->epoch = policy_epoch;
	flow_touch(flow, true, packet->length);
	bpf_map_update_elem(&sfcflow, key, flow, BPF_NOEXIST); /* a known flow stays what it is */
}

/* A UDP packet to the steering port; of later fragments nobody can say, and an ICMP error about one is none. */
static __always_inline bool is_steering(const struct packet *packet)
{
	return packet->protocol == IPPROTO_UDP && packet->destination_port == bpf_htons(steering_port) && !packet->is_error &&
	       packet->fragment != FRAGMENT_LATER;
}
