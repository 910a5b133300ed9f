/*
 * ICMP errors that the datapath makes itself (RFC 792, RFC 4443): what does not fit, what is prohibited. They go back
 * where the packet came from, with its addresses exchanged, as if its destination had made them: so they
 * reach also who sends through a pod, and whoever lets the packet's answers through lets them through.
 *
 *     | IP | ICMP, 8 | the packet's IP header | the first bytes behind it |
 */
#pragma once

#include "checksum.h"
#include "maps.h"
#include "packet.h"
#include "scratch.h"
#include "verdict.h"

#define ICMP_TTL 64
#define ICMP_TOS 0xc0 /* internetwork control (RFC 1812 4.3.2.5) */
#define ICMP_CODE_FRAGMENTATION_NEEDED 4
#define ICMP_CODE_PROHIBITED 13
#define ICMPV6_CODE_PROHIBITED 1
#define IPV6_LEAST_MTU 1280
#define TCP_CHECKSUM_OFFSET 16
#define ICMP_CHECKSUM_OFFSET 2

/*
 * Of a packet that has more than this behind its IP header, the kernel's note of an unfinished checksum is gone once the
 * packet is taken down to its last 20 (40) bytes: the checksum then began before them. Less is repeated as a whole.
 */
#define WHOLE_IPV4 34
#define WHOLE_IPV6 54
#define REPEATED_IPV4 32
#define REPEATED_IPV6 52
/* bpf_skb_adjust_room moves less than a page. */
#define ROOM_MAX 0xff0

/* What an error says, in one number for the verifier: type, code, and the MTU where it names one. */
#define ICMP_SAYS(type, code, mtu) ((__u32)(type) << 24 | (__u32)(code) << 16 | (mtu))

/*
 * Takes the frame down to the first `kept` bytes of its packet, of which nothing may be left but their number: of a
 * packet that came out of a tunnel on this machine the kernel cuts no tail, so it loses its front. 0, or an error.
 */
static __always_inline int cut(struct __sk_buff *skb, __u32 kept)
{
	if (!bpf_skb_change_tail(skb, ETH_HLEN + kept, 0))
		return 0;
	if (skb->gso_size) /* it would stay one, of a packet that is none */
		return -1;
	for (int i = 0; i < 4; i++) { /* 16 KiB: more than any link carries */
		__u32 more = skb->len - ETH_HLEN - sizeof(struct ipv6_header);

		if (skb->len <= ETH_HLEN + sizeof(struct ipv6_header))
			break;
		if (bpf_skb_adjust_room(skb, -(__s32)(more > ROOM_MAX ? ROOM_MAX : more), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
			return -1;
	}
	if (kept <= sizeof(struct ipv6_header))
		return -1;
	return bpf_skb_adjust_room(skb, kept - sizeof(struct ipv6_header), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

/* Sum over the first `length` bytes of a message; those behind it are zero. */
static __always_inline __u32 message_sum(const __u8 *bytes, __u32 length, __u32 sum)
{
	length = (length + 3) & 0xfc;
	return fold_sum(fold_sum(bpf_csum_diff(NULL, 0, (__be32 *)bytes, length, fold_sum(sum))));
}

/*
 * The checksum of an ICMP message, of ICMPv6 with the sum of its pseudo-header. A checksum that the packet was to get only
 * on its way out, at `unfinished` of the message, will be the complement of the sum of what it covers: of everything from
 * `covered` on. `*difference` is what bpf_l4_csum_replace has to add where it is finished already, as in reset.h.
 */
static __always_inline __u16 message_checksum(const __u8 *bytes, __u32 length, __u32 pseudo, __u32 covered, __u32 unfinished,
                                              __u32 *difference)
{
	__u32 whole = message_sum(bytes, length, pseudo), left;

	if (!unfinished)
		return ~whole;
	left = fold_sum(less(message_sum(bytes, covered, pseudo), *(const __u16 *)(bytes + (unfinished & 0xff))));
	*difference = fold_sum(less(whole, left));
	return ~left;
}

/*
 * Makes of the frame's packet the error that answers it. 0, or -1: nothing is to be answered, or the kernel refuses. Nothing is answered that is an error itself, a later
 * fragment, or from nobody in particular (RFC 1122 3.2.2, RFC 4443 2.4).
 */
static __always_inline int answer_icmp(struct __sk_buff *skb, const struct packet *packet, struct scratch *own, __u32 says)
{
	__u32 header, whole, repeated, kept, rest, length, pseudo = 0, difference = 0, unfinished = 0;
	__u8 *to = own->message, *icmp;
	bool v6;

	if (packet->is_error || packet->fragment == FRAGMENT_LATER || stays_on_link(&packet->source, packet->family) ||
	    is_nobody(&packet->source))
		return -1;
	v6 = packet->family == FAMILY_IPV6;
	header = v6 ? sizeof(struct ipv6_header) : sizeof(struct iphdr);
	whole = v6 ? WHOLE_IPV6 : WHOLE_IPV4;
	repeated = v6 ? REPEATED_IPV6 : REPEATED_IPV4;
	rest = packet->length - packet->header_length;
	kept = packet->header_length + (rest > whole ? repeated : rest);
	if (packet->header_length > 100 || kept > 160 || kept < sizeof(struct iphdr))
		return -1;
	__builtin_memset(to, 0, MESSAGE_MAX);
	icmp = to + (v6 ? sizeof(struct ipv6_header) : sizeof(struct iphdr));
	if (v6 ? bpf_skb_load_bytes(skb, ETH_HLEN, to + sizeof(struct ipv6_header) + ICMP_HEADER_LENGTH, kept)
	       : bpf_skb_load_bytes(skb, ETH_HLEN, to + sizeof(struct iphdr) + ICMP_HEADER_LENGTH, kept))
		return -1;
	length = ICMP_HEADER_LENGTH + kept;
	icmp[0] = says >> 24;
	icmp[1] = says >> 16;
	if (v6)
		*(__be32 *)(icmp + 4) = bpf_htonl(says & 0xffff);
	else
		*(__be16 *)(icmp + 6) = bpf_htons(says);
	if (v6) {
		struct ipv6_header *ip = (void *)to;

		*ip = (struct ipv6_header){
			.version_class_label = bpf_htonl(6U << 28 | ICMP_TOS << 20),
			.payload_length = bpf_htons(length),
			.next_header = IPPROTO_ICMPV6,
			.hop_limit = ICMP_TTL,
			.source = packet->destination,
			.destination = packet->source,
		};
		pseudo = sum_words(ip->payload_length + bpf_htons(IPPROTO_ICMPV6), &ip->source, 16);
	} else {
		struct iphdr *ip = (void *)to;

		*ip = (struct iphdr){
			.version = 4,
			.ihl = 5,
			.tos = ICMP_TOS,
			.tot_len = bpf_htons(header + length),
			.frag_off = bpf_htons(IP_DONT_FRAGMENT),
			.ttl = ICMP_TTL,
			.protocol = IPPROTO_ICMP,
			.saddr = packet->destination.word[0],
			.daddr = packet->source.word[0],
		};
		ip->check = ipv4_checksum(ip);
	}
	if (packet->fragment == FRAGMENT_NONE && is_tcp_or_udp(packet->protocol))
		unfinished = ICMP_HEADER_LENGTH + packet->header_length +
		             (packet->protocol == IPPROTO_TCP ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET);
	*(__be16 *)(icmp + ICMP_CHECKSUM_OFFSET) =
		message_checksum(icmp, length, pseudo, ICMP_HEADER_LENGTH + packet->header_length, unfinished, &difference);
	if ((rest > whole && cut(skb, kept)) ||
	    (rest <= whole && skb->len > ETH_HLEN + packet->length && bpf_skb_change_tail(skb, ETH_HLEN + packet->length, 0)) ||
	    bpf_skb_adjust_room(skb, header + ICMP_HEADER_LENGTH, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN, to, header + length, BPF_F_RECOMPUTE_CSUM) ||
	    bpf_l4_csum_replace(skb, ETH_HLEN + header + ICMP_CHECKSUM_OFFSET, 0, difference, 0))
		return -1;
	turn_ethernet(skb);
	return 0;
}

/* The sender's packets must become smaller: `mtu` bytes at most. Of IPv6 no less than every link carries (RFC 8200 5). */
static __always_inline __u32 too_big(__u8 family, __u16 mtu)
{
	return family == FAMILY_IPV6 ? ICMP_SAYS(ICMPV6_TYPE_TOO_BIG, 0, mtu < IPV6_LEAST_MTU ? IPV6_LEAST_MTU : mtu)
	                             : ICMP_SAYS(ICMP_TYPE_UNREACHABLE, ICMP_CODE_FRAGMENTATION_NEEDED, mtu);
}

/* The chain's policy refuses the packet. */
static __always_inline __u32 prohibited(__u8 family)
{
	return family == FAMILY_IPV6 ? ICMP_SAYS(ICMPV6_TYPE_UNREACHABLE, ICMPV6_CODE_PROHIBITED, 0)
	                             : ICMP_SAYS(ICMP_TYPE_UNREACHABLE, ICMP_CODE_PROHIBITED, 0);
}
