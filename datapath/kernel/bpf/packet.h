/* Reading an IP packet: what classification and the flow look-up need of it, and no more. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "layouts.h"

/* An address as the maps hold it: 16 bytes, IPv4 in the first four. */
struct address {
	__u32 word[4];
};

struct packet {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__be16 id;       /* IPv4 identification */
	__u16 length;    /* IP total length, bytes, host order */
	__u8 family;
	__u8 protocol;
	__u8 tos;
	__u8 tcp_flags;  /* byte 13 of the TCP header */
	__u8 fragment;   /* FRAGMENT_* */
	__u8 header_length; /* of the IP header, bytes */
	__be32 came_by;  /* to_pod: path of the tunnel that it has come out of, 0 for none; not read from the packet */
};

enum { FRAGMENT_NONE, FRAGMENT_FIRST, FRAGMENT_LATER };

/*
 * PARSE_UNTRACKED: ICMP that belongs to no flow of its own (errors); addresses and protocol are filled in.
 * PARSE_SHORT: a header of another protocol than TCP and UDP is cut off.
 */
enum parse_result { PARSE_OK, PARSE_UNTRACKED, PARSE_MALFORMED, PARSE_SHORT };

#define IP_MORE_FRAGMENTS 0x2000
#define IP_OFFSET_MASK 0x1fff
#define PORTS_LENGTH 4
#define TCP_FLAGS_OFFSET 13
#define SCTP_HEADER_LENGTH 12
#define ICMP_HEADER_LENGTH 8
#define ICMP_ID_OFFSET 4
#define ICMP_TYPE_ECHO_REPLY 0
#define ICMP_TYPE_ECHO 8

/*
 * Bounds of the readable part of the frame. In assembly, so that the compiler neither keeps half of
 * a pointer in a 32-bit register nor reuses one across a helper that moves the data: the verifier
 * accepts neither.
 */
static __always_inline void *frame_start(const struct __sk_buff *skb)
{
	void *start;

	asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(start) : "r"(skb), "i"(offsetof(struct __sk_buff, data)));
	return start;
}

static __always_inline void *frame_end(const struct __sk_buff *skb)
{
	void *end;

	asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(end) : "r"(skb), "i"(offsetof(struct __sk_buff, data_end)));
	return end;
}

/*
 * Makes the first `length` bytes of the frame readable at skb->data. Headers may lie in pages
 * (a function's forwarding, a driver that splits); then the kernel copies them up.
 */
static __always_inline int ensure(struct __sk_buff *skb, __u32 length)
{
	if (frame_start(skb) + length <= frame_end(skb))
		return 0;
	if (length > skb->len)
		return -1;
	return bpf_skb_pull_data(skb, length);
}

static __always_inline bool is_tcp_or_udp(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

/*
 * The ports of what is neither TCP nor UDP, from its header at `offset` of the frame, with `length`
 * bytes of the packet left. SCTP has them where UDP has; of an ICMP echo the identifier stands for
 * both, so that the reply finds the flow of its request; others have none.
 *
 * Result, source and destination port in one number: a pointer would keep the callers' packets out of
 * registers.
 */
static __noinline __u64 parse_other(struct __sk_buff *skb, __u32 offset, __u32 length, __u8 protocol)
{
	enum parse_result result = PARSE_OK;
	__be16 source = 0, destination = 0;
	__u8 *transport;

	if (protocol != IPPROTO_SCTP && protocol != IPPROTO_ICMP)
		goto out;
	result = PARSE_SHORT;
	if (length < (protocol == IPPROTO_SCTP ? SCTP_HEADER_LENGTH : ICMP_HEADER_LENGTH) ||
	    ensure(skb, offset + ICMP_HEADER_LENGTH))
		goto out;
	transport = frame_start(skb) + offset;
	if ((void *)transport + ICMP_HEADER_LENGTH > frame_end(skb))
		goto out;
	result = PARSE_OK;
	if (protocol == IPPROTO_SCTP) {
		source = *(__be16 *)transport;
		destination = *(__be16 *)(transport + 2);
	} else if (transport[0] == ICMP_TYPE_ECHO || transport[0] == ICMP_TYPE_ECHO_REPLY) {
		source = destination = *(__be16 *)(transport + ICMP_ID_OFFSET);
	} else {
		result = PARSE_UNTRACKED;
	}
out:
	return (__u64)result << 32 | (__u32)source << 16 | destination;
}

/*
 * Parses the IPv4 packet at `offset` of the frame, of which `available` bytes belong to it.
 * Ports of a later fragment are zero.
 */
static __always_inline enum parse_result parse_ipv4(struct __sk_buff *skb, __u32 offset, __u32 available,
                                                    struct packet *packet)
{
	struct iphdr *ip;
	void *end;
	__u8 *transport;
	__u32 header_length;
	__u16 fragment;

	if (available < sizeof(*ip) || ensure(skb, offset + sizeof(*ip)))
		return PARSE_MALFORMED;
	ip = frame_start(skb) + offset;
	end = frame_end(skb);
	if ((void *)(ip + 1) > end)
		return PARSE_MALFORMED;

	header_length = ip->ihl * 4;
	packet->length = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header_length < sizeof(*ip) || packet->length < header_length ||
	    packet->length > available)
		return PARSE_MALFORMED;

	packet->family = FAMILY_IPV4;
	packet->header_length = header_length;
	packet->source = (struct address){.word = {ip->saddr}};
	packet->destination = (struct address){.word = {ip->daddr}};
	packet->id = ip->id;
	packet->protocol = ip->protocol;
	packet->tos = ip->tos;
	packet->source_port = 0;
	packet->destination_port = 0;
	packet->tcp_flags = 0;
	fragment = bpf_ntohs(ip->frag_off);
	packet->fragment = fragment & IP_OFFSET_MASK      ? FRAGMENT_LATER
	                   : fragment & IP_MORE_FRAGMENTS ? FRAGMENT_FIRST
	                                                  : FRAGMENT_NONE;

	if (!is_tcp_or_udp(packet->protocol)) {
		__u64 found;

		if (packet->fragment == FRAGMENT_LATER)
			return PARSE_OK;
		found = parse_other(skb, offset + header_length, packet->length - header_length, packet->protocol);
		packet->source_port = (__u32)found >> 16;
		packet->destination_port = (__u16)found;
		return found >> 32;
	}
	if (packet->fragment == FRAGMENT_LATER)
		return PARSE_OK;

	__u32 wanted = packet->protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);

	if (packet->length < header_length + wanted)
		return PARSE_MALFORMED;
	if (ensure(skb, offset + header_length + wanted))
		return PARSE_MALFORMED;
	transport = frame_start(skb) + offset + header_length;
	end = frame_end(skb);
	if ((void *)transport + sizeof(struct udphdr) > end)
		return PARSE_MALFORMED;
	packet->source_port = *(__be16 *)transport;
	packet->destination_port = *(__be16 *)(transport + 2);
	if (packet->protocol == IPPROTO_TCP) {
		if ((void *)transport + sizeof(struct tcphdr) > end)
			return PARSE_MALFORMED;
		packet->tcp_flags = transport[TCP_FLAGS_OFFSET];
	}
	return PARSE_OK;
}

static __always_inline bool same_address(const struct address *left, const __u8 *right)
{
	const __u32 *words = (const __u32 *)right;

	return left->word[0] == words[0] && left->word[1] == words[1] && left->word[2] == words[2] &&
	       left->word[3] == words[3];
}

/* One multiply-and-fold step of the flow hash; the same in geneve/ (flowHash). */
static __always_inline __u32 hash_word(__u32 hash, __u32 word)
{
	hash = (hash ^ word) * 0x9e3779b1;
	return hash ^ (hash >> 15);
}

/*
 * The flow hash over the inner 5-tuple: it gives the outer source port its entropy (RFC 8926 3.3)
 * and picks the slot of the Maglev table. Words are read in network order, so that every node and
 * both datapaths come to the same value.
 */
static __always_inline __u32 flow_hash(const struct packet *packet)
{
	__u32 hash = 0x5fc15fc1;

	hash = hash_word(hash, bpf_ntohl(packet->source.word[0]));
	if (packet->family == FAMILY_IPV6) {
		hash = hash_word(hash, bpf_ntohl(packet->source.word[1]));
		hash = hash_word(hash, bpf_ntohl(packet->source.word[2]));
		hash = hash_word(hash, bpf_ntohl(packet->source.word[3]));
	}
	hash = hash_word(hash, bpf_ntohl(packet->destination.word[0]));
	if (packet->family == FAMILY_IPV6) {
		hash = hash_word(hash, bpf_ntohl(packet->destination.word[1]));
		hash = hash_word(hash, bpf_ntohl(packet->destination.word[2]));
		hash = hash_word(hash, bpf_ntohl(packet->destination.word[3]));
	}
	hash = hash_word(hash, ((__u32)bpf_ntohs(packet->source_port) << 16) | bpf_ntohs(packet->destination_port));
	return hash_word(hash, packet->protocol);
}

/* The hash of session affinity: the client's address and nothing else. */
static __always_inline __u32 client_hash(const struct packet *packet)
{
	__u32 hash = hash_word(0x5fc15fc1, bpf_ntohl(packet->source.word[0]));

	if (packet->family == FAMILY_IPV6) {
		hash = hash_word(hash, bpf_ntohl(packet->source.word[1]));
		hash = hash_word(hash, bpf_ntohl(packet->source.word[2]));
		hash = hash_word(hash, bpf_ntohl(packet->source.word[3]));
	}
	return hash;
}
