/* What a pod sends, beside the straight way of established flows, which is from_pod's own. */
#pragma once

#include "fragment.h"
#include "steer.h"

/* No verdicts of tc. */
#define GO_ON 100

/*
 * What is no whole packet of a flow, or claims to be steering traffic. Of a fragment whose datagram nobody
 * knows none may slip past the functions: where it could be selected, or is a function's, it is dropped and counted.
 */
static __noinline int from_pod_exception(struct __sk_buff *skb, struct packet *packet, int parsed)
{
	struct endpoint_value *source;

	if (!packet || parsed == PARSE_UNTRACKED)
		return VERDICT_PASS;
	source = find_endpoint(skb);
	if (!source)
		return VERDICT_PASS;
	if (parsed == PARSE_MALFORMED || parsed == PARSE_SHORT)
		return source->flags & (parsed == PARSE_SHORT ? ENDPOINT_FLAG_SELECTS_ANY_PROTOCOL : ENDPOINT_SELECTS_EGRESS)
		               ? drop(REASON_MALFORMED, DIRECTION_FROM_POD, skb->len - ETH_HLEN)
		               : VERDICT_PASS;
	if (is_steering(packet))
		return drop(REASON_SPOOFED_ENCAP, DIRECTION_FROM_POD, packet->length);
	if (!is_orphan(packet, skb->ifindex))
		return GO_ON;
	return (source->flags & ENDPOINT_FLAG_FUNCTION) || may_be_selected(source, packet, DIRECTION_FROM_POD)
	               ? drop(REASON_FRAGMENT, DIRECTION_FROM_POD, packet->length)
	               : VERDICT_PASS;
}

/*
 * The pod opens a flow that nothing steers: the replies are no ingress, and no flow that somebody opens to the pod. Of TCP, where a
 * SYN tells the latter, only the former matters; its middle tells nothing.
 */
static __always_inline void own_flow(struct __sk_buff *skb, const struct endpoint_value *source, const struct packet *packet,
                                     const struct sfcflow_key *key, bool a_to_b, struct sfcflow_value *known)
{
	if (known) {
		if (known->role == FLOW_ROLE_OUTBOUND) {
			known->epoch = policy_epoch;
			flow_touch(known, true, packet->length);
		}
		return;
	}
	if (packet->protocol == IPPROTO_TCP ? !selected_for(source, packet, DIRECTION_TO_POD) || !tcp_is_opening(packet->tcp_flags)
	                                    : !selected_for(source, packet, DIRECTION_TO_POD) && !selected_for(source, packet, DIRECTION_FROM_POD))
		return;
	remember_own(skb, source, packet, key, a_to_b, FLOW_ROLE_OUTBOUND);
}

/* Is the source the pod's own? What stays on its link, or has no address yet, is nobody's to forge. */
static __always_inline bool sends_as_itself(const struct endpoint_value *source, const struct packet *packet)
{
	struct address own;

	return (local_address(&own, source, packet->family) && same_address(&own, &packet->source)) || packet->is_error ||
	       is_nobody(&packet->source) || stays_on_link(&packet->source, packet->family);
}

/*
 * A packet of no known flow, of one whose policy changed (`kept`), or of one at which this endpoint has
 * another role (`known`): classify it as the endpoint's own egress. An ICMP error opens no flow.
 */
static __always_inline int from_pod_unknown(struct __sk_buff *skb, const struct packet *packet, const struct sfcflow_key *key,
                                            bool a_to_b, struct sfcflow_value *known, const struct sfcflow_value *kept)
{
	struct endpoint_value *source = find_endpoint(skb);
	struct decision decision = {};
	struct sfcflow_value *flow;
	__be32 path;

	if (!source || (packet->is_error && !kept))
		return VERDICT_PASS;
	if ((source->flags & ENDPOINT_FLAG_OWN_SOURCE) && !sends_as_itself(source, packet))
		return drop(REASON_SPOOFED_SOURCE, DIRECTION_FROM_POD, packet->length);
	path = classify(source, packet, DIRECTION_FROM_POD);
	if (!path) {
		if (kept) /* was steered, is no longer selected */
			bpf_map_delete_elem(&sfcflow, key);
		else
			own_flow(skb, source, packet, key, a_to_b, known);
		return VERDICT_PASS;
	}
	take_path(&decision, path, packet, kept, REASON_STEERED_SOURCE);
	if (decision.hop != HOP_ENCAPSULATE)
		return not_steered(&decision, packet, DIRECTION_FROM_POD);
	flow = new_flow();
	if (!flow)
		return VERDICT_DROP;
	if (kept) /* a new generation of policy, the same flow: its counters go on */
		*flow = *kept;
	else
		flow->tcp_state = tcp_first_state(packet->tcp_flags);
	if (!remember(flow, &decision, source))
		return drop(REASON_NO_ADDRESS, DIRECTION_FROM_POD, packet->length);
	if (!kept && !admit(skb->ifindex))
		return drop(REASON_FLOW_LIMIT, DIRECTION_FROM_POD, packet->length);
	flow->path = path;
	flow->endpoint = source->id;
	flow->role = FLOW_ROLE_SOURCE;
	flow->flags = FLOW_FLAG_NEXT_HOP | FLOW_FLAG_RESOLVED | (a_to_b ? FLOW_FLAG_FORWARD_A_TO_B : 0);
	flow->ttl = NSH_TTL_MAX;
	flow->epoch = policy_epoch;
	flow_touch(flow, true, packet->length);
	bpf_map_update_elem(&sfcflow, key, flow, BPF_ANY);
	return steer_forth(skb, packet, flow, path, NSH_TTL_CLASSIFIER, false, decision.reason, DIRECTION_FROM_POD);
}

/* The path that replies carry. Of an ingress flow `path` is how its packets come in: they come back on the pod's own chain. */
static __always_inline __be32 path_back(const struct sfcflow_value *flow)
{
	return flow->role == FLOW_ROLE_INGRESS ? flow->next_path & bpf_htonl(0xffffff00) : flow->path;
}
