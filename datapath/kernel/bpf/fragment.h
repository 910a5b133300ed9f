/*
 * Fragments. Only the first one carries ports: what it says is kept for those that follow it, so that they belong to
 * the same flow. Each interface has its own slots: a pod that sends many takes none of another's.
 *
 *     first: ports ──► slot of (interface, addresses, identification)
 *     later: ports ◄── that slot, where it is this datagram's and no older than a receiver would wait
 */
#pragma once

#include "flow.h"
#include "maps.h"
#include "packet.h"

/* What tells the datagram from others between the same addresses, as a number: of IPv4 the protocol too (RFC 791 3.2). */
static __always_inline __u32 identification(const struct packet *packet)
{
	return packet->family == FAMILY_IPV6 ? bpf_ntohl(packet->id) : (__u32)packet->protocol << 16 | bpf_ntohs(packet->id);
}

static __always_inline struct sfcfragment_key fragment_key(__u32 ifindex, const struct packet *packet)
{
	__u32 hash = hash_address(HASH_START, &packet->source, packet->family);

	hash = hash_address(hash, &packet->destination, packet->family);
	return (struct sfcfragment_key){.ifindex = ifindex, .slot = hash_word(hash, identification(packet)) % FRAGMENT_SLOTS};
}

/*
 * Keeps the ports of a first fragment; puts them into a later one. Of IPv6 the protocol too: in a later fragment another extension
 * header may stand in its place. False: of the datagram nothing is known.
 */
__noinline int track_fragment(struct packet *packet, __u32 ifindex)
{
	struct sfcfragment_value *known;
	struct sfcfragment_key key;
	__u64 now;

	if (!packet)
		return false;
	key = fragment_key(ifindex, packet);
	now = bpf_ktime_get_coarse_ns();
	if (packet->fragment == FRAGMENT_FIRST) {
		struct sfcfragment_value value = {
			.id = identification(packet),
			.source_port = packet->source_port,
			.destination_port = packet->destination_port,
			.family = packet->family,
			.protocol = packet->protocol,
			.last_seen = now,
		};

		*(struct address *)value.source = packet->source;
		*(struct address *)value.destination = packet->destination;
		bpf_map_update_elem(&sfcfragment, &key, &value, BPF_ANY);
		return true;
	}
	known = bpf_map_lookup_elem(&sfcfragment, &key);
	if (!known || known->id != identification(packet) || known->family != packet->family ||
	    !same_address(known->source, &packet->source) || !same_address(known->destination, &packet->destination) ||
	    now > known->last_seen + FRAGMENT_SECONDS * NSEC_PER_SEC)
		return false;
	packet->protocol = known->protocol;
	packet->source_port = known->source_port;
	packet->destination_port = known->destination_port;
	return true;
}

/* Is it a later fragment of a datagram whose first one has not been seen? */
static __always_inline bool is_orphan(struct packet *packet, __u32 ifindex)
{
	return packet->fragment != FRAGMENT_NONE && !track_fragment(packet, ifindex);
}
