/* The classifier (RFC 7665 3): endpoint, direction, protocol, port and destination to a path. */
#pragma once

#include "maps.h"
#include "packet.h"

static __always_inline struct sfcselect_value *select_entry(__u16 endpoint_id, __be16 port, const struct packet *packet)
{
	struct sfcselect_key key = {
		.prefix_len = SELECT_STATIC_BITS + (packet->family == FAMILY_IPV6 ? 128 : 32),
		.endpoint = endpoint_id,
		.family = packet->family,
		.flags = SELECT_FLAG_EGRESS,
		.port = port,
		.protocol = packet->protocol,
	};

	*(struct address *)key.address = packet->destination;
	return bpf_map_lookup_elem(&sfcselect, &key);
}

/*
 * The service path that selects the packet, big-endian; 0 when none does. Longest prefix wins, an
 * exact port wins a tie. The endpoint's flags save the look-ups that cannot hit.
 */
static __always_inline __be32 classify(const struct endpoint_value *source, const struct packet *packet)
{
	struct sfcselect_value *all_ports = NULL, *exact_port = NULL;

	if (source->flags & ENDPOINT_FLAG_SELECTS_ALL_PORTS)
		all_ports = select_entry(source->id, 0, packet);
	if ((source->flags & ENDPOINT_FLAG_SELECTS_PORTS) && packet->destination_port)
		exact_port = select_entry(source->id, packet->destination_port, packet);
	if (exact_port && (!all_ports || exact_port->cidr_prefix_len >= all_ports->cidr_prefix_len))
		return exact_port->path;
	return all_ports ? all_ports->path : 0;
}
