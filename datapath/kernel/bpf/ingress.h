/* What a pod receives outside the tunnel, or out of another pod's chain: its ingress, and flows that are not steered. */
#pragma once

#include "departure.h"
#include "fragment.h"
#include "steer.h"

#define NOT_SELECTED 101 /* no verdict of tc */

/* At a pod's way in: sends the packet to the flow's next hop, as fresh from the classifier. A reply has the service index of a destination. */
__noinline int steer_flow_onward(struct __sk_buff *skb, const struct packet *packet, struct sfcflow_value *flow, bool reply,
                                 enum reason reason)
{
	if (!packet || !flow)
		return VERDICT_DROP;
	return steer_forth(skb, packet, flow, reply ? flow->next_path & bpf_htonl(0xffffff00) : flow->next_path, NSH_TTL_CLASSIFIER, reply,
	                   reason, DIRECTION_TO_POD);
}

/* The first packet into the pod's ingress, where that is selected: a flow of its own, in place of any other. */
__noinline int enter_ingress(struct __sk_buff *skb, const struct packet *packet, const struct sfcflow_key *key, bool a_to_b,
                             const struct endpoint_value *target)
{
	struct decision decision = {};
	struct sfcflow_value *flow;
	__be32 path;

	if (!packet || !key || !target)
		return NOT_SELECTED;
	path = classify(target, packet, DIRECTION_TO_POD);
	if (!path)
		return NOT_SELECTED;
	if (!decapsulates(packet))
		return drop(REASON_NO_WAY_BACK, DIRECTION_TO_POD, packet->length);
	take_path(&decision, path, packet, NULL, REASON_STEERED_INGRESS);
	if (decision.hop != HOP_ENCAPSULATE)
		return not_steered(&decision, packet, DIRECTION_TO_POD);
	flow = new_flow();
	if (!flow)
		return VERDICT_DROP;
	if (!remember(flow, &decision, target))
		return drop(REASON_NO_ADDRESS, DIRECTION_TO_POD, packet->length);
	if (!admit(skb->ifindex))
		return drop(REASON_FLOW_LIMIT, DIRECTION_TO_POD, packet->length);
	flow->path = packet->came_by;
	flow->endpoint = target->id;
	flow->role = FLOW_ROLE_INGRESS;
	if (a_to_b)
		flow->flags |= FLOW_FLAG_FORWARD_A_TO_B;
	flow->ttl = NSH_TTL_MAX;
	flow->tcp_state = tcp_first_state(packet->tcp_flags);
	flow->epoch = policy_epoch;
	flow_touch(flow, true, packet->length);
	bpf_map_update_elem(&sfcflow, key, flow, BPF_ANY);
	return steer_flow_onward(skb, packet, flow, false, REASON_STEERED_INGRESS);
}

/* A packet of a flow into which the pod's ingress was selected: on to its function, as long as policy says so. */
static __always_inline int ingress_known(struct __sk_buff *skb, const struct packet *packet, const struct sfcflow_key *key,
                                         struct sfcflow_value *flow, const struct endpoint_value *target)
{
	if (flow->epoch != policy_epoch || !(flow->flags & FLOW_FLAG_RESOLVED)) {
		if (!(flow->flags & FLOW_FLAG_RESOLVED) || flow->generation != target->generation) {
			struct decision decision = {};
			__be32 path;

			if (flow->flags & FLOW_FLAG_RESET)
				return end_flow(packet, flow, true, DIRECTION_TO_POD);
			path = classify(target, packet, DIRECTION_TO_POD);
			if (!path) { /* was steered, is no longer selected */
				bpf_map_delete_elem(&sfcflow, key);
				return VERDICT_PASS;
			}
			take_path(&decision, path, packet, flow, REASON_STEERED_INGRESS);
			if (decision.hop != HOP_ENCAPSULATE)
				return not_steered(&decision, packet, DIRECTION_TO_POD);
			if (path != flow->next_path)
				flow->flags &= ~FLOW_FLAG_PREVIOUS_HOP;
			if (!remember(flow, &decision, target))
				return drop(REASON_NO_ADDRESS, DIRECTION_TO_POD, packet->length);
		}
		flow->epoch = policy_epoch;
	}
	flow_touch(flow, true, packet->length);
	return steer_flow_onward(skb, packet, flow, false, REASON_STEERED_INGRESS);
}

/* Would the pod's ingress take the packet? Of a later fragment of which nothing is known: may it? */
static __always_inline bool takes_ingress(const struct packet *packet, const struct endpoint_value *target, bool orphan)
{
	return is_for(target, packet) &&
	       (orphan ? may_be_selected(target, packet, DIRECTION_TO_POD) : !!classify(target, packet, DIRECTION_TO_POD));
}

/*
 * A plain packet of a known flow. A reply to what the pod had steered has come past the chain, from a
 * destination that knows nothing of it: it goes to the end of the chain and comes back through every function.
 */
__noinline int to_pod_plain_known(struct __sk_buff *skb, const struct packet *packet, const struct sfcflow_key *key, bool a_to_b,
                                  const struct endpoint_value *target)
{
	struct sfcflow_value *flow;
	bool forward;
	int verdict;

	if (!packet || !key || !target)
		return VERDICT_PASS;
	flow = bpf_map_lookup_elem(&sfcflow, key);
	if (!flow)
		return VERDICT_PASS;
	forward = is_forward(flow, a_to_b);
	/* Another connection on the ports of one that is over. */
	if (forward && flow->role == FLOW_ROLE_INGRESS && tcp_is_over(flow->tcp_state) && tcp_is_opening(packet->tcp_flags)) {
		verdict = enter_ingress(skb, packet, key, a_to_b, target);
		if (verdict != NOT_SELECTED)
			return verdict;
		bpf_map_delete_elem(&sfcflow, key);
		return VERDICT_PASS;
	}
	flow_track(flow, forward, packet);
	if (forward) {
		/* One that was there before its packets were selected, or that went another way: as if it were new. */
		if ((flow->role == FLOW_ROLE_INBOUND || flow->role == FLOW_ROLE_DESTINATION) && !packet->is_error &&
		    selected_for(target, packet, DIRECTION_TO_POD) && is_for(target, packet)) {
			verdict = enter_ingress(skb, packet, key, a_to_b, target);
			if (verdict != NOT_SELECTED)
				return verdict;
		}
		if (flow->role == FLOW_ROLE_INGRESS)
			return ingress_known(skb, packet, key, flow, target);
	}
	flow_touch(flow, forward, packet->length);
	if (forward || flow->role != FLOW_ROLE_SOURCE || !(flow->flags & FLOW_FLAG_NEXT_HOP))
		return VERDICT_PASS;
	if (flow->flags & FLOW_FLAG_RESET)
		return end_flow(packet, flow, false, DIRECTION_TO_POD);
	return steer_flow_onward(skb, packet, flow, true, REASON_REPLY_ENTERED);
}

/*
 * What a selected pod receives outside the tunnel: a packet of a known flow, or the first one of a flow
 * that somebody opens to it. Answers to the latter are no egress of the pod's own, and must not go through
 * functions that never saw the request: the flow is remembered as inbound. TCP: the SYN only, so that a
 * flow whose steering entry was evicted is never taken for an inbound one in its middle.
 */
static __noinline int to_pod_plain(struct __sk_buff *skb, struct packet *packet)
{
	struct endpoint_value *target;
	struct sfcflow_key key;
	bool a_to_b, orphan;
	__u16 ingress, egress;

	if (!packet)
		return VERDICT_PASS;
	target = find_endpoint(skb);
	if (!target || !(target->flags & (ENDPOINT_SELECTS_EGRESS | ENDPOINT_SELECTS_INGRESS)))
		return VERDICT_PASS;
	orphan = is_orphan(packet, skb->ifindex);
	ingress = selected_for(target, packet, DIRECTION_TO_POD);
	egress = selected_for(target, packet, DIRECTION_FROM_POD);
	if (orphan) /* none may slip past the functions */
		return takes_ingress(packet, target, true) ? drop(REASON_FRAGMENT, DIRECTION_TO_POD, packet->length) : VERDICT_PASS;
	if (!ingress && !egress)
		return VERDICT_PASS;
	a_to_b = flow_key(&key, skb->ifindex, packet);
	if (bpf_map_lookup_elem(&sfcflow, &key))
		return to_pod_plain_known(skb, packet, &key, a_to_b, target);
	if (packet->is_error)
		return VERDICT_PASS;
	if (ingress && is_for(target, packet)) {
		int verdict = enter_ingress(skb, packet, &key, a_to_b, target);

		if (verdict != NOT_SELECTED)
			return verdict;
	}
	if (!egress || (packet->protocol == IPPROTO_TCP && !tcp_is_opening(packet->tcp_flags)) || !is_for(target, packet))
		return VERDICT_PASS;
	remember_own(skb, target, packet, &key, a_to_b, FLOW_ROLE_INBOUND);
	return VERDICT_PASS;
}
