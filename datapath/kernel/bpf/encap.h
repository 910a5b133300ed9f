/* Encapsulation: outer IPv4, UDP, Geneve, NSH in front of the inner packet; then on its way. */
#pragma once

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#include "flow.h"
#include "metrics.h"
#include "packet.h"
#include "wire.h"

#define OVERHEAD_IPV4 (sizeof(struct iphdr) + sizeof(struct udphdr) + sizeof(struct steering_header))

_Static_assert(sizeof(struct iphdr) + sizeof(struct udphdr) + sizeof(struct steering_header) == 48, "overhead over IPv4");

/* Not TC_ACT_OK: the programs of others on the same hook must see what we let through. */
#define VERDICT_PASS TC_ACT_UNSPEC
#define VERDICT_DROP TC_ACT_SHOT

#ifndef AF_INET
#define AF_INET 2
#endif
#define IP_DONT_FRAGMENT 0x4000

/*
 * The way to a hop as the last route look-up gave it, kept in the flow: the look-up costs more than
 * everything else here together. Same layout as the fields of sfcflow_value from `*_ifindex` on. Two
 * CPUs may write it at once; what a reader can then mix up costs it one packet when a route changes.
 */
struct route {
	__u32 ifindex;
	__u32 checked; /* tick() of the look-up */
	__u32 mtu;     /* of the interface, bytes */
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

/* What goes into the outer headers. */
struct tunnel {
	__be32 source;
	__be32 destination;
	__be32 path;
	__u8 ttl;
	bool reply;
};

/* RFC 1071 over the ten 16-bit words of a header whose checksum field is zero. */
static __always_inline __be16 ipv4_checksum(const struct iphdr *ip)
{
	const __u16 *words = (const __u16 *)ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/*
 * Makes room between the Ethernet and the inner IP header. The ENCAP flags keep GSO packets whole
 * and tell the stack where the inner headers are; without FIXED_GSO the segments shrink by the
 * overhead, so that each still fits. UDP GSO cannot shrink its segments and asks for FIXED_GSO.
 * A packet that was decapsulated on this machine still carries skb->encapsulation, and the kernel
 * answers -EALREADY: its tunnel marks are then still in place, and plain room is what is missing.
 */
static __always_inline int make_room(struct __sk_buff *skb, __u8 inner_protocol)
{
	__u64 gso = inner_protocol == IPPROTO_UDP ? BPF_F_ADJ_ROOM_FIXED_GSO : 0;
	int error = bpf_skb_adjust_room(skb, OVERHEAD_IPV4, BPF_ADJ_ROOM_MAC,
	                                gso | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP);

	if (error == -114) /* EALREADY */
		error = bpf_skb_adjust_room(skb, OVERHEAD_IPV4, BPF_ADJ_ROOM_MAC, gso);
	return error;
}

static __always_inline int write_headers(struct __sk_buff *skb, const struct packet *packet, const struct tunnel *tunnel)
{
	void *data = frame_start(skb);
	void *end = frame_end(skb);
	struct iphdr *ip = data + ETH_HLEN;
	struct udphdr *udp = (void *)(ip + 1);
	struct steering_header *steering = (void *)(udp + 1);
	__u32 hash;

	if ((void *)(steering + 1) > end)
		return -1;

	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = packet->tos, /* ECN too: RFC 6040 4.1 normal mode */
		.tot_len = bpf_htons(packet->length + OVERHEAD_IPV4),
		.id = packet->id,
		.frag_off = bpf_htons(IP_DONT_FRAGMENT),
		.ttl = OUTER_TTL,
		.protocol = IPPROTO_UDP,
		.saddr = tunnel->source,
		.daddr = tunnel->destination,
	};
	ip->check = ipv4_checksum(ip);

	hash = flow_hash(packet);
	*udp = (struct udphdr){
		.source = bpf_htons(SOURCE_PORT_BASE | (hash & 0x7ffe) | (tunnel->reply ? SOURCE_PORT_REPLY : 0)),
		.dest = bpf_htons(steering_port),
		.len = bpf_htons(packet->length + OVERHEAD_IPV4 - sizeof(struct iphdr)),
		.check = 0, /* RFC 8926 3.3: may be zero over IPv4 */
	};

	*steering = (struct steering_header){
		.geneve = {
			.version_opt_len = GENEVE_OPT_WORDS,
			.control_critical = GENEVE_CRITICAL,
			.protocol = bpf_htons(ETH_P_IP),
		},
		.option = {
			.class = bpf_htons(NSH_OPTION_CLASS),
			.type = NSH_OPTION_TYPE,
			.length = NSH_WORDS,
		},
		.nsh = {
			.version_ttl_length = bpf_htons((tunnel->ttl << 6) | NSH_WORDS),
			.md_type = NSH_MD_TYPE_2,
			.next_protocol = NSH_NEXT_IPV4,
			.path = tunnel->path,
		},
	};
	return 0;
}

/*
 * Sends the frame to where the routing table says, past the rest of the stack where that resolves.
 * Where it does not (a local address, a policy, forwarding off), the stack decides.
 */
static __always_inline int forward(struct __sk_buff *skb, const struct tunnel *tunnel, __u8 tos, struct route *route)
{
	if (route && route->ifindex && tick() - route->checked < ROUTE_TICKS && skb->len <= route->mtu + ETH_HLEN) {
		struct ethhdr *ethernet = frame_start(skb);

		if ((void *)(ethernet + 1) > frame_end(skb))
			return VERDICT_PASS;
		__builtin_memcpy(ethernet->h_dest, route->destination, ETH_ALEN);
		__builtin_memcpy(ethernet->h_source, route->source, ETH_ALEN);
		return bpf_redirect(route->ifindex, 0);
	}

	struct bpf_fib_lookup fib = {
		.family = AF_INET,
		.l4_protocol = IPPROTO_UDP,
		.tot_len = 0, /* so that the kernel checks the skb against the MTU, GSO included */
		.tos = tos & 0x1c,
		.ifindex = skb->ifindex,
		.ipv4_src = tunnel->source,
		.ipv4_dst = tunnel->destination,
	};
	long result = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);

	if (result == BPF_FIB_LKUP_RET_SUCCESS) {
		struct ethhdr *ethernet = frame_start(skb);

		if ((void *)(ethernet + 1) > frame_end(skb))
			return VERDICT_PASS;
		__builtin_memcpy(ethernet->h_dest, fib.dmac, ETH_ALEN);
		__builtin_memcpy(ethernet->h_source, fib.smac, ETH_ALEN);
		if (route) {
			__builtin_memcpy(route->destination, fib.dmac, ETH_ALEN);
			__builtin_memcpy(route->source, fib.smac, ETH_ALEN);
			route->mtu = fib.mtu_result; /* the device's: what the kernel checked the skb against */
			route->ifindex = fib.ifindex;
			route->checked = tick();
		}
		return bpf_redirect(fib.ifindex, 0);
	}
	if (result == BPF_FIB_LKUP_RET_NO_NEIGH) {
		struct bpf_redir_neigh next = {.nh_family = AF_INET, .ipv4_nh = fib.ipv4_dst};

		return bpf_redirect_neigh(fib.ifindex, &next, sizeof(next), 0);
	}
	if (result == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return VERDICT_DROP;
	return VERDICT_PASS;
}

/* Of a packet that enters the stack again through a pod's interface, past from_pod; and of one that goes to the pod, past to_pod. */
#define ONWARD_MARK 0x73666364

/*
 * `forward` at a pod's way in. To let the stack decide would there mean to give the packet to the pod:
 * instead it enters the stack as if the pod had sent it, marked, addressed to whoever sent it here.
 */
static __noinline int forward_onward(struct __sk_buff *skb, const struct tunnel *tunnel, __u8 tos, struct route *route)
{
	struct ethhdr *ethernet;
	int verdict;

	if (!tunnel)
		return VERDICT_DROP;
	verdict = forward(skb, tunnel, tos, route);
	ethernet = frame_start(skb);
	if (verdict != VERDICT_PASS)
		return verdict;
	if ((void *)(ethernet + 1) > frame_end(skb))
		return VERDICT_DROP;
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
	skb->mark = ONWARD_MARK;
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

/*
 * A packet that `forward_onward` has put in front of the stack, or that answers a pod (reset.h): its mark
 * is gone, nothing of ours happens to it again. No pod can set one: a packet that leaves a network namespace loses its mark.
 */
static __always_inline bool is_onward(struct __sk_buff *skb)
{
	if (skb->mark != ONWARD_MARK)
		return false;
	skb->mark = 0;
	bpf_skb_change_type(skb, PACKET_HOST);
	return true;
}

/* Wraps the packet and sends it on, by `route` where one is kept. Counts `reason`, or why it could not. */
static __always_inline int steer(struct __sk_buff *skb, const struct packet *packet, const struct tunnel *tunnel, struct route *route,
                                 enum reason reason, enum direction direction)
{
	int verdict;

	if (packet->length > 0xffff - OVERHEAD_IPV4) {
		count(REASON_TOO_BIG, direction, packet->length);
		return VERDICT_DROP;
	}
	if (make_room(skb, packet->protocol) || write_headers(skb, packet, tunnel)) {
		count(REASON_ENCAP_FAILED, direction, packet->length);
		return VERDICT_DROP;
	}
	verdict = direction == DIRECTION_FROM_POD ? forward(skb, tunnel, packet->tos, route)
	                                          : forward_onward(skb, tunnel, packet->tos, route);
	count(verdict == VERDICT_DROP ? REASON_TOO_BIG : reason, direction, packet->length);
	return verdict;
}
