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
#include "reset.h"
#include "steer.h"

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

/* A packet of no known flow, or of one whose policy changed (`kept`): classify it as the endpoint's own egress. */
static __always_inline int from_pod_unknown(struct __sk_buff *skb, const struct packet *packet, const struct sfcflow_key *key,
                                            bool a_to_b, const struct sfcflow_value *kept)
{
	struct endpoint_value *source = find_endpoint(skb);
	struct decision decision = {};
	struct sfcflow_value flow = {};
	__be32 path;

	if (!source)
		return VERDICT_PASS;
	path = classify(source, packet, DIRECTION_FROM_POD);
	if (!path) {
		if (kept) /* was steered, is no longer selected */
			bpf_map_delete_elem(&sfcflow, key);
		return VERDICT_PASS;
	}
	take_path(&decision, path, packet, kept, REASON_STEERED_SOURCE);
	if (decision.hop != HOP_ENCAPSULATE) {
		count(decision.reason, DIRECTION_FROM_POD, packet->length);
		return decision.hop == HOP_PLAIN ? VERDICT_PASS : VERDICT_DROP;
	}
	if (!(source->flags & ENDPOINT_FLAG_IPV4))
		return drop(REASON_NO_ADDRESS, DIRECTION_FROM_POD, packet->length);
	if (kept) /* a new generation of policy, the same flow: its counters go on */
		flow = *kept;
	else
		flow.tcp_state = tcp_first_state(packet->tcp_flags);
	flow.path = path;
	*(__be32 *)flow.local = *(__be32 *)source->ipv4;
	flow.local_family = FAMILY_IPV4;
	flow.endpoint = source->id;
	flow.role = FLOW_ROLE_SOURCE;
	flow.flags = a_to_b ? FLOW_FLAG_FORWARD_A_TO_B : 0;
	flow.ttl = NSH_TTL_MAX;
	remember(&flow, &decision, source->generation);
	flow.epoch = policy_epoch;
	flow_touch(&flow, true, packet->length);
	bpf_map_update_elem(&sfcflow, key, &flow, BPF_ANY);
	return encapsulate(skb, packet, &flow, flow.next_hop, path, NSH_TTL_CLASSIFIER, false, NULL, decision.reason,
	                   DIRECTION_FROM_POD);
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
		return from_pod_unknown(skb, &packet, &key, a_to_b, NULL);

	forward = is_forward(flow, a_to_b);
	/* Another connection on the ports of one that is over: a flow of its own. */
	if (forward && flow->role == FLOW_ROLE_SOURCE && tcp_is_over(flow->tcp_state) && tcp_is_opening(packet.tcp_flags)) {
		if (flow->flags & FLOW_FLAG_RESET) /* it may be one that nothing steers: the mark is not for it */
			bpf_map_delete_elem(&sfcflow, &key);
		return from_pod_unknown(skb, &packet, &key, a_to_b, NULL);
	}
	flow_track(flow, forward, &packet);
	if (!forward) {
		/* A reply: back to where the forward packets came from. What came in plain goes out plain. */
		flow_touch(flow, false, packet.length);
		if (!(flow->flags & FLOW_FLAG_PREVIOUS_HOP))
			return VERDICT_PASS;
		/* The hops that are left to the classifier: a reply cannot circle, whatever was recorded. */
		return encapsulate(skb, &packet, flow, flow->previous_hop, flow->path, NSH_TTL_MAX - flow->ttl, true,
		                   ROUTE_AT(flow, previous), REASON_STEERED_REPLY, DIRECTION_FROM_POD);
	}

	if (flow->role == FLOW_ROLE_DESTINATION || flow->role == FLOW_ROLE_INBOUND) /* the pod routes it on: its own egress */
		return from_pod_unknown(skb, &packet, &key, a_to_b, NULL);
	if (flow->role == FLOW_ROLE_FUNCTION && flow->ttl <= 1)
		return drop(REASON_NSH_TTL, DIRECTION_FROM_POD, packet.length);
	if (flow->epoch != policy_epoch || !(flow->flags & FLOW_FLAG_RESOLVED)) {
		struct endpoint_value *source = find_endpoint(skb);

		if (!source)
			return VERDICT_PASS;
		if (!(flow->flags & FLOW_FLAG_RESOLVED) || flow->generation != source->generation) {
			struct decision decision = {};

			if (flow->role == FLOW_ROLE_SOURCE) {
				if (!(flow->flags & FLOW_FLAG_RESET))
					return from_pod_unknown(skb, &packet, &key, a_to_b, flow);
				flow_touch(flow, true, packet.length);
				return end_both(skb, &packet, flow, DIRECTION_FROM_POD);
			}
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

/* Is the outer source one whose word counts? */
static __always_inline bool trusted(const struct envelope *envelope)
{
	struct peer_key key = {.prefix_len = PEER_STATIC_BITS + 32, .family = FAMILY_IPV4};
	struct peer_value *value;

	*(struct address *)key.address = envelope->source;
	value = bpf_map_lookup_elem(&peer, &key);
	return value && (value->flags & PEER_FLAG_TRUSTED);
}

/* Remembers where a forward packet came from: the way back for its replies. */
static __always_inline void record_arrival(const struct sfcflow_key *key, bool a_to_b, const struct envelope *envelope,
                                           const struct packet *inner, const struct endpoint_value *target, __u8 role)
{
	struct sfcflow_value flow = {
		.path = envelope->path,
		.role = role,
		.flags = FLOW_FLAG_PREVIOUS_HOP | (a_to_b ? FLOW_FLAG_FORWARD_A_TO_B : 0),
		.previous_family = FAMILY_IPV4,
		.local_family = FAMILY_IPV4,
		.ttl = envelope->ttl,
		.tcp_state = tcp_first_state(inner->tcp_flags),
		.endpoint = target->id,
		.last_seen = bpf_ktime_get_coarse_ns(),
	};

	*(struct address *)flow.previous_hop = envelope->source;
	*(__be32 *)flow.local = *(__be32 *)target->ipv4;
	bpf_map_update_elem(&sfcflow, key, &flow, BPF_ANY);
}

/* Is the packet for this pod itself? Steering traffic to anybody else behind it is not ours to open. */
static __always_inline bool is_for(const struct endpoint_value *target, const struct packet *packet)
{
	return (target->flags & ENDPOINT_FLAG_IPV4) && packet->destination.word[0] == *(__be32 *)target->ipv4;
}

/*
 * Is this a reply on its way to the end of the chain, from which it shall go back? It carries the service
 * index that a destination's replies carry, 0, and comes from the hop nearer to the source.
 */
static __always_inline bool is_returning(const struct sfcflow_value *flow, const struct envelope *envelope, bool a_to_b)
{
	return envelope->reply && !(envelope->path & bpf_htonl(0xff)) && flow->role == FLOW_ROLE_FUNCTION && !is_forward(flow, a_to_b) &&
	       same_address(&envelope->source, flow->previous_hop) && !((envelope->path ^ flow->path) & bpf_htonl(0xffffff00));
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

/* A steering packet for this pod: validate, unwrap, remember, deliver. */
static __noinline int to_pod_steered(struct __sk_buff *skb, const struct packet *outer)
{
	struct endpoint_value *target = NULL;
	struct envelope envelope;
	struct packet inner = {};
	struct sfcflow_key key;
	struct sfcflow_value *flow = NULL;
	enum parse_result parsed = PARSE_UNTRACKED;
	enum reason reason = 0;
	bool a_to_b = false, known = false, has_ports;
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

	role = (bpf_ntohl(envelope.path) & 0xff) ? FLOW_ROLE_FUNCTION : FLOW_ROLE_DESTINATION;
	has_ports = parsed == PARSE_OK && inner.fragment == FRAGMENT_NONE;
	if (has_ports) {
		a_to_b = flow_key(&key, skb->ifindex, &inner);
		flow = bpf_map_lookup_elem(&sfcflow, &key);
	}
	if (flow && outer->destination.word[0] == *(__be32 *)flow->local) {
		if (is_returning(flow, &envelope, a_to_b)) {
			if (is_before_the_last(flow))
				return relay(skb, outer, &envelope, flow);
			known = true;
		} else if (envelope.reply)
			known = (flow->flags & FLOW_FLAG_NEXT_HOP) && !is_forward(flow, a_to_b) &&
			        same_address(&envelope.source, flow->next_hop);
		else
			known = flow->role == role && flow->path == envelope.path && is_forward(flow, a_to_b) &&
			        same_address(&envelope.source, flow->previous_hop);
	}
	/* A hop that the flow entry already names was a peer when it was recorded: no second look-up. */
	if (!known) {
		target = find_endpoint(skb);
		if (!target || !is_for(target, outer))
			return VERDICT_PASS;
		if (!trusted(&envelope))
			return drop(REASON_NOT_A_PEER, DIRECTION_TO_POD, outer->length);
	}

	reason = unwrap(skb, &envelope, &inner);
	if (reason)
		return drop(reason, DIRECTION_TO_POD, outer->length);
	if (known)
		flow_track(flow, !envelope.reply, &inner);
	if (has_ports && !envelope.reply) {
		if (!known && target)
			record_arrival(&key, a_to_b, &envelope, &inner, target, role);
		else if (flow && flow->ttl != envelope.ttl)
			flow->ttl = envelope.ttl;
	} else if (known && flow->role == FLOW_ROLE_SOURCE) {
		flow_touch(flow, false, inner.length);
	}
	count(REASON_DECAPSULATED, DIRECTION_TO_POD, outer->length);
	return VERDICT_PASS;
}

/*
 * A plain packet of a known flow. A reply to what the pod had steered has come past the chain, from a
 * destination that knows nothing of it: it goes to the end of the chain and comes back through every function.
 */
static __always_inline int to_pod_plain_known(struct __sk_buff *skb, const struct packet *packet, struct sfcflow_value *flow, bool forward)
{
	flow_track(flow, forward, packet);
	flow_touch(flow, forward, packet->length);
	if (forward || flow->role != FLOW_ROLE_SOURCE || !(flow->flags & FLOW_FLAG_NEXT_HOP))
		return VERDICT_PASS;
	if (flow->flags & FLOW_FLAG_RESET)
		return end_both(skb, packet, flow, DIRECTION_TO_POD);
	return encapsulate(skb, packet, flow, flow->next_hop, flow->next_path & bpf_htonl(0xffffff00), NSH_TTL_CLASSIFIER, true,
	                   ROUTE_AT(flow, next), REASON_REPLY_ENTERED, DIRECTION_TO_POD);
}

/*
 * What a selected pod receives outside the tunnel: a reply, or the first packet of a flow that somebody
 * opens to it. Answers to the latter are no egress of the pod's own, and must not go through functions
 * that never saw the request: the flow is remembered as inbound. TCP: the SYN only, so that a flow whose
 * steering entry was evicted is never taken for an inbound one in its middle.
 */
static __noinline int to_pod_plain(struct __sk_buff *skb, const struct packet *packet)
{
	struct sfcflow_value flow = {.role = FLOW_ROLE_INBOUND, .flags = FLOW_FLAG_RESOLVED, .local_family = FAMILY_IPV4};
	struct sfcflow_value *known;
	struct endpoint_value *target;
	struct sfcflow_key key;
	bool a_to_b;

	if (!packet || packet->fragment != FRAGMENT_NONE)
		return VERDICT_PASS;
	target = find_endpoint(skb);
	if (!target || !selected_for(target, packet, DIRECTION_FROM_POD))
		return VERDICT_PASS;
	a_to_b = flow_key(&key, skb->ifindex, packet);
	known = bpf_map_lookup_elem(&sfcflow, &key);
	if (known)
		return to_pod_plain_known(skb, packet, known, is_forward(known, a_to_b));
	if ((packet->protocol == IPPROTO_TCP && !tcp_is_opening(packet->tcp_flags)) || !is_for(target, packet))
		return VERDICT_PASS;
	if (a_to_b)
		flow.flags |= FLOW_FLAG_FORWARD_A_TO_B;
	*(__be32 *)flow.local = *(__be32 *)target->ipv4;
	flow.endpoint = target->id;
	flow.tcp_state = tcp_first_state(packet->tcp_flags);
	flow_touch(&flow, true, packet->length);
	bpf_map_update_elem(&sfcflow, &key, &flow, BPF_NOEXIST); /* a known flow stays what it is */
	return VERDICT_PASS;
}

SEC("tc")
int to_pod(struct __sk_buff *skb)
{
	struct packet packet;

	if (skb->protocol != bpf_htons(ETH_P_IP) || is_onward(skb))
		return VERDICT_PASS;
	if (parse_ipv4(skb, ETH_HLEN, skb->len - ETH_HLEN, &packet) != PARSE_OK || packet.fragment == FRAGMENT_LATER)
		return VERDICT_PASS;
	return is_steering(&packet) ? to_pod_steered(skb, &packet) : to_pod_plain(skb, &packet);
}

char _license[] SEC("license") = "GPL";
