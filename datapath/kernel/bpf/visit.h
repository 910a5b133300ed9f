/*
 * A flow that comes to one pod more than once: a chain has the pod at two positions or more.
 *
 *     ═(1,3)═► firewall ═(1,2)═► inspector ═(1,1)═► firewall ─►
 *              visit 0                              visit 1
 *
 * Each position has an entry of its own, told by `visit` in the key. A packet that arrives says in its
 * NSH which one it is at. One that leaves the pod says nothing, as the function knows no NSH; but who
 * forwards lowers the TTL of IP, so that of a flow's packets each arrives with another one at each
 * position, and the position that it leaves from is the one with the lowest of those above its own.
 */
#pragma once

#include "decap.h"
#include "flow.h"
#include "maps.h"

#define SPI_MASK 0xffffff00

static __always_inline bool same_spi(__be32 one, __be32 other)
{
	return !((one ^ other) & bpf_htonl(SPI_MASK));
}

/*
 * Is this a reply on its way to the end of the chain, from which it shall go back? It carries the service
 * index that a destination's replies carry, 0, and comes from the hop nearer to the source.
 */
static __always_inline bool is_returning(const struct sfcflow_value *flow, const struct envelope *envelope, bool a_to_b)
{
	return envelope->reply && !(envelope->path & bpf_htonl(0xff)) && flow->role == FLOW_ROLE_FUNCTION && !is_forward(flow, a_to_b) &&
	       same_address(&envelope->source, flow->previous_hop) && same_spi(envelope->path, flow->path);
}

/* Does the packet arrive at the position that this entry is of? A reply carries the path of the hop that it comes from. */
static __always_inline bool is_at(const struct sfcflow_value *flow, const struct envelope *envelope, bool a_to_b)
{
	if (!envelope->reply)
		return flow->path == envelope->path;
	if (is_returning(flow, envelope, a_to_b))
		return flow->ttl == envelope->ttl; /* it has come as many hops as the request had */
	return flow->next_path == envelope->path;
}

/* TTL or hop limit of the inner packet, once it stands behind the Ethernet header. */
static __always_inline __u8 ttl_of(struct __sk_buff *skb, __u8 family)
{
	__u32 at = family == FAMILY_IPV6 ? offsetof(struct ipv6_header, hop_limit) : offsetof(struct iphdr, ttl);
	__u8 ttl = 0;

	bpf_skb_load_bytes(skb, ETH_HLEN + at, &ttl, sizeof(ttl));
	return ttl;
}

#define VISIT_FOUND 0x100

/*
 * Which visit an arrival is of, of a flow that has several: VISIT_FOUND | its number, or the number of the
 * next one. `of_visit_0`: its key. Global, as is the next: the verifier looks at their loops once, and not
 * with all that may be known where they are called.
 */
__noinline int find_visit_of_arrival(struct sfcflow_key *of_visit_0, const struct address *source, __be32 path, __u8 ttl, __u8 is_reply)
{
	struct envelope envelope = {.path = path, .ttl = ttl, .reply = is_reply & 1};
	struct sfcflow_key key;

	if (!of_visit_0 || !source)
		return 0;
	envelope.source = *source;
	key = *of_visit_0;
	for (__u32 visit = 0; visit < VISITS_MAX; visit++) {
		struct sfcflow_value *flow;

		key.visit = visit;
		flow = bpf_map_lookup_elem(&sfcflow, &key);
		if (!flow)
			return visit;
		/* A forward packet's direction was that of the flow: is_at asks about replies only. */
		if (is_at(flow, &envelope, (is_reply >> 1) & 1))
			return VISIT_FOUND | visit;
	}
	return VISITS_MAX - 1;
}

/* The entry of an arrival, of a flow that has several; `key` becomes its key. None: NULL, and `key` is that of the next one. */
static __always_inline struct sfcflow_value *visit_of_arrival(struct sfcflow_key *key, const struct envelope *envelope, bool a_to_b)
{
	int found = find_visit_of_arrival(key, &envelope->source, envelope->path, envelope->ttl, envelope->reply | a_to_b << 1);

	key->visit = found;
	return found & VISIT_FOUND ? bpf_map_lookup_elem(&sfcflow, key) : NULL;
}

/*
 * Which visit a packet leaves that goes out with this TTL. Where that is below none of theirs (the function
 * made it anew, or forwards without lowering it): the one at which a packet arrived last.
 */
__noinline int find_visit_of_departure(struct sfcflow_key *of_visit_0, __u8 ttl, bool a_to_b)
{
	__u32 best = ~0U >> 1, at = offsetof(struct sfcflow_value, reply_ttl), latest = 0;
	struct sfcflow_key key;

	if (!of_visit_0)
		return 0;
	key = *of_visit_0;
	for (__u32 visit = 0; visit < VISITS_MAX; visit++) {
		struct sfcflow_value *flow;
		__u32 above, rank;
		__s32 nearer;

		key.visit = visit;
		flow = bpf_map_lookup_elem(&sfcflow, &key);
		if (!flow)
			break;
		if (visit == 0) {
			latest = flow->latest;
			if (is_forward(flow, a_to_b))
				at = offsetof(struct sfcflow_value, arrival_ttl);
		}
		/* How far above: 0 is nearest, whoever is not above comes round behind all that are. Of equals the latest. */
		above = (((__u8 *)flow)[at] - ttl - 1) & 0xff;
		rank = above << 16 | (visit != latest) << 8 | visit;
		nearer = (__s32)(rank - best) >> 31;
		/* The lesser of the two without a branch: the verifier would go both ways at every visit. */
		asm volatile("" : "+r"(nearer));
		best += (rank - best) & nearer;
	}
	return (best >> 16) + ttl < 0xff ? best & 0xff : latest;
}

/* The entry of a packet that leaves the pod, of a flow that has several; `key` becomes its key. */
static __always_inline struct sfcflow_value *visit_of_departure(struct __sk_buff *skb, struct sfcflow_key *key, struct sfcflow_value *first,
                                                                bool a_to_b)
{
	struct sfcflow_value *flow;

	key->visit = find_visit_of_departure(key, ttl_of(skb, key->family), a_to_b);
	flow = bpf_map_lookup_elem(&sfcflow, key);
	return flow ? flow : first; /* should it have been evicted this moment */
}

/* A packet has arrived at a known visit of a flow that has several: what will be asked about it when it leaves. */
static __always_inline void note_arrival(struct __sk_buff *skb, struct sfcflow_value *first, struct sfcflow_value *flow,
                                         const struct sfcflow_key *key, bool reply)
{
	__u8 ttl = ttl_of(skb, key->family);

	if (reply)
		flow->reply_ttl = ttl;
	else
		flow->arrival_ttl = ttl;
	first->latest = key->visit;
}

/*
 * Is a forward packet of the flow `first` at another position of its chain, which this pod has too? The
 * agent says which paths have such pods: else a chain that has changed would look the same.
 */
static __noinline bool is_another_visit(const struct sfcflow_value *first, __be32 path, bool a_to_b)
{
	struct sfcpath_key key = {.path = path};
	struct sfcpath_value *value;

	if (!first || first->role != FLOW_ROLE_FUNCTION || !is_forward(first, a_to_b) || first->path == path ||
	    !same_spi(first->path, path) || !(path & bpf_htonl(0xff)))
		return false;
	value = bpf_map_lookup_elem(&sfcpath, &key);
	return value && (value->flags & PATH_FLAG_REVISITS);
}
