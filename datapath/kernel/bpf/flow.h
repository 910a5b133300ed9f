/*
 * The flow table. One entry serves both directions of a flow at an endpoint: the key holds the two
 * (address, port) pairs in order, lower first, and the entry says which way is forward. So one
 * look-up tells direction and hop.
 */
#pragma once

#include "maps.h"
#include "packet.h"
#include "scratch.h"
#include "tcp.h"

#define NSEC_PER_SEC 1000000000ULL

/* Fills the key; true when the packet runs from a to b. */
static __always_inline bool flow_key(struct sfcflow_key *key, __u32 ifindex, const struct packet *packet)
{
	bool a_to_b = true;

	/* Compared as bytes: big-endian integers, most significant word first. */
	if (packet->source.word[0] != packet->destination.word[0])
		a_to_b = bpf_ntohl(packet->source.word[0]) < bpf_ntohl(packet->destination.word[0]);
	else if (packet->family == FAMILY_IPV6 && packet->source.word[1] != packet->destination.word[1])
		a_to_b = bpf_ntohl(packet->source.word[1]) < bpf_ntohl(packet->destination.word[1]);
	else if (packet->family == FAMILY_IPV6 && packet->source.word[2] != packet->destination.word[2])
		a_to_b = bpf_ntohl(packet->source.word[2]) < bpf_ntohl(packet->destination.word[2]);
	else if (packet->family == FAMILY_IPV6 && packet->source.word[3] != packet->destination.word[3])
		a_to_b = bpf_ntohl(packet->source.word[3]) < bpf_ntohl(packet->destination.word[3]);
	else
		a_to_b = bpf_ntohs(packet->source_port) <= bpf_ntohs(packet->destination_port);

	key->ifindex = ifindex;
	key->family = packet->family;
	key->protocol = packet->protocol;
	key->visit = 0;
	key->pad[0] = 0;
	if (a_to_b) {
		*(struct address *)key->address_a = packet->source;
		*(struct address *)key->address_b = packet->destination;
		key->port_a = packet->source_port;
		key->port_b = packet->destination_port;
	} else {
		*(struct address *)key->address_a = packet->destination;
		*(struct address *)key->address_b = packet->source;
		key->port_a = packet->destination_port;
		key->port_b = packet->source_port;
	}
	return a_to_b;
}

/*
 * May the pod behind this interface have one more flow? The agent counts what each has, every other second; while no
 * agent counts, nobody is held to it.
 */
static __always_inline bool admit(__u32 ifindex)
{
	struct sfcquota_key key = {.ifindex = ifindex};
	struct sfcquota_value *quota = bpf_map_lookup_elem(&sfcquota, &key);

	if (!quota || bpf_ktime_get_coarse_ns() > quota->counted_at + QUOTA_SECONDS * NSEC_PER_SEC)
		return true;
	if (quota->flows >= quota->limit)
		return false;
	__sync_fetch_and_add(&quota->flows, 1);
	return true;
}

static __always_inline bool is_forward(const struct sfcflow_value *flow, bool a_to_b)
{
	return !!(flow->flags & FLOW_FLAG_FORWARD_A_TO_B) == a_to_b;
}

/* One more packet of a TCP connection. Of an established one nothing is written; other protocols have neither flags nor states. */
static __always_inline void flow_track(struct sfcflow_value *flow, bool forward, const struct packet *packet)
{
	if ((packet->tcp_flags & TCP_EVENTS) || (flow->tcp_state && !packet->is_error))
		flow->tcp_state = tcp_next_state(flow->tcp_state, forward, packet->tcp_flags);
}

/* An empty flow to fill in. */
static __always_inline struct sfcflow_value *new_flow(void)
{
	struct scratch *own = own_scratch();

	if (!own)
		return NULL;
	__builtin_memset(&own->flow, 0, sizeof(own->flow));
	return &own->flow;
}

/* Low 32 bits of jiffies: a plain load where the clock is a call. */
static __always_inline __u32 tick(void)
{
	return bpf_jiffies64();
}

static __always_inline void flow_touch(struct sfcflow_value *flow, bool forward, __u32 bytes)
{
	__u32 now = tick();

	if (flow->last_tick != now || flow->last_seen == 0) {
		flow->last_tick = now;
		flow->last_seen = bpf_ktime_get_coarse_ns();
	}
	if (forward) {
		__sync_fetch_and_add(&flow->packets, 1);
		__sync_fetch_and_add(&flow->bytes, bytes);
	} else {
		__sync_fetch_and_add(&flow->reply_packets, 1);
		__sync_fetch_and_add(&flow->reply_bytes, bytes);
	}
}
