/* Steering packets that come to a pod: validated, unwrapped, remembered, delivered; or handed on. */
#pragma once

#include "decap.h"
#include "fragment.h"
#include "ingress.h"
#include "steer.h"
#include "visit.h"

#define AS_PLAIN 102 /* no verdict of tc */

/*
 * Is the outer source one whose word counts? It has to be a peer. A pod of this node it is where one of our programs has wrapped the
 * packet here, or where it came from that pod's interface or from the node itself; any other where it came from no pod's.
 */
static __always_inline enum reason distrusted(struct __sk_buff *skb, const struct envelope *envelope)
{
	struct peer_key key = {.prefix_len = PEER_STATIC_BITS + (envelope->family == FAMILY_IPV6 ? 128 : 32), .family = envelope->family};
	struct endpoint_key from = {.ifindex = skb->ingress_ifindex};
	struct peer_value *value;

	*(struct address *)key.address = envelope->source;
	value = bpf_map_lookup_elem(&peer, &key);
	if (!value || !(value->flags & PEER_FLAG_TRUSTED))
		return REASON_NOT_A_PEER;
	if (skb->mark == WRAPPED_MARK)
		return 0;
	if (value->ifindex ? from.ifindex && from.ifindex != value->ifindex : !!bpf_map_lookup_elem(&endpoint, &from))
		return REASON_SPOOFED_HOP;
	return 0;
}

/* Is there such a path? At service index 0 a packet comes out of one: then its last function is asked for. */
static __always_inline bool is_path(__be32 path)
{
	struct sfcpath_key key = {.path = path & bpf_htonl(0xff) ? path : path | bpf_htonl(1)};

	return is_probe(path) || bpf_map_lookup_elem(&sfcpath, &key);
}

/*
 * Remembers where a forward packet came from: the way back for its replies. `first` is the entry of visit 0,
 * `key` that of the visit that the packet is at should it have several.
 */
static __always_inline void record_arrival(struct __sk_buff *skb, struct sfcflow_key *key, bool a_to_b, const struct envelope *envelope,
                                           const struct packet *inner, const struct packet *outer, const struct endpoint_value *target,
                                           __u8 role, struct sfcflow_value *first)
{
	struct sfcflow_value *flow = new_flow();

	if (!flow)
		return;
	flow->path = envelope->path;
	flow->role = role;
	flow->flags = FLOW_FLAG_PREVIOUS_HOP | (a_to_b ? FLOW_FLAG_FORWARD_A_TO_B : 0);
	flow->previous_family = envelope->family;
	flow->ttl = envelope->ttl;
	flow->tcp_state = tcp_first_state(inner->tcp_flags);
	flow->endpoint = target->id;
	flow->last_seen = bpf_ktime_get_coarse_ns();
	flow->arrival_ttl = ttl_of(skb, inner->family);
	if (first && is_another_visit(first, envelope->path, a_to_b)) {
		if (!(first->flags & FLOW_FLAG_REVISITED))
			key->visit = 1;
		first->flags |= FLOW_FLAG_REVISITED;
		first->latest = key->visit;
	} else {
		key->visit = 0;
		if (first && first->path == envelope->path) /* from another hop */
			flow->flags |= first->flags & FLOW_FLAG_REVISITED;
	}
	*(struct address *)flow->previous_hop = envelope->source;
	*(struct address *)flow->previous_local = outer->destination;
	bpf_map_update_elem(&sfcflow, key, flow, BPF_ANY);
}

/* Does another function follow on the flow's way, in this chain or one that it joins? */
static __always_inline bool is_before_the_last(const struct sfcflow_value *flow)
{
	return (flow->flags & FLOW_FLAG_NEXT_HOP) && (flow->next_path & bpf_htonl(0xff));
}

/*
 * Sends a returning reply to the next function: as it is, its outer headers changed; unwrapped and wrapped anew where the next hop
 * is of another family, or does not take it.
 */
static __noinline int relay(struct __sk_buff *skb, struct scratch *own, struct sfcflow_value *flow)
{
	const struct envelope *envelope = &own->envelope;
	const struct packet *outer = &own->outer, *inner = &own->inner;
	enum way way = WAY_TOO_BIG;

	if (envelope->ttl <= 1)
		return drop(REASON_NSH_TTL, DIRECTION_TO_POD, outer->length);
	own->tunnel = (struct tunnel){
		.source = *(struct address *)flow->next_local,
		.destination = *(struct address *)flow->next_hop,
		.path = flow->next_path & bpf_htonl(0xffffff00),
		.family = flow->next_family,
		.ttl = envelope->ttl - 1,
		.reply = true,
	};
	if (flow->next_family == envelope->family)
		way = find_way(skb, &own->tunnel, envelope->tos,
		               skb->gso_size ? wrapped_segment(skb, inner, 0) + envelope->length : outer->length,
		               ROUTE_AT(flow, next), &own->fib);
	if (way == WAY_TOO_BIG) {
		if (unwrap(skb, envelope, inner))
			return drop(REASON_ENCAP_FAILED, DIRECTION_TO_POD, outer->length);
		return steer(skb, inner, own, ROUTE_AT(flow, next), REASON_REPLY_RELAYED, DIRECTION_TO_POD);
	}
	if (redirect_tunnel(skb, envelope, &own->tunnel))
		return drop(REASON_ENCAP_FAILED, DIRECTION_TO_POD, outer->length);
	skb->mark = WRAPPED_MARK;
	count(REASON_REPLY_RELAYED, DIRECTION_TO_POD, outer->length);
	return go_onward(skb, way, ROUTE_AT(flow, next), &own->fib);
}

/*
 * The pod's own reply, through the chain and back: for who opened the flow, wherever that is. As the stack decides: its netfilter has
 * seen the request come, may have translated it (a Service's address, a node's port), and has to see the reply.
 */
static __always_inline int leave(struct __sk_buff *skb, const struct scratch *own)
{
	count(REASON_REPLY_LEFT, DIRECTION_TO_POD, own->outer.length);
	return go_onward(skb, WAY_STACK, NULL, &own->fib);
}

/*
 * Does a forward packet at the end of its chain come out of the pod's ingress chain, or one that joins that? Any path but
 * the one by which the flow comes in.
 */
static __always_inline bool is_coming_back(const struct sfcflow_value *flow, const struct envelope *envelope, __u8 role)
{
	return flow->role == FLOW_ROLE_INGRESS && role == FLOW_ROLE_DESTINATION && flow->path != envelope->path;
}

/* Is the packet out of another chain, and does the ingress of its destination take it? The chains join here. */
static __always_inline bool joins_ingress(const struct packet *inner, const struct sfcflow_value *flow, bool a_to_b,
                                          const struct endpoint_value *target, bool orphan)
{
	if (orphan)
		return takes_ingress(inner, target, true);
	return selected_for(target, inner, DIRECTION_TO_POD) &&
	       ((flow && flow->role == FLOW_ROLE_INGRESS && is_forward(flow, a_to_b) && is_for(target, inner)) ||
	        (!inner->is_error && takes_ingress(inner, target, false)));
}

/* A steering packet for this pod. AS_PLAIN: it is unwrapped, and goes on as one without tunnel. */
static __noinline int to_pod_steered(struct __sk_buff *skb, struct scratch *own)
{
	struct endpoint_value *target = NULL;
	struct envelope *envelope = &own->envelope;
	struct packet *outer = &own->outer, *inner = &own->inner;
	struct sfcflow_key key;
	struct sfcflow_value *first = NULL, *flow = NULL;
	enum parse_result parsed = PARSE_UNTRACKED;
	enum reason reason = 0;
	bool a_to_b = false, known = false, settled, comes_back = false, orphan = false;
	__u8 role;

	if (outer->header_length != (outer->family == FAMILY_IPV6 ? sizeof(struct ipv6_header) : sizeof(struct iphdr)) ||
	    outer->fragment != FRAGMENT_NONE)
		reason = REASON_OUTER_MALFORMED;
	if (!reason)
		reason = open_envelope(skb, outer, envelope);
	if (!reason)
		reason = read_inner(skb, outer, envelope, inner, &parsed);
	if (!reason && !checksum_fits(skb, outer, envelope, inner))
		reason = REASON_OUTER_CHECKSUM;
	if (!reason && (envelope->tos & ECN_MASK) == ECN_CE && (inner->tos & ECN_MASK) == 0)
		reason = REASON_ECN;
	if (reason) {
		target = find_endpoint(skb);
		return target && is_for(target, outer) ? drop(reason, DIRECTION_TO_POD, outer->length) : VERDICT_PASS;
	}

	if (ends_probe(envelope)) {
		target = find_endpoint(skb);
		if (!target || !is_for(target, outer))
			return VERDICT_PASS;
		reason = distrusted(skb, envelope);
		if (!reason) {
			if (parsed == PARSE_OK && inner->fragment == FRAGMENT_NONE && !inner->is_error)
				note_answer(skb, own);
			reason = REASON_PROBE_ANSWERED;
		}
		return drop(reason, DIRECTION_TO_POD, outer->length);
	}

	role = (bpf_ntohl(envelope->path) & 0xff) ? FLOW_ROLE_FUNCTION : FLOW_ROLE_DESTINATION;
	if (parsed == PARSE_OK && inner->fragment == FRAGMENT_LATER)
		orphan = is_orphan(inner, skb->ifindex);
	if (parsed == PARSE_OK && !orphan) {
		a_to_b = flow_key(&key, skb->ifindex, inner);
		first = flow = bpf_map_lookup_elem(&sfcflow, &key);
		if (first && (first->flags & FLOW_FLAG_REVISITED))
			flow = visit_of_arrival(&key, envelope, a_to_b);
	}
	if (flow) {
		if (is_returning(flow, envelope, a_to_b)) {
			known = same_address(&outer->destination, flow->previous_local);
			if (known && is_before_the_last(flow)) {
				if (inner->fragment == FRAGMENT_FIRST)
					track_fragment(inner, skb->ifindex);
				return relay(skb, own, flow);
			}
		} else if (envelope->reply) {
			known = (flow->flags & FLOW_FLAG_NEXT_HOP) && !is_forward(flow, a_to_b) &&
			        same_address(&outer->destination, flow->next_local) && same_address(&envelope->source, flow->next_hop);
		} else if (is_forward(flow, a_to_b) &&
		           (is_coming_back(flow, envelope, role) || (flow->role == role && flow->path == envelope->path))) {
			known = (flow->flags & FLOW_FLAG_PREVIOUS_HOP) && same_address(&outer->destination, flow->previous_local) &&
			        same_address(&envelope->source, flow->previous_hop);
			/* Out of the pod's ingress chain, by a hop that the flow does not name yet. */
			comes_back = !known && flow->role == FLOW_ROLE_INGRESS;
		}
	}
	/*
	 * A hop that the flow entry already names was a peer when it was recorded: no second look-up. At its
	 * destination a flow is looked at again when policy has changed: the pod's ingress may be selected by now.
	 */
	settled = known && (flow->role != FLOW_ROLE_DESTINATION || flow->epoch == policy_epoch);
	if (!settled) {
		target = find_endpoint(skb);
		if (!target || !is_for(target, outer))
			return VERDICT_PASS;
		if (!known) {
			reason = distrusted(skb, envelope);
			if (!reason && !is_path(envelope->path))
				reason = REASON_UNKNOWN_PATH;
			if (reason)
				return drop(reason, DIRECTION_TO_POD, outer->length);
		}
	}
	if (inner->fragment == FRAGMENT_FIRST && parsed == PARSE_OK)
		track_fragment(inner, skb->ifindex);

	reason = unwrap(skb, envelope, inner);
	if (reason)
		return drop(reason, DIRECTION_TO_POD, outer->length);
	if (!settled && !comes_back && role == FLOW_ROLE_DESTINATION && !envelope->reply && target) {
		if (parsed == PARSE_OK && joins_ingress(inner, flow, a_to_b, target, orphan)) {
			outer->came_by = envelope->path;
			return AS_PLAIN;
		}
		if (known)
			flow->epoch = policy_epoch;
	}
	if (comes_back) {
		*(struct address *)flow->previous_hop = envelope->source;
		*(struct address *)flow->previous_local = outer->destination;
		flow->previous_family = envelope->family;
		flow->previous_ifindex = 0; /* the route was another hop's */
		flow->previous_path_mtu = 0;
		flow->flags |= FLOW_FLAG_PREVIOUS_HOP;
		known = true;
	}
	if (known)
		flow_track(flow, !envelope->reply, inner);
	if (known && first && (first->flags & FLOW_FLAG_REVISITED) && !inner->is_error)
		note_arrival(skb, first, flow, &key, envelope->reply);
	if (parsed == PARSE_OK && !orphan && !envelope->reply) {
		if (!known && target && !inner->is_error)
			record_arrival(skb, &key, a_to_b, envelope, inner, outer, target, role, first);
		else if (known && flow->ttl != envelope->ttl && !inner->is_error)
			flow->ttl = envelope->ttl;
	} else if (known && flow->role == FLOW_ROLE_SOURCE) {
		flow_touch(flow, false, inner->length);
	} else if (known && flow->role == FLOW_ROLE_INGRESS) {
		flow_touch(flow, false, inner->length);
		return leave(skb, own);
	}
	count(REASON_DECAPSULATED, DIRECTION_TO_POD, outer->length);
	return VERDICT_PASS;
}
