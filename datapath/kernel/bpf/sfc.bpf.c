/*
 * The steering datapath. Two programs hang on the host side of every pod's veth, one on the node's own links:
 *
 *   pod ──eth0──veth── tc ingress: from_pod ──► host      (what the pod sends)
 *   pod ──eth0──veth── tc egress:  to_pod   ◄── host      (what the pod is about to receive)
 *   wire ──── eth0 ─── tc ingress: from_uplink ─► host    (answers that came past the chain)
 *
 * from_pod is classifier (RFC 7665 3), forwarder and proxy for functions that know nothing of NSH:
 * one look-up in sfcflow tells an established flow's direction and hop. to_pod validates, unwraps
 * and remembers where a packet came from. The kernel moves the packets; the agent only keeps maps.
 */
#include "arrival.h"
#include "departure.h"
#include "ingress.h"
#include "pmtu.h"
#include "tell.h"
#include "uplink.h"
#include "visit.h"

/* Established flows take the straight way down: one look-up, no matter what is selected. */
static __always_inline int leave_pod(struct __sk_buff *skb, struct packet *packet)
{
	struct sfcflow_value *flow;
	struct sfcflow_key key;
	enum parse_result parsed;
	bool a_to_b, forward;

	if (!is_ip(skb) || is_onward(skb))
		return VERDICT_PASS;
	parsed = parse(skb, packet);
	if (parsed != PARSE_OK || packet->fragment != FRAGMENT_NONE || is_steering(packet)) {
		int verdict = from_pod_exception(skb, packet, parsed);

		if (verdict != GO_ON)
			return verdict;
	}

	a_to_b = flow_key(&key, skb->ifindex, packet);
	flow = bpf_map_lookup_elem(&sfcflow, &key);
	if (!flow)
		return from_pod_unknown(skb, packet, &key, a_to_b, flow, NULL);
	if (flow->flags & FLOW_FLAG_REVISITED)
		flow = visit_of_departure(skb, &key, flow, a_to_b);

	forward = is_forward(flow, a_to_b);
	/* Another connection on the ports of one that is over: a flow of its own. */
	if (forward && flow->role == FLOW_ROLE_SOURCE && tcp_is_over(flow->tcp_state) && tcp_is_opening(packet->tcp_flags)) {
		bpf_map_delete_elem(&sfcflow, &key); /* it may be one that nothing steers */
		return from_pod_unknown(skb, packet, &key, a_to_b, NULL, NULL);
	}
	flow_track(flow, forward, packet);
	if (!forward) {
		/* A reply: back to where the forward packets came from. What came in plain goes out plain. */
		flow_touch(flow, false, packet->length);
		if (!(flow->flags & FLOW_FLAG_PREVIOUS_HOP))
			return VERDICT_PASS;
		/* The hops that are left to the classifier: a reply cannot circle, whatever was recorded. */
		return steer_back(skb, packet, flow, path_back(flow), NSH_TTL_MAX - flow->ttl);
	}

	if (flow->role == FLOW_ROLE_OUTBOUND && flow->epoch == policy_epoch) { /* nothing has selected it since */
		flow_touch(flow, true, packet->length);
		return VERDICT_PASS;
	}
	if (flow->role != FLOW_ROLE_SOURCE && flow->role != FLOW_ROLE_FUNCTION) /* the pod routes it on, or has opened it: its own egress */
		return from_pod_unknown(skb, packet, &key, a_to_b, flow, NULL);
	if (flow->role == FLOW_ROLE_FUNCTION && flow->ttl <= 1)
		return drop(REASON_NSH_TTL, DIRECTION_FROM_POD, packet->length);
	if (flow->epoch != policy_epoch || !(flow->flags & FLOW_FLAG_RESOLVED)) {
		struct endpoint_value *source = find_endpoint(skb);

		if (!source)
			return VERDICT_PASS;
		if (!(flow->flags & FLOW_FLAG_RESOLVED) || flow->generation != source->generation) {
			struct decision decision = {};

			if (flow->flags & FLOW_FLAG_RESET) {
				if (flow->role == FLOW_ROLE_SOURCE || !tcp_is_opening(packet->tcp_flags))
					return end_flow(packet, flow, true, DIRECTION_FROM_POD);
				/* Another connection, which has arrived as one of this flow: to an instance of its own. */
				flow->flags &= ~(FLOW_FLAG_RESET | FLOW_FLAG_NEXT_HOP);
			}
			if (flow->role == FLOW_ROLE_SOURCE)
				return from_pod_unknown(skb, packet, &key, a_to_b, flow, flow);
			decide_after_function(&decision, source, packet, flow);
			/* The next packet asks again. Of one that is bypassed not even an old hop stays: its replies come past that as well. */
			if (decision.reason == REASON_BYPASSED)
				flow->flags &= ~(FLOW_FLAG_NEXT_HOP | FLOW_FLAG_RESOLVED);
			if (decision.hop == HOP_PLAIN)
				mark_half_seen(skb);
			if (decision.hop == HOP_DROP || decision.hop == HOP_REJECT || decision.reason == REASON_BYPASSED)
				return not_steered(&decision, packet, DIRECTION_FROM_POD);
			if (!remember(flow, &decision, source))
				return drop(REASON_NO_ADDRESS, DIRECTION_FROM_POD, packet->length);
		}
		flow->epoch = policy_epoch;
	}
	flow_touch(flow, true, packet->length);
	if (!(flow->flags & FLOW_FLAG_NEXT_HOP)) {
		count(REASON_LEFT_CLUSTER, DIRECTION_FROM_POD, packet->length);
		mark_half_seen(skb);
		return VERDICT_PASS;
	}
	return steer_forth(skb, packet, flow, flow->next_path, flow->ttl - 1, false, established_reason(flow), DIRECTION_FROM_POD);
}

static __always_inline int reach_pod(struct __sk_buff *skb, struct scratch *own)
{
	struct packet *packet = &own->outer;

	if (!is_ip(skb) || is_onward(skb))
		return VERDICT_PASS;
	if (parse(skb, packet) != PARSE_OK)
		return VERDICT_PASS;
	packet->came_by = 0;
	if (is_steering(packet)) {
		int verdict = to_pod_steered(skb, own);

		if (verdict != AS_PLAIN)
			return verdict;
		/* `came_by` stays. */
		if (parse(skb, packet) != PARSE_OK)
			return VERDICT_DROP;
	}
	if (is_about_tunnel(packet)) {
		struct endpoint_value *target = find_endpoint(skb);

		if (target && is_for(target, packet))
			return learn_path_mtu(skb, packet);
	}
	return to_pod_plain(skb, packet);
}

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	struct packet packet;
	int verdict = leave_pod(skb, &packet);

	return verdict < TELL_ICMP ? verdict : tell(skb, &packet, verdict, DIRECTION_FROM_POD);
}

SEC("tc")
int to_pod(struct __sk_buff *skb)
{
	struct scratch *own = own_scratch();
	int verdict;

	if (!own)
		return VERDICT_PASS;
	verdict = reach_pod(skb, own);
	if (verdict < TELL_ICMP)
		return verdict;
	/* It may have come out of a tunnel meanwhile. */
	return parse(skb, &own->outer) == PARSE_OK ? tell(skb, &own->outer, verdict, DIRECTION_TO_POD) : VERDICT_DROP;
}

SEC("tc")
int from_uplink(struct __sk_buff *skb)
{
	struct packet packet;

	return enter_node(skb, &packet);
}

char _license[] SEC("license") = "GPL";
