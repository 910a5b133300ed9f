/* Encapsulation: outer IP, UDP, Geneve, NSH in front of the inner packet; then on its way. */
#pragma once

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "checksum.h"
#include "flow.h"
#include "icmp.h"
#include "metrics.h"
#include "packet.h"
#include "scratch.h"
#include "verdict.h"
#include "wire.h"

#define OVERHEAD_IPV4 (sizeof(struct iphdr) + sizeof(struct udphdr) + sizeof(struct steering_header))
#define OVERHEAD_IPV6 (sizeof(struct ipv6_header) + sizeof(struct udphdr) + sizeof(struct steering_header))

_Static_assert(OVERHEAD_IPV4 == 48, "overhead over IPv4");
_Static_assert(OVERHEAD_IPV6 == 68, "overhead over IPv6");

#ifndef AF_INET
#define AF_INET 2
#endif
#ifndef AF_INET6
#define AF_INET6 10
#endif

/*
 * The way to a hop as the last route look-up gave it, kept in the flow: the look-up costs more than
 * everything else here together. Same layout as the fields of sfcflow_value from `*_ifindex` on. Two
 * CPUs may write it at once; what a reader can then mix up costs it one packet when a route changes.
 */
struct route {
	__u32 ifindex;
	__u32 checked;  /* tick() of the look-up */
	__u16 mtu;      /* of the route, bytes */
	__u16 path_mtu; /* as a router behind it told; 0: none did */
	__u8 destination[ETH_ALEN];
	__u8 source[ETH_ALEN];
};

#define ROUTE_AT(value, hop) ((struct route *)&(value)->hop##_ifindex)
#define ROUTE_FITS(hop)                                                                                              \
	_Static_assert(offsetof(struct sfcflow_value, hop##_source_mac) - offsetof(struct sfcflow_value, hop##_ifindex) ==  \
			       offsetof(struct route, source),                                                                  \
		       "struct route lies in sfcflow_value")
ROUTE_FITS(next);
ROUTE_FITS(previous);

/* A route is believed for 32 ms at 1000 Hz, 320 ms at 100 Hz: less than any routing protocol takes. */
#define ROUTE_TICKS 32

static __always_inline __u32 overhead_over(__u8 family)
{
	return family == FAMILY_IPV6 ? OVERHEAD_IPV6 : OVERHEAD_IPV4;
}

/* The frame's packet is of another family from now on. */
static __always_inline int set_ethertype(struct __sk_buff *skb, __u8 family)
{
	struct ethhdr *ethernet = frame_start(skb);

	if ((void *)(ethernet + 1) > frame_end(skb))
		return -1;
	ethernet->h_proto = family == FAMILY_IPV6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	return 0;
}

/* Bytes more than are missing, taken away again only to name the family: the least that an IP header's tail is. */
#define SPARE 4

/*
 * Makes room between the Ethernet and the inner IP header. The ENCAP flags keep GSO packets whole
 * and tell the stack where the inner headers are; without FIXED_GSO the segments shrink by the
 * overhead, so that each still fits. UDP GSO cannot shrink its segments and asks for FIXED_GSO.
 * A packet that was decapsulated on this machine still carries skb->encapsulation, and the kernel
 * answers -EALREADY: its tunnel marks are then still in place, and plain room is what is missing. That
 * does not tell the kernel the family, where it is another; taking room away can (Linux 6.3).
 */
/*
 * `unmarked`: UDP GSO on its way to a pod of this node. The kernel would take the datagrams in it for a tunnel when it cuts it up there:
 * to_pod can take the outer headers away, but not the marks.
 */
static __always_inline int make_room(struct __sk_buff *skb, const struct packet *packet, __u8 family, bool unmarked)
{
	__u64 gso = packet->protocol == IPPROTO_UDP ? BPF_F_ADJ_ROOM_FIXED_GSO : 0;
	__u64 over = family == FAMILY_IPV6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	__u32 length = overhead_over(family);
	int error = unmarked ? -114 : bpf_skb_adjust_room(skb, length, BPF_ADJ_ROOM_MAC, gso | over | BPF_F_ADJ_ROOM_ENCAP_L4_UDP);

	if (error == -114) { /* EALREADY */
		if (family == packet->family)
			return bpf_skb_adjust_room(skb, length, BPF_ADJ_ROOM_MAC, gso);
		error = bpf_skb_adjust_room(skb, length + SPARE, BPF_ADJ_ROOM_MAC, gso);
		if (!error)
			error = bpf_skb_adjust_room(skb, -SPARE, BPF_ADJ_ROOM_MAC, gso | decapsulation_to(family));
	}
	if (!error && family != packet->family)
		error = set_ethertype(skb, family);
	return error;
}

static __always_inline void write_steering(struct udphdr *udp, const struct packet *packet, const struct tunnel *tunnel, __u32 hash)
{
	struct steering_header *steering = (void *)(udp + 1);

	*udp = (struct udphdr){
		.source = bpf_htons(SOURCE_PORT_BASE | (hash & 0x7ffe) | (tunnel->reply ? SOURCE_PORT_REPLY : 0)),
		.dest = bpf_htons(steering_port),
		.len = bpf_htons(packet->length + sizeof(*udp) + sizeof(*steering)),
		.check = 0, /* RFC 8926 3.3: may be zero over IPv4 */
	};
	*steering = (struct steering_header){
		.geneve = {
			.version_opt_len = GENEVE_OPT_WORDS,
			.control_critical = GENEVE_CRITICAL,
			.protocol = packet->family == FAMILY_IPV6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP),
		},
		.option = {
			.class = bpf_htons(NSH_OPTION_CLASS),
			.type = NSH_OPTION_TYPE,
			.length = NSH_WORDS,
		},
		.nsh = {
			.version_ttl_length = bpf_htons((tunnel->ttl << 6) | NSH_WORDS),
			.md_type = NSH_MD_TYPE_2,
			.next_protocol = packet->family == FAMILY_IPV6 ? NSH_NEXT_IPV6 : NSH_NEXT_IPV4,
			.path = tunnel->path,
		},
	};
}

static __always_inline int write_ipv4(struct __sk_buff *skb, const struct packet *packet, const struct tunnel *tunnel)
{
	struct iphdr *ip = frame_start(skb) + ETH_HLEN;

	if ((void *)ip + OVERHEAD_IPV4 > frame_end(skb))
		return -1;
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = packet->tos, /* ECN too: RFC 6040 4.1 normal mode */
		.tot_len = bpf_htons(packet->length + OVERHEAD_IPV4),
		.id = packet->family == FAMILY_IPV4 ? packet->id : 0, /* with DF it says nothing (RFC 6864 4.1) */
		.frag_off = bpf_htons(IP_DONT_FRAGMENT),
		.ttl = OUTER_TTL,
		.protocol = IPPROTO_UDP,
		.saddr = tunnel->source.word[0],
		.daddr = tunnel->destination.word[0],
	};
	ip->check = ipv4_checksum(ip);
	write_steering((void *)(ip + 1), packet, tunnel, flow_hash(packet));
	return 0;
}

/* The UDP checksum is there where it follows from headers; of other packets it is zero (RFC 6935, 6936). */
__noinline int write_ipv6(struct __sk_buff *skb, const struct packet *packet, const struct tunnel *tunnel)
{
	struct ipv6_header *ip;
	struct udphdr *udp;
	__u32 hash, inner;

	if (!packet || !tunnel)
		return -1;
	hash = flow_hash(packet);
	inner = sum_of_inner(skb, ETH_HLEN + OVERHEAD_IPV6, packet);
	ip = frame_start(skb) + ETH_HLEN;
	if ((void *)ip + OVERHEAD_IPV6 > frame_end(skb))
		return -1;
	*ip = (struct ipv6_header){
		.version_class_label = bpf_htonl(6U << 28 | (__u32)packet->tos << 20),
		.payload_length = bpf_htons(packet->length + OVERHEAD_IPV6 - sizeof(*ip)),
		.next_header = IPPROTO_UDP,
		.hop_limit = OUTER_TTL,
		.source = tunnel->source,
		.destination = tunnel->destination,
	};
	udp = (void *)(ip + 1);
	write_steering(udp, packet, tunnel, hash);
	if (inner != NOT_KNOWN) {
		/* Pseudo-header: addresses, length, protocol (RFC 8200 8.1); the length stands in the UDP header again. */
		__u32 sum = sum_pairs(inner + udp->len + bpf_htons(IPPROTO_UDP), &ip->source, 8);

		sum = fold_sum(sum_pairs(sum, udp, (sizeof(*udp) + sizeof(struct steering_header)) / 4));
		udp->check = sum == 0xffff ? 0xffff : ~sum; /* zero means that there is none */
	}
	return 0;
}

/* Where a packet goes from here. */
enum way {
	WAY_STACK,     /* as the stack decides: a local address, a policy, forwarding off */
	WAY_ROUTE,     /* as the flow's route says */
	WAY_LINK,      /* as `fib` says */
	WAY_NEIGHBOUR, /* the same, the neighbour's Ethernet address still to be asked for */
	WAY_TOO_BIG,   /* it does not fit: the MTU is in `fib` */
};

/*
 * Asks the routing table about the way to a hop of an IP packet of `length` bytes (of GSO packets: that of one
 * segment), or the flow's entry where one is fresh.
 */
static __always_inline enum way find_way(struct __sk_buff *skb, const struct tunnel *tunnel, __u8 tos, __u32 length, struct route *route,
                                         struct bpf_fib_lookup *fib)
{
	long result;

	if (route && route->path_mtu && length > route->path_mtu) {
		fib->mtu_result = route->path_mtu;
		return WAY_TOO_BIG;
	}
	if (route && route->ifindex && tick() - route->checked < ROUTE_TICKS && length <= route->mtu)
		return WAY_ROUTE;
	*fib = (struct bpf_fib_lookup){.family = tunnel->family == FAMILY_IPV6 ? AF_INET6 : AF_INET};
	fib->l4_protocol = IPPROTO_UDP;
	fib->tot_len = length;
	fib->ifindex = skb->ifindex;
	if (tunnel->family == FAMILY_IPV6) {
		*(struct address *)fib->ipv6_src = tunnel->source;
		*(struct address *)fib->ipv6_dst = tunnel->destination;
	} else {
		fib->tos = tos & 0x1c;
		fib->ipv4_src = tunnel->source.word[0];
		fib->ipv4_dst = tunnel->destination.word[0];
	}
	result = bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
	if (result == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return WAY_TOO_BIG;
	if (result == BPF_FIB_LKUP_RET_NO_NEIGH)
		return WAY_NEIGHBOUR;
	if (result != BPF_FIB_LKUP_RET_SUCCESS)
		return WAY_STACK;
	if (route) {
		__builtin_memcpy(route->destination, fib->dmac, ETH_ALEN);
		__builtin_memcpy(route->source, fib->smac, ETH_ALEN);
		route->mtu = fib->mtu_result;
		route->ifindex = fib->ifindex;
		route->checked = tick();
	}
	return WAY_LINK;
}

/* Sends the frame where `find_way` said. */
static __always_inline int go(struct __sk_buff *skb, enum way way, const struct route *route, const struct bpf_fib_lookup *fib)
{
	struct ethhdr *ethernet = frame_start(skb);

	if (way == WAY_STACK || (void *)(ethernet + 1) > frame_end(skb))
		return VERDICT_PASS;
	if (way == WAY_ROUTE && route) {
		__builtin_memcpy(ethernet->h_dest, route->destination, ETH_ALEN);
		__builtin_memcpy(ethernet->h_source, route->source, ETH_ALEN);
		return bpf_redirect(route->ifindex, 0);
	}
	if (way == WAY_NEIGHBOUR) {
		struct bpf_redir_neigh next = {.nh_family = fib->family};

		__builtin_memcpy(next.ipv6_nh, fib->ipv6_dst, sizeof(next.ipv6_nh)); /* of IPv4 the first word */
		return bpf_redirect_neigh(fib->ifindex, &next, sizeof(next), 0);
	}
	__builtin_memcpy(ethernet->h_dest, fib->dmac, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, fib->smac, ETH_ALEN);
	return bpf_redirect(fib->ifindex, 0);
}

/*
 * `go` at a pod's way in. To let the stack decide would there mean to give the packet to the pod:
 * instead it enters the stack as if the pod had sent it, marked, addressed to whoever sent it here.
 */
static __always_inline int go_onward(struct __sk_buff *skb, enum way way, const struct route *route, const struct bpf_fib_lookup *fib)
{
	struct ethhdr *ethernet;

	if (way != WAY_STACK)
		return go(skb, way, route, fib);
	ethernet = frame_start(skb);
	if ((void *)(ethernet + 1) > frame_end(skb))
		return VERDICT_DROP;
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
	skb->mark = ONWARD_MARK;
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

/* Length of one segment of a GSO packet, once it is wrapped. */
static __always_inline __u32 wrapped_segment(const struct __sk_buff *skb, const struct packet *packet, __u32 overhead)
{
	if (packet->protocol == IPPROTO_TCP) /* make_room takes the overhead off each segment */
		return skb->gso_size + packet->header_length + packet->tcp_header;
	return skb->gso_size + packet->header_length + sizeof(struct udphdr) + overhead;
}

/* Is it UDP GSO that goes to the interface of a pod of this node? */
static __always_inline bool stays_whole(const struct __sk_buff *skb, const struct packet *packet, enum way way, const struct route *route,
                                        const struct bpf_fib_lookup *fib)
{
	struct endpoint_key key = {};

	if (!skb->gso_size || packet->protocol != IPPROTO_UDP || way == WAY_STACK)
		return false;
	key.ifindex = way == WAY_ROUTE && route ? route->ifindex : fib->ifindex;
	return bpf_map_lookup_elem(&endpoint, &key);
}

/* Wraps the packet and sends it on, by `route` where one is kept. Counts `reason`, or why it could not. */
static __always_inline int steer(struct __sk_buff *skb, const struct packet *packet, struct scratch *own, struct route *route,
                                 enum reason reason, enum direction direction)
{
	const struct tunnel *tunnel = &own->tunnel;
	__u32 overhead = overhead_over(tunnel->family), length = packet->length + overhead;
	enum way way;

	if (length > 0xffff) {
		count(REASON_TOO_BIG, direction, packet->length);
		return VERDICT_DROP;
	}
	if ((!route || length > route->mtu) && skb->gso_size) /* most packets need not be asked */
		length = wrapped_segment(skb, packet, overhead);
	way = find_way(skb, tunnel, packet->tos, length, route, &own->fib);
	if (way == WAY_TOO_BIG) {
		count(REASON_TOO_BIG, direction, packet->length);
		own->says = too_big(packet->family, own->fib.mtu_result - overhead);
		return TELL_ICMP;
	}
	if (make_room(skb, packet, tunnel->family, stays_whole(skb, packet, way, route, &own->fib)) ||
	    (tunnel->family == FAMILY_IPV6 ? write_ipv6(skb, packet, tunnel) : write_ipv4(skb, packet, tunnel))) {
		count(REASON_ENCAP_FAILED, direction, packet->length);
		return VERDICT_DROP;
	}
	skb->mark = WRAPPED_MARK;
	count(reason, direction, packet->length);
	return direction == DIRECTION_FROM_POD ? go(skb, way, route, &own->fib) : go_onward(skb, way, route, &own->fib);
}
