/*
 * The steering datapath. Two programs hang on the host side of every pod's veth:
 *
 *   pod ──eth0──veth── tc ingress: from_pod ──► host      (what the pod sends)
 *   pod ──eth0──veth── tc egress:  to_pod   ◄── host      (what the pod is about to receive)
 *
 * from_pod is classifier (RFC 7665 3), forwarder and proxy for functions that know nothing of NSH:
 * one look-up in sfcflow tells an established flow's direction and hop. to_pod validates, unwraps
 * and remembers where a packet came from. The kernel moves the packets; the agent only keeps maps.
 */
#include "classify.h"
#include "decap.h"
#include "encap.h"
#include "flow.h"
#include "metrics.h"
#include "probe.h"
#include "reset.h"
#include "steer.h"
#include "visit.h"

static __always_inline struct endpoint_value *find_endpoint(struct __sk_buff *skb)
{
	struct endpoint_key key = {.ifindex = skb->ifindex};

	return bpf_map_lookup_elem(&endpoint, &key);
}

static __always_inline int drop(enum reason reason, enum direction direction, __u32 bytes)
{
	count(reason, direction, bytes);
	return VERDICT_DROP;
}

/* A UDP packet to the steering port; of later fragments nobody can say. */
static __always_inline bool is_steering(const struct packet *packet)
{
	return packet->protocol == IPPROTO_UDP && packet->destination_port == bpf_htons(steering_port) &&
	       packet->fragment != FRAGMENT_LATER;
}

/* Sends the packet to a hop of its flow. Only endpoints that have an IPv4 address come to have flows. */
static __always_inline int encapsulate(struct __sk_buff *skb, const struct packet *packet, const struct sfcflow_value *flow,
                                       const __u8 *hop, __be32 path, __u8 ttl, bool reply, struct route *route, enum reason reason,
                                       enum direction direction)
{
	struct tunnel tunnel = {
		.source = *(__be32 *)flow->local,
		.destination = *(__be32 *)hop,
		.path = path,
		.ttl = ttl,
		.reply = reply,
	};

	return steer(skb, packet, &tunnel, route, reason, direction);
}

/*
 * What is no whole packet of a flow, or claims to be steering traffic. A fragment of a flow that
 * steering would take is dropped and counted: until fragments are tracked none may slip past the
 * functions. Later fragments carry no port; an endpoint that selects by port loses those that its
 * all-ports selectors do not settle.
 */
static __noinline int from_pod_exception(struct __sk_buff *skb, const struct packet *packet, int parsed)
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
	if (classify(source, packet, DIRECTION_FROM_POD) ||
	    (packet->fragment == FRAGMENT_LATER && may_select_by_port(source, packet, DIRECTION_FROM_POD)))
		return drop(REASON_FRAGMENT, DIRECTION_FROM_POD, packet->length);
	return VERDICT_PASS;
}

/* What `take_path` decided against steering. */
static __always_inline int not_steered(const struct decision *decision, const struct packet *packet, enum direction direction)
{
	count(decision->reason, direction, packet->length);
	return decision->hop == HOP_PLAIN ? VERDICT_PASS : VERDICT_DROP;
}

/* A fresh entry of a flow that is none of the datapath's: its packets pass, both ways. */
static __always_inline void remember_own(const struct endpoint_value *endpoint, const struct packet *packet, const struct sfcflow_key *key,
                                         bool a_to_b, __u8 role)
{
	struct sfcflow_value *flow = new_flow();

	if (!flow)
		return;
	flow->role = role;
	flow->flags = FLOW_FLAG_RESOLVED | (a_to_b ? FLOW_FLAG_FORWARD_A_TO_B : 0);
	flow->local_family = FAMILY_IPV4;
	flow->endpoint = endpoint->id;
	flow->tcp_state = tcp_first_state(packet->tcp_flags);
	*(__be32 *)flow->local = *(__be32 *)endpoint->ipv4;
	flow_touch(flow, true, packet->length);
	bpf_map_update_elem(&sfcflow, key, flow, BPF_NOEXIST); /* a known flow stays what it is */
}

/* The pod opens a flow that nothing steers: the replies are no ingress. TCP: the SYN only, never its middle. */
static __always_inline void own_flow(const struct endpoint_value *source, const struct packet *packet, const struct sfcflow_key *key,
                                     bool a_to_b, struct sfcflow_value *known)
{
	if (known) {
		if (known->role == FLOW_ROLE_OUTBOUND)
			flow_touch(known, true, packet->length);
		return;
	}
	if (!selected_for(source, packet, DIRECTION_TO_POD) ||
	    (packet->protocol == IPPROTO_TCP && !tcp_is_opening(packet->tcp_flags)))
		return;
	remember_own(source, packet, key, a_to_b, FLOW_ROLE_OUTBOUND);
}

/*
 * A packet of no known flow, of one whose policy changed (`kept`), or of one at which this endpoint has
 * another role (`known`): classify it as the endpoint's own egress.
 */
static __always_inline int from_pod_unknown(struct __sk_buff *skb, const struct packet *packet, const struct sfcflow_key *key,
                                            bool a_to_b, struct sfcflow_value *known, const struct sfcflow_value *kept)
{
	struct endpoint_value *source = find_endpoint(skb);
	struct decision decision = {};
	struct sfcflow_value *flow;
	__be32 path;

	if (!source)
		return VERDICT_PASS;
	path = classify(source, packet, DIRECTION_FROM_POD);
	if (!path) {
		if (kept) /* was steered, is no longer selected */
			bpf_map_delete_elem(&sfcflow, key);
		else
			own_flow(source, packet, key, a_to_b, known);
		return VERDICT_PASS;
	}
	take_path(&decision, path, packet, kept, REASON_STEERED_SOURCE);
	if (decision.hop != HOP_ENCAPSULATE)
		return not_steered(&decision, packet, DIRECTION_FROM_POD);
	if (!(source->flags & ENDPOINT_FLAG_IPV4))
		return drop(REASON_NO_ADDRESS, DIRECTION_FROM_POD, packet->length);
	flow = new_flow();
	if (!flow)
		return VERDICT_DROP;
	if (kept) /* a new generation of policy, the same flow: its counters go on */
		*flow = *kept;
	else
		flow->tcp_state = tcp_first_state(packet->tcp_flags);
	flow->path = path;
	*(__be32 *)flow->local = *(__be32 *)source->ipv4;
	flow->local_family = FAMILY_IPV4;
	flow->endpoint = source->id;
	flow->role = FLOW_ROLE_SOURCE;
	flow->flags = a_to_b ? FLOW_FLAG_FORWARD_A_TO_B : 0;
	flow->ttl = NSH_TTL_MAX;
	remember(flow, &decision, source->generation);
	flow->epoch = policy_epoch;
	flow_touch(flow, true, packet->length);
	bpf_map_update_elem(&sfcflow, key, flow, BPF_ANY);
	return encapsulate(skb, packet, flow, flow->next_hop, path, NSH_TTL_CLASSIFIER, false, NULL, decision.reason,
	                   DIRECTION_FROM_POD);
}

/* The path that replies carry. Of an ingress flow `path` is how its packets come in: they come back on the pod's own chain. */
static __always_inline __be32 path_back(const struct sfcflow_value *flow)
{
	return flow->role == FLOW_ROLE_INGRESS ? flow->next_path & bpf_htonl(0xffffff00) : flow->path;
}

/* Established flows take the straight way down: one look-up, no matter what is selected. */
SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	struct sfcflow_value *flow;
	struct sfcflow_key key;
	struct packet packet;
	enum parse_result parsed;
	bool a_to_b, forward;

	if (skb->protocol != bpf_htons(ETH_P_IP) || is_onward(skb))
		return VERDICT_PASS;
	parsed = parse_ipv4(skb, ETH_HLEN, skb->len - ETH_HLEN, &packet);
	if (parsed != PARSE_OK || packet.fragment != FRAGMENT_NONE || is_steering(&packet))
		return from_pod_exception(skb, &packet, parsed);

	a_to_b = flow_key(&key, skb->ifindex, &packet);
	flow = bpf_map_lookup_elem(&sfcflow, &key);
	if (!flow)
		return from_pod_unknown(skb, &packet, &key, a_to_b, flow, NULL);
	if (flow->flags & FLOW_FLAG_REVISITED)
		flow = visit_of_departure(skb, &key, flow, a_to_b);

	forward = is_forward(flow, a_to_b);
	/* Another connection on the ports of one that is over: a flow of its own. */
	if (forward && flow->role == FLOW_ROLE_SOURCE && tcp_is_over(flow->tcp_state) && tcp_is_opening(packet.tcp_flags)) {
		bpf_map_delete_elem(&sfcflow, &key); /* it may be one that nothing steers */
		return from_pod_unknown(skb, &packet, &key, a_to_b, NULL, NULL);
	}
	flow_track(flow, forward, &packet);
	if (!forward) {
		/* A reply: back to where the forward packets came from. What came in plain goes out plain. */
		flow_touch(flow, false, packet.length);
		if (!(flow->flags & FLOW_FLAG_PREVIOUS_HOP))
			return VERDICT_PASS;
		/* The hops that are left to the classifier: a reply cannot circle, whatever was recorded. */
		return encapsulate(skb, &packet, flow, flow->previous_hop, path_back(flow), NSH_TTL_MAX - flow->ttl, true,
		                   ROUTE_AT(flow, previous), REASON_STEERED_REPLY, DIRECTION_FROM_POD);
	}

	if (flow->role != FLOW_ROLE_SOURCE && flow->role != FLOW_ROLE_FUNCTION) /* the pod routes it on, or has opened it: its own egress */
		return from_pod_unknown(skb, &packet, &key, a_to_b, flow, NULL);
	if (flow->role == FLOW_ROLE_FUNCTION && flow->ttl <= 1)
		return drop(REASON_NSH_TTL, DIRECTION_FROM_POD, packet.length);
	if (flow->epoch != policy_epoch || !(flow->flags & FLOW_FLAG_RESOLVED)) {
		struct endpoint_value *source = find_endpoint(skb);

		if (!source)
			return VERDICT_PASS;
		if (!(flow->flags & FLOW_FLAG_RESOLVED) || flow->generation != source->generation) {
			struct decision decision = {};

			if (flow->flags & FLOW_FLAG_RESET) {
				if (flow->role == FLOW_ROLE_SOURCE || !tcp_is_opening(packet.tcp_flags)) {
					flow_touch(flow, true, packet.length);
					return end_both(skb, &packet, flow, DIRECTION_FROM_POD);
				}
				/* Another connection, which has arrived as one of this flow: to an instance of its own. */
				flow->flags &= ~(FLOW_FLAG_RESET | FLOW_FLAG_NEXT_HOP);
			}
			if (flow->role == FLOW_ROLE_SOURCE)
				return from_pod_unknown(skb, &packet, &key, a_to_b, flow, flow);
			decide_after_function(&decision, source, &packet, flow);
			if (decision.hop == HOP_DROP)
				return drop(decision.reason, DIRECTION_FROM_POD, packet.length);
			remember(flow, &decision, source->generation);
		}
		flow->epoch = policy_epoch;
	}
	flow_touch(flow, true, packet.length);
	if (!(flow->flags & FLOW_FLAG_NEXT_HOP)) {
		count(REASON_LEFT_CLUSTER, DIRECTION_FROM_POD, packet.length);
		return VERDICT_PASS;
	}
	return encapsulate(skb, &packet, flow, flow->next_hop, flow->next_path, flow->ttl - 1, false, ROUTE_AT(flow, next),
	                   established_reason(flow), DIRECTION_FROM_POD);
}

/* Is the packet for this pod itself? Steering traffic to anybody else behind it is not ours to open. */
static __always_inline bool is_for(const struct endpoint_value *target, const struct packet *packet)
{
	return (target->flags & ENDPOINT_FLAG_IPV4) && packet->destination.word[0] == *(__be32 *)target->ipv4;
}

/* At a pod's way in: sends the packet to the flow's next hop, as fresh from the classifier. A reply has the service index of a destination. */
__noinline int steer_flow_onward(struct __sk_buff *skb, const struct packet *packet, struct sfcflow_value *flow, bool reply,
                                        enum reason reason)
{
	__be32 path;

	if (!packet || !flow)
		return VERDICT_DROP;
	path = reply ? flow->next_path & bpf_htonl(0xffffff00) : flow->next_path;
	return encapsulate(skb, packet, flow, flow->next_hop, path, NSH_TTL_CLASSIFIER, reply, ROUTE_AT(flow, next), reason,
	                   DIRECTION_TO_POD);
}

/* No verdicts of tc. */
#define NOT_SELECTED 100
#define AS_PLAIN 101

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
	flow->path = packet->came_by;
	*(__be32 *)flow->local = *(__be32 *)target->ipv4;
	flow->local_family = FAMILY_IPV4;
	flow->endpoint = target->id;
	flow->role = FLOW_ROLE_INGRESS;
	flow->flags = a_to_b ? FLOW_FLAG_FORWARD_A_TO_B : 0;
	flow->ttl = NSH_TTL_MAX;
	flow->tcp_state = tcp_first_state(packet->tcp_flags);
	remember(flow, &decision, target->generation);
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

			if (flow->flags & FLOW_FLAG_RESET) {
				flow_touch(flow, true, packet->length);
				return end_both(skb, packet, flow, DIRECTION_TO_POD);
			}
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
			remember(flow, &decision, target->generation);
		}
		flow->epoch = policy_epoch;
	}
	flow_touch(flow, true, packet->length);
	return steer_flow_onward(skb, packet, flow, false, REASON_STEERED_INGRESS);
}

/* Would the pod's ingress take the packet? Of later fragments, which carry no port: may it? */
static __always_inline bool takes_ingress(const struct packet *packet, const struct endpoint_value *target)
{
	return is_for(target, packet) && (classify(target, packet, DIRECTION_TO_POD) ||
	                                  (packet->fragment == FRAGMENT_LATER && may_select_by_port(target, packet, DIRECTION_TO_POD)));
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
		if ((flow->role == FLOW_ROLE_INBOUND || flow->role == FLOW_ROLE_DESTINATION) &&
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
		return end_both(skb, packet, flow, DIRECTION_TO_POD);
	return steer_flow_onward(skb, packet, flow, true, REASON_REPLY_ENTERED);
}

/*
 * What a selected pod receives outside the tunnel: a packet of a known flow, or the first one of a flow
 * that somebody opens to it. Answers to the latter are no egress of the pod's own, and must not go through
 * functions that never saw the request: the flow is remembered as inbound. TCP: the SYN only, so that a
 * flow whose steering entry was evicted is never taken for an inbound one in its middle.
 */
static __noinline int to_pod_plain(struct __sk_buff *skb, const struct packet *packet)
{
	struct endpoint_value *target;
	struct sfcflow_key key;
	bool a_to_b;
	__u16 ingress, egress;

	if (!packet)
		return VERDICT_PASS;
	target = find_endpoint(skb);
	if (!target)
		return VERDICT_PASS;
	ingress = selected_for(target, packet, DIRECTION_TO_POD);
	egress = selected_for(target, packet, DIRECTION_FROM_POD);
	if (packet->fragment != FRAGMENT_NONE) /* until fragments are tracked none may slip past the functions */
		return ingress && takes_ingress(packet, target) ? drop(REASON_FRAGMENT, DIRECTION_TO_POD, packet->length) : VERDICT_PASS;
	if (!ingress && !egress)
		return VERDICT_PASS;
	a_to_b = flow_key(&key, skb->ifindex, packet);
	if (bpf_map_lookup_elem(&sfcflow, &key))
		return to_pod_plain_known(skb, packet, &key, a_to_b, target);
	if (ingress && is_for(target, packet)) {
		int verdict = enter_ingress(skb, packet, &key, a_to_b, target);

		if (verdict != NOT_SELECTED)
			return verdict;
	}
	if (!egress || (packet->protocol == IPPROTO_TCP && !tcp_is_opening(packet->tcp_flags)) || !is_for(target, packet))
		return VERDICT_PASS;
	remember_own(target, packet, &key, a_to_b, FLOW_ROLE_INBOUND);
	return VERDICT_PASS;
}

/* Is the outer source one whose word counts? */
static __always_inline bool trusted(const struct envelope *envelope)
{
	struct peer_key key = {.prefix_len = PEER_STATIC_BITS + 32, .family = FAMILY_IPV4};
	struct peer_value *value;

	*(struct address *)key.address = envelope->source;
	value = bpf_map_lookup_elem(&peer, &key);
	return value && (value->flags & PEER_FLAG_TRUSTED);
}

/*
 * Remembers where a forward packet came from: the way back for its replies. `first` is the entry of visit 0,
 * `key` that of the visit that the packet is at should it have several.
 */
static __always_inline void record_arrival(struct __sk_buff *skb, struct sfcflow_key *key, bool a_to_b, const struct envelope *envelope,
                                           const struct packet *inner, const struct endpoint_value *target, __u8 role,
                                           struct sfcflow_value *first)
{
	struct sfcflow_value *flow = new_flow();

	if (!flow)
		return;
	flow->path = envelope->path;
	flow->role = role;
	flow->flags = FLOW_FLAG_PREVIOUS_HOP | (a_to_b ? FLOW_FLAG_FORWARD_A_TO_B : 0);
	flow->previous_family = FAMILY_IPV4;
	flow->local_family = FAMILY_IPV4;
	flow->ttl = envelope->ttl;
	flow->tcp_state = tcp_first_state(inner->tcp_flags);
	flow->endpoint = target->id;
	flow->last_seen = bpf_ktime_get_coarse_ns();
	flow->arrival_ttl = ttl_of(skb);
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
	*(__be32 *)flow->local = *(__be32 *)target->ipv4;
	bpf_map_update_elem(&sfcflow, key, flow, BPF_ANY);
}

/* Does another function follow on the flow's way, in this chain or one that it joins? */
static __always_inline bool is_before_the_last(const struct sfcflow_value *flow)
{
	return (flow->flags & FLOW_FLAG_NEXT_HOP) && (flow->next_path & bpf_htonl(0xff));
}

/* Sends a returning reply to the next function. */
static __always_inline int relay(struct __sk_buff *skb, const struct packet *outer, const struct envelope *envelope,
                                 struct sfcflow_value *flow)
{
	struct tunnel tunnel = {
		.source = *(__be32 *)flow->local,
		.destination = *(__be32 *)flow->next_hop,
		.path = flow->next_path & bpf_htonl(0xffffff00),
		.ttl = envelope->ttl - 1,
		.reply = true,
	};
	int verdict;

	if (envelope->ttl <= 1)
		return drop(REASON_NSH_TTL, DIRECTION_TO_POD, outer->length);
	if (redirect_tunnel(skb, envelope, &tunnel))
		return drop(REASON_ENCAP_FAILED, DIRECTION_TO_POD, outer->length);
	verdict = forward_onward(skb, &tunnel, envelope->tos, ROUTE_AT(flow, next));
	count(verdict == VERDICT_DROP ? REASON_TOO_BIG : REASON_REPLY_RELAYED, DIRECTION_TO_POD, outer->length);
	return verdict;
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
                                          const struct endpoint_value *target)
{
	return selected_for(target, inner, DIRECTION_TO_POD) &&
	       ((flow && flow->role == FLOW_ROLE_INGRESS && is_forward(flow, a_to_b) && is_for(target, inner)) ||
	        takes_ingress(inner, target));
}

/* A steering packet for this pod: validate, unwrap, remember, deliver. AS_PLAIN: it is unwrapped, and goes on as one without tunnel. */
static __noinline int to_pod_steered(struct __sk_buff *skb, struct packet *outer)
{
	struct endpoint_value *target = NULL;
	struct envelope envelope;
	struct packet inner = {};
	struct sfcflow_key key;
	struct sfcflow_value *first = NULL, *flow = NULL;
	enum parse_result parsed = PARSE_UNTRACKED;
	enum reason reason = 0;
	bool a_to_b = false, known = false, settled, comes_back = false, has_ports;
	__u8 role;

	if (outer->header_length != sizeof(struct iphdr) || outer->fragment != FRAGMENT_NONE)
		reason = REASON_OUTER_MALFORMED;
	if (!reason)
		reason = open_envelope(skb, outer, &envelope);
	if (!reason)
		reason = read_inner(skb, outer, &envelope, &inner, &parsed);
	if (!reason && (envelope.tos & ECN_MASK) == ECN_CE && (inner.tos & ECN_MASK) == 0)
		reason = REASON_ECN;
	if (reason) {
		target = find_endpoint(skb);
		return target && is_for(target, outer) ? drop(reason, DIRECTION_TO_POD, outer->length) : VERDICT_PASS;
	}

	if (ends_probe(&envelope)) {
		target = find_endpoint(skb);
		if (!target || !is_for(target, outer))
			return VERDICT_PASS;
		reason = REASON_NOT_A_PEER;
		if (trusted(&envelope)) {
			if (parsed == PARSE_OK && inner.fragment == FRAGMENT_NONE)
				note_answer(skb, outer, &envelope, &inner);
			reason = REASON_PROBE_ANSWERED;
		}
		return drop(reason, DIRECTION_TO_POD, outer->length);
	}

	role = (bpf_ntohl(envelope.path) & 0xff) ? FLOW_ROLE_FUNCTION : FLOW_ROLE_DESTINATION;
	has_ports = parsed == PARSE_OK && inner.fragment == FRAGMENT_NONE;
	if (has_ports) {
		a_to_b = flow_key(&key, skb->ifindex, &inner);
		first = flow = bpf_map_lookup_elem(&sfcflow, &key);
		if (first && (first->flags & FLOW_FLAG_REVISITED))
			flow = visit_of_arrival(&key, &envelope, a_to_b);
	}
	if (flow && outer->destination.word[0] == *(__be32 *)flow->local) {
		if (is_returning(flow, &envelope, a_to_b)) {
			if (is_before_the_last(flow))
				return relay(skb, outer, &envelope, flow);
			known = true;
		} else if (envelope.reply)
			known = (flow->flags & FLOW_FLAG_NEXT_HOP) && !is_forward(flow, a_to_b) &&
			        same_address(&envelope.source, flow->next_hop);
		else if (is_forward(flow, a_to_b) &&
		         (is_coming_back(flow, &envelope, role) || (flow->role == role && flow->path == envelope.path))) {
			known = (flow->flags & FLOW_FLAG_PREVIOUS_HOP) && same_address(&envelope.source, flow->previous_hop);
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
		if (!known && !trusted(&envelope))
			return drop(REASON_NOT_A_PEER, DIRECTION_TO_POD, outer->length);
	}

	reason = unwrap(skb, &envelope, &inner);
	if (reason)
		return drop(reason, DIRECTION_TO_POD, outer->length);
	if (!settled && !comes_back && role == FLOW_ROLE_DESTINATION && !envelope.reply && target) {
		if (parsed == PARSE_OK && joins_ingress(&inner, flow, a_to_b, target)) {
			outer->came_by = envelope.path;
			return AS_PLAIN;
		}
		if (known)
			flow->epoch = policy_epoch;
	}
	if (comes_back) {
		*(struct address *)flow->previous_hop = envelope.source;
		flow->previous_family = FAMILY_IPV4;
		flow->previous_ifindex = 0; /* the route was another hop's */
		flow->flags |= FLOW_FLAG_PREVIOUS_HOP;
		known = true;
	}
	if (known)
		flow_track(flow, !envelope.reply, &inner);
	if (known && first && (first->flags & FLOW_FLAG_REVISITED))
		note_arrival(skb, first, flow, key.visit, envelope.reply);
	if (has_ports && !envelope.reply) {
		if (!known && target)
			record_arrival(skb, &key, a_to_b, &envelope, &inner, target, role, first);
		else if (flow && flow->ttl != envelope.ttl)
			flow->ttl = envelope.ttl;
	} else if (known && flow->role == FLOW_ROLE_SOURCE) {
		flow_touch(flow, false, inner.length);
	} else if (known && flow->role == FLOW_ROLE_INGRESS) {
		/* The pod's own reply, through the chain and back: for who opened the flow, wherever that is. */
		struct tunnel way = {.source = inner.source.word[0], .destination = inner.destination.word[0]};

		flow_touch(flow, false, inner.length);
		count(REASON_REPLY_LEFT, DIRECTION_TO_POD, outer->length);
		return forward_onward(skb, &way, inner.tos, NULL);
	}
	count(REASON_DECAPSULATED, DIRECTION_TO_POD, outer->length);
	return VERDICT_PASS;
}

SEC("tc")
int to_pod(struct __sk_buff *skb)
{
	struct packet packet;

	if (skb->protocol != bpf_htons(ETH_P_IP) || is_onward(skb))
		return VERDICT_PASS;
	if (parse_ipv4(skb, ETH_HLEN, skb->len - ETH_HLEN, &packet) != PARSE_OK)
		return VERDICT_PASS;
	packet.came_by = 0;
	if (is_steering(&packet)) {
		int verdict = to_pod_steered(skb, &packet);

		if (verdict != AS_PLAIN)
			return verdict;
		if (parse_ipv4(skb, ETH_HLEN, skb->len - ETH_HLEN, &packet) != PARSE_OK)
			return VERDICT_DROP;
	}
	return to_pod_plain(skb, &packet);
}

char _license[] SEC("license") = "GPL";
