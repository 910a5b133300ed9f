/* The decisions at a pod's way out: which hop comes next, and the flow entry that remembers it. */
#pragma once

#include "backend.h"
#include "classify.h"
#include "encap.h"
#include "flow.h"
#include "probe.h"

/* Where forward packets of a flow go from here. */
enum hop { HOP_ENCAPSULATE, HOP_PLAIN, HOP_DROP };

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
	struct peer_key key = {.prefix_len = PEER_STATIC_BITS + 32, .family = packet->family};
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

/* Writes a decision into a flow entry. */
static __always_inline void remember(struct sfcflow_value *flow, const struct decision *decision, __u32 generation)
{
	flow->next_path = decision->path;
	flow->next_ifindex = 0; /* the route was another hop's */
	if (decision->hop == HOP_ENCAPSULATE) {
		*(struct address *)flow->next_hop = decision->next_hop;
		flow->next_family = decision->next_family;
		flow->flags |= FLOW_FLAG_NEXT_HOP | FLOW_FLAG_RESOLVED;
	} else {
		flow->flags = (flow->flags & ~FLOW_FLAG_NEXT_HOP) | FLOW_FLAG_RESOLVED;
	}
	flow->generation = generation;
}

/* Reason of an established forward packet, from what the entry remembers. */
static __always_inline enum reason established_reason(const struct sfcflow_value *flow)
{
	if (flow->role == FLOW_ROLE_SOURCE)
		return REASON_STEERED_SOURCE;
	return (bpf_ntohl(flow->next_path) & 0xff) ? REASON_STEERED_NEXT : REASON_STEERED_DESTINATION;
}
