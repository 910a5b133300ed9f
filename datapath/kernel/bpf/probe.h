/*
 * Probes through functions: a node asks an instance by a packet that passes it and comes back to one of the
 * node's own pods, where it ends.
 *
 *     agent ═(probe,1)═► instance's node ─► pod ─► instance's node ═(probe,0)═► to_pod of the node's pod
 *                        unwrapped, recorded       no chain joins here         written down, kept
 *
 * On its way it is steered as any packet is, but for the two places that ask here.
 */
#pragma once

#include "decap.h"
#include "maps.h"
#include "metrics.h"
#include "packet.h"
#include "scratch.h"

/* What the UDP datagram of a probe carries. */
struct probe_payload {
	__be32 magic;
	__be32 sequence;
};

static __always_inline bool is_probe(__be32 path)
{
	return bpf_ntohl(path) >> 8 == PROBE_SPI;
}

/* Has the packet come to its end on the path of probes? Nothing on it is for a pod, but to pass. */
static __always_inline bool ends_probe(const struct envelope *envelope)
{
	return is_probe(envelope->path) && (envelope->reply || !(envelope->path & bpf_htonl(0xff)));
}

/*
 * Writes down that the outer source has passed a probe on: the inner packet, still wrapped, which has its ports. Only of instances
 * that the agent has entered, so that nobody else fills the map.
 */
static __noinline void note_answer(struct __sk_buff *skb, struct scratch *own)
{
	struct sfcprobe_key key = {};
	struct sfcprobe_value *value;
	struct probe_payload payload;
	const struct packet *inner;
	__u32 headers, offset;

	if (!own)
		return;
	inner = &own->inner;
	if (own->envelope.reply || inner->protocol != IPPROTO_UDP)
		return;
	headers = inner->header_length + sizeof(struct udphdr);
	offset = ETH_HLEN + own->envelope.length + headers;
	if (inner->length < headers + sizeof(payload) || bpf_skb_load_bytes(skb, offset, &payload, sizeof(payload)) ||
	    payload.magic != bpf_htonl(PROBE_MAGIC))
		return;
	*(struct address *)key.address = own->envelope.source;
	key.family = own->envelope.family;
	key.port = inner->destination_port;
	value = bpf_map_lookup_elem(&sfcprobe, &key);
	if (!value)
		return;
	value->answered = bpf_ktime_get_coarse_ns();
	value->sequence = bpf_ntohl(payload.sequence);
}
