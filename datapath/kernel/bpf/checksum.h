/* Internet checksums (RFC 1071), and the outer UDP checksum from headers alone. */
#pragma once

#include "packet.h"
#include "wire.h"

static __always_inline __u32 sum_words(__u32 sum, const void *start, int words)
{
	const __u16 *word = start;

#pragma unroll
	for (int i = 0; i < words; i++)
		sum += word[i];
	return sum;
}

/* The same of an even number of words, two at a time: 2^16 is 1 in this arithmetic (RFC 1071 2). In 32 bits again. */
static __always_inline __u32 sum_pairs(__u32 sum, const void *start, int pairs)
{
	const __u32 *pair = start;
	__u64 whole = sum;

#pragma unroll
	for (int i = 0; i < pairs; i++)
		whole += pair[i];
	whole = (whole & 0xffffffff) + (whole >> 32);
	return (whole & 0xffff) + ((whole >> 16) & 0xffff) + (whole >> 32);
}

static __always_inline __u32 fold_sum(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* The difference of two sums, each folded. */
static __always_inline __u32 less(__u32 sum, __u32 other)
{
	return sum + (__u16)~other;
}

/* Over the ten words of a header whose checksum field is zero. */
static __always_inline __be16 ipv4_checksum(const struct iphdr *ip)
{
	return ~fold_sum(sum_words(0, ip, 10));
}

#define NOT_KNOWN (~0U)
#define UDP_CHECKSUM_OFFSET 6

/*
 * The sum over an inner packet that stands at `offset` of the frame, from its headers: what a checksum of its own
 * covers sums up to nothing but the complement of its pseudo-header, whether that checksum is finished or is left to a
 * network card. (Linux calls this local checksum offload.) NOT_KNOWN: of fragments, of protocols that have no such
 * checksum, of GSO packets, whose segments differ.
 */
static __always_inline __u32 sum_of_inner(struct __sk_buff *skb, __u32 offset, const struct packet *packet)
{
	__u8 protocol = packet->is_error ? (packet->family == FAMILY_IPV6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) : packet->protocol;
	__u32 length = packet->length - packet->header_length;
	__be16 checksum;
	__u32 *start; /* of an IPv6 header, up to its addresses, which are in the pseudo-header too */

	if (packet->fragment != FRAGMENT_NONE || skb->gso_size || (!is_tcp_or_udp(protocol) && !is_icmp(packet->family, protocol)))
		return NOT_KNOWN;
	if (protocol == IPPROTO_UDP &&
	    (bpf_skb_load_bytes(skb, offset + packet->header_length + UDP_CHECKSUM_OFFSET, &checksum, sizeof(checksum)) || !checksum))
		return NOT_KNOWN;
	if (packet->family == FAMILY_IPV4) {
		if (protocol == IPPROTO_ICMP) /* no pseudo-header */
			return 0;
		return (__u16)~fold_sum(sum_words(bpf_htons(protocol) + bpf_htons(length), &packet->source, 2) +
		                        sum_words(0, &packet->destination, 2));
	}
	start = frame_start(skb) + offset;
	if (packet->header_length != sizeof(struct ipv6_header) || (void *)(start + 2) > frame_end(skb))
		return NOT_KNOWN;
	return fold_sum(less(sum_pairs(0, start, 2), fold_sum(bpf_htons(length) + bpf_htons(protocol))));
}
