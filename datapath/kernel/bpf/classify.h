/* The classifier (RFC 7665 3): endpoint, direction, protocol, port and address to a path. */
#pragma once

#include "maps.h"
#include "packet.h"
#include "reasons.h"

static __always_inline __u8 select_flags(enum direction direction)
{
	return direction == DIRECTION_FROM_POD ? SELECT_FLAG_EGRESS : 0;
}

static __always_inline struct sfcselect_value *select_entry(__u16 endpoint_id, enum direction direction, __u8 protocol,
                                                            __be16 port, const struct packet *packet)
{
	struct sfcselect_key key = {
		.prefix_len = SELECT_STATIC_BITS + (packet->family == FAMILY_IPV6 ? 128 : 32),
		.endpoint = endpoint_id,
		.family = packet->family,
		.flags = select_flags(direction),
		.port = port,
		.protocol = protocol,
	};

	*(struct address *)key.address = direction == DIRECTION_FROM_POD ? packet->destination : packet->source;
	return bpf_map_lookup_elem(&sfcselect, &key);
}

/* The port under which sfcselect holds the range of the packet's port; that port itself where it is in none. */
static __always_inline __be16 port_of_range(__u16 endpoint_id, enum direction direction, const struct packet *packet)
{
	struct sfcports_key key = {
		.prefix_len = PORTS_STATIC_BITS + 16,
		.endpoint = endpoint_id,
		.flags = select_flags(direction),
		.protocol = packet->protocol,
		.port = packet->destination_port,
	};
	struct sfcports_value *range = bpf_map_lookup_elem(&sfcports, &key);

	return range && range->first_port ? range->first_port : packet->destination_port;
}

/* Of two look-ups, in the order of precedence, the one with the longer prefix. An entry without a path is an exception: no match. */
static __always_inline const struct sfcselect_value *prefer(const struct sfcselect_value *found, const struct sfcselect_value *next)
{
	if (!next || !next->path)
		return found;
	return !found || next->cidr_prefix_len > found->cidr_prefix_len ? next : found;
}

/* The flags of what is selected in a direction, at the places of egress. */
static __always_inline __u16 selected_in(const struct endpoint_value *endpoint, enum direction direction)
{
	return (direction == DIRECTION_FROM_POD ? endpoint->flags : endpoint->flags >> ENDPOINT_INGRESS_SHIFT) & ENDPOINT_SELECTS_EGRESS;
}

/* What `selected_in` says, for this packet's protocol: nothing for one that no selector of this pod can mean. */
static __always_inline __u16 selected_for(const struct endpoint_value *endpoint, const struct packet *packet, enum direction direction)
{
	__u16 flags = selected_in(endpoint, direction);

	return is_tcp_or_udp(packet->protocol) || (flags & ENDPOINT_FLAG_SELECTS_ANY_PROTOCOL) ? flags : 0;
}

/*
 * The service path that selects the packet, big-endian; 0 when none does. Longest prefix wins; then
 * ports over all ports, then the named protocol over any. Which range of ports wins was settled when
 * the entries were compiled. The endpoint's flags save the look-ups that cannot hit.
 */
static __noinline __be32 classify(const struct endpoint_value *endpoint, const struct packet *packet, enum direction direction)
{
	const struct sfcselect_value *found = NULL;
	__u16 flags;

	if (!endpoint || !packet || stays_on_link(&packet->destination, packet->family) || stays_on_link(&packet->source, packet->family))
		return 0;
	flags = selected_for(endpoint, packet, direction);
	if ((flags & ENDPOINT_FLAG_SELECTS_PORTS) && packet->destination_port) {
		__be16 port = packet->destination_port;

		if (flags & ENDPOINT_FLAG_SELECTS_RANGES)
			port = port_of_range(endpoint->id, direction, packet);
		found = prefer(found, select_entry(endpoint->id, direction, packet->protocol, port, packet));
	}
	if (flags & ENDPOINT_FLAG_SELECTS_ALL_PORTS)
		found = prefer(found, select_entry(endpoint->id, direction, packet->protocol, 0, packet));
	if (flags & ENDPOINT_FLAG_SELECTS_ANY_PROTOCOL)
		found = prefer(found, select_entry(endpoint->id, direction, 0, 0, packet));
	return found ? found->path : 0;
}

/*
 * Could a later fragment, which carries no ports, belong to a flow that is selected? Of IPv6 it may not even tell its protocol,
 * where an extension header stands in its place.
 */
static __always_inline bool may_be_selected(const struct endpoint_value *endpoint, const struct packet *packet, enum direction direction)
{
	if (packet->family == FAMILY_IPV6 && is_extension(packet->protocol))
		return selected_in(endpoint, direction);
	if ((selected_for(endpoint, packet, direction) & ENDPOINT_FLAG_SELECTS_PORTS) &&
	    (is_tcp_or_udp(packet->protocol) || packet->protocol == IPPROTO_SCTP))
		return true;
	return classify(endpoint, packet, direction);
}
