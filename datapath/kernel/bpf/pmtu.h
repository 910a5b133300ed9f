/*
 * ICMP errors about the tunnel itself: a router between two hops says that a wrapped packet did not get through. The pod whose
 * address is the outer source sent no such packet, and is not told. What does not fit lowers the MTU of the flow's hop: its
 * next packet that is too big is answered here, with an MTU that leaves room for the outer headers (RFC 2003 4 does the same).
 *
 *     | IP | ICMP, 8 | outer IP | UDP, 8 | Geneve, 8, and options | inner IP | … as far as the router repeats it
 */
#pragma once

#include "steer.h"

/* Below these no path goes (RFC 791 3.2, RFC 8200 5): who says so is not believed. */
#define LEAST_MTU_IPV4 576
#define LEAST_MTU_IPV6 1280

/* Is it an error about a tunnel's packet that came from this pod? `packet` is one that was read so: a reply to what it is about. */
static __always_inline bool is_about_tunnel(const struct packet *packet)
{
	return packet->is_error && packet->protocol == IPPROTO_UDP && packet->source_port == bpf_htons(steering_port);
}

/* The MTU that an error whose header stands at `offset` of the frame tells; 0: it tells none that is believed. */
static __always_inline __u32 told_mtu(struct __sk_buff *skb, __u32 offset, __u8 family)
{
	__u8 header[ICMP_HEADER_LENGTH];
	__u32 mtu;

	if (bpf_skb_load_bytes(skb, offset, header, sizeof(header)))
		return 0;
	if (family == FAMILY_IPV6) {
		mtu = bpf_ntohl(*(__be32 *)(header + 4));
		return header[0] == ICMPV6_TYPE_TOO_BIG && mtu >= LEAST_MTU_IPV6 && mtu <= 0xffff ? mtu : 0;
	}
	mtu = bpf_ntohs(*(__be16 *)(header + 6));
	return header[0] == ICMP_TYPE_UNREACHABLE && header[1] == ICMP_CODE_FRAGMENTATION_NEEDED && mtu >= LEAST_MTU_IPV4 ? mtu : 0;
}

/* Learns what the error tells, where the flow is one of this interface's and its hop is the one that the packet went to. */
__noinline int learn_path_mtu(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 at, outer_header, end;
	struct packet about = {};
	struct sfcflow_value *flow;
	struct sfcflow_key key;
	__u8 first[sizeof(struct ipv6_header)];
	__u16 geneve;
	__u32 mtu;
	bool a_to_b;

	if (!packet)
		return VERDICT_DROP;
	count(REASON_TUNNEL_ERROR, DIRECTION_TO_POD, packet->length);
	at = ETH_HLEN + packet->header_length;
	end = ETH_HLEN + packet->length;
	mtu = told_mtu(skb, at, packet->family);
	at += ICMP_HEADER_LENGTH;
	outer_header = packet->family == FAMILY_IPV6 ? sizeof(struct ipv6_header) : sizeof(struct iphdr); /* as we write it */
	at += outer_header + sizeof(struct udphdr);
	if (!mtu || at + sizeof(struct geneve_header) > end || bpf_skb_load_bytes(skb, at, &geneve, sizeof(geneve)))
		return VERDICT_DROP;
	at += sizeof(struct geneve_header) + (*(__u8 *)&geneve & 0x3f) * 4;
	if (at + sizeof(struct iphdr) > end || bpf_skb_load_bytes(skb, at, first, sizeof(struct iphdr)))
		return VERDICT_DROP;
	about.family = first[0] >> 4 == 6 ? FAMILY_IPV6 : FAMILY_IPV4;
	if (about.family == FAMILY_IPV6) {
		if (at + sizeof(struct ipv6_header) > end || bpf_skb_load_bytes(skb, at, first, sizeof(first)))
			return VERDICT_DROP;
		about.destination = ((struct ipv6_header *)first)->source;
	} else {
		about.destination.word[0] = ((struct iphdr *)first)->saddr;
	}
	/* It reads what stands behind an ICMP header. */
	if (parse_error(skb, at - ICMP_HEADER_LENGTH, end, &about) != PARSE_OK)
		return VERDICT_DROP;
	a_to_b = flow_key(&key, skb->ifindex, &about);
	flow = bpf_map_lookup_elem(&sfcflow, &key);
	if (!flow)
		return VERDICT_DROP;
	/* `about` runs against the packet that did not get through. */
	if (!is_forward(flow, a_to_b) && (flow->flags & FLOW_FLAG_NEXT_HOP) && same_address(flow->next_hop, &packet->source))
		flow->next_path_mtu = mtu;
	else if (is_forward(flow, a_to_b) && (flow->flags & FLOW_FLAG_PREVIOUS_HOP) && same_address(flow->previous_hop, &packet->source))
		flow->previous_path_mtu = mtu;
	return VERDICT_DROP;
}
