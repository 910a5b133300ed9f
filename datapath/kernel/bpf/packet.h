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

#include "address.h"
#include "layouts.h"

/*
 * An ICMP error is read as a packet of the flow that it tells about, on its way: what it repeats of the
 * packet in question, with its ends exchanged, stands in addresses, protocol and ports.
 */
struct packet {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 id;        /* identification: of IPv4 16 bits, in the packet's order; of a fragment of IPv6 32 */
	__u32 length;    /* of the whole IP packet, bytes */
	__u16 header_length; /* of the IP header and its extensions, bytes */
	__u8 family;
	__u8 protocol;
	__u8 tos;        /* or traffic class */
	__u8 tcp_flags;  /* byte 13 of the TCP header */
	__u8 fragment;   /* FRAGMENT_* */
	__u8 is_error;   /* ICMP error */
	__u8 tcp_header; /* of TCP, length of its header, bytes */
	__u8 pad;
	__be32 came_by;  /* to_pod: path of the tunnel that it has come out of, 0 for none; not read from the packet */
};

enum { FRAGMENT_NONE, FRAGMENT_FIRST, FRAGMENT_LATER };

/*
 * PARSE_UNTRACKED: ICMP that belongs to no flow (neighbour discovery, redirects, an error that cannot be
 * read); addresses and protocol are filled in. PARSE_SHORT: a header of another protocol than TCP and UDP
 * is cut off.
 */
enum parse_result { PARSE_OK, PARSE_UNTRACKED, PARSE_MALFORMED, PARSE_SHORT };

#define IP_MORE_FRAGMENTS 0x2000
#define IP_OFFSET_MASK 0x1fff
#define IPV6_MORE_FRAGMENTS 0x0001
#define IPV6_OFFSET_MASK 0xfff8
#define TCP_FLAGS_OFFSET 13
#define SCTP_HEADER_LENGTH 12
#define ICMP_HEADER_LENGTH 8
#define ICMP_ID_OFFSET 4
#define ICMP_TYPE_ECHO_REPLY 0
#define ICMP_TYPE_UNREACHABLE 3
#define ICMP_TYPE_ECHO 8
#define ICMP_TYPE_TIME_EXCEEDED 11
#define ICMP_TYPE_PARAMETER_PROBLEM 12
#define ICMPV6_TYPE_UNREACHABLE 1
#define ICMPV6_TYPE_TOO_BIG 2
#define ICMPV6_TYPE_PARAMETER_PROBLEM 4
#define ICMPV6_TYPE_ECHO 128
#define ICMPV6_TYPE_ECHO_REPLY 129
#define TRANSPORT_REPEATED 8 /* bytes of the transport header that every ICMP error repeats (RFC 792) */

/* As it stands on the wire, RFC 8200 3. */
struct ipv6_header {
	__be32 version_class_label;
	__be16 payload_length;
	__u8 next_header;
	__u8 hop_limit;
	struct address source;
	struct address destination;
};

#define IPPROTO_ICMPV6 58 /* <linux/in6.h> defines it, and clashes with <linux/in.h> elsewhere */

#define NEXT_HOP_BY_HOP 0
#define NEXT_ROUTING 43
#define NEXT_FRAGMENT 44
#define NEXT_AUTHENTICATION 51
#define NEXT_DESTINATION 60
#define EXTENSIONS_MAX 6          /* extension headers of one packet */
#define HEADER_LENGTH_MAX 0x1ff   /* of an IP header with all its extensions; a mask */

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

static __always_inline bool is_icmp_error(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMPV6)
		return type >= ICMPV6_TYPE_UNREACHABLE && type <= ICMPV6_TYPE_PARAMETER_PROBLEM;
	return type == ICMP_TYPE_UNREACHABLE || type == ICMP_TYPE_TIME_EXCEEDED || type == ICMP_TYPE_PARAMETER_PROBLEM;
}

static __always_inline bool is_echo(__u8 protocol, __u8 type)
{
	return protocol == IPPROTO_ICMPV6 ? type == ICMPV6_TYPE_ECHO || type == ICMPV6_TYPE_ECHO_REPLY
	                                  : type == ICMP_TYPE_ECHO || type == ICMP_TYPE_ECHO_REPLY;
}

/* ICMP of the packet's own family: of the other one it is a protocol like any. */
static __always_inline bool is_icmp(__u8 family, __u8 protocol)
{
	return protocol == (family == FAMILY_IPV6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

static __always_inline bool is_extension(__u8 next)
{
	return next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING || next == NEXT_FRAGMENT || next == NEXT_AUTHENTICATION ||
	       next == NEXT_DESTINATION;
}

#define FOUND_ERROR 0x10 /* of `parse_other`: the packet is an ICMP error, still to be read */

/*
 * The ports of what is neither TCP nor UDP, from its header at `offset` of the frame, with `length`
 * bytes of the packet left. SCTP has them where UDP has; of an ICMP echo the identifier stands for
 * both, so that the reply finds the flow of its request; others have none.
 *
 * Result, source and destination port in one number: a pointer would keep the callers' packets out of
 * registers.
 */
__noinline __u64 parse_other(struct __sk_buff *skb, __u32 offset, __u32 length, __u8 protocol, __u8 family)
{
	enum parse_result result = PARSE_OK;
	__be16 source = 0, destination = 0;
	__u8 header[ICMP_HEADER_LENGTH];

	if (protocol != IPPROTO_SCTP && !is_icmp(family, protocol))
		goto out;
	result = PARSE_SHORT;
	if (length < (protocol == IPPROTO_SCTP ? SCTP_HEADER_LENGTH : ICMP_HEADER_LENGTH) ||
	    bpf_skb_load_bytes(skb, offset, header, sizeof(header)))
		goto out;
	result = PARSE_OK;
	if (protocol == IPPROTO_SCTP) {
		source = *(__be16 *)header;
		destination = *(__be16 *)(header + 2);
	} else if (is_echo(protocol, header[0])) {
		source = destination = *(__be16 *)(header + ICMP_ID_OFFSET);
	} else {
		result = is_icmp_error(protocol, header[0]) ? FOUND_ERROR : PARSE_UNTRACKED;
	}
out:
	return (__u64)result << 32 | (__u32)source << 16 | destination;
}

/*
 * Walks the extension headers of an IPv6 packet from `offset` of the frame, where the header stands whose
 * number is `next`, with `left` bytes of the packet from there on; RFC 8200 4. A header that lies beyond the
 * first fragment makes the packet malformed (RFC 7112), as do more headers than EXTENSIONS_MAX.
 *
 * Result: length of the extensions in bits 0 to 15, protocol in 16 to 23, FRAGMENT_* in 24 and 25, and where the
 * fragment header stands, from `offset` on and in units of 8, in 32 to 47; or -1.
 */
__noinline __s64 walk_extensions(struct __sk_buff *skb, __u32 offset, __u32 left, __u8 next)
{
	__u64 fragment = FRAGMENT_NONE, fragment_at = 0;
	__u32 at = 0;

	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		__u8 header[8];
		__u32 length;

		if (!is_extension(next))
			break;
		if (at + sizeof(header) > left || bpf_skb_load_bytes(skb, offset + at, header, sizeof(header)))
			return -1;
		length = next == NEXT_FRAGMENT ? sizeof(header) : next == NEXT_AUTHENTICATION ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
		if (next == NEXT_FRAGMENT) {
			__u16 word = bpf_ntohs(*(__be16 *)(header + 2));

			fragment_at = at;
			if (word & IPV6_OFFSET_MASK)
				fragment = FRAGMENT_LATER;
			else if (word & IPV6_MORE_FRAGMENTS)
				fragment = FRAGMENT_FIRST;
		}
		next = header[0];
		at += length;
		if (at > left || at > HEADER_LENGTH_MAX - sizeof(struct ipv6_header))
			return -1;
		if (fragment == FRAGMENT_LATER)
			break;
	}
	if (fragment != FRAGMENT_LATER && is_extension(next))
		return -1;
	return fragment_at / 8 << 32 | fragment << 24 | (__u64)next << 16 | at;
}

/*
 * Reads an ICMP error, whose header stands at `offset` of the frame, in a packet that ends at `end`: the packet
 * becomes one of the flow that it tells about. One that repeats too little, or whose own addressee did not send
 * what it repeats, is untracked.
 */
__noinline int parse_error(struct __sk_buff *skb, __u32 offset, __u32 end, struct packet *packet)
{
	__u32 at = offset + ICMP_HEADER_LENGTH, transport;
	__u8 header[sizeof(struct ipv6_header)] = {};
	__u8 ports[TRANSPORT_REPEATED];
	__u8 protocol;

	if (!packet)
		return PARSE_UNTRACKED;
	if (packet->family == FAMILY_IPV6) {
		struct ipv6_header *repeated = (void *)header;
		__s64 walked;

		transport = at + sizeof(*repeated);
		if (transport > end || bpf_skb_load_bytes(skb, at, header, sizeof(*repeated)) || header[0] >> 4 != 6)
			return PARSE_UNTRACKED;
		walked = walk_extensions(skb, transport, end - transport, repeated->next_header);
		if (walked < 0 || ((walked >> 24) & 3) == FRAGMENT_LATER || !same_address(&repeated->source, &packet->destination))
			return PARSE_UNTRACKED;
		protocol = walked >> 16;
		transport += walked & 0xffff;
	} else {
		struct iphdr *repeated = (void *)header;

		if (at + sizeof(*repeated) > end || bpf_skb_load_bytes(skb, at, header, sizeof(*repeated)) || repeated->version != 4 ||
		    repeated->ihl < 5 || (bpf_ntohs(repeated->frag_off) & IP_OFFSET_MASK) || repeated->saddr != packet->destination.word[0])
			return PARSE_UNTRACKED;
		protocol = repeated->protocol;
		transport = at + repeated->ihl * 4;
	}
	if (transport + sizeof(ports) > end || bpf_skb_load_bytes(skb, transport, ports, sizeof(ports)))
		return PARSE_UNTRACKED;
	if (is_icmp(packet->family, protocol) && !is_echo(protocol, ports[0]))
		return PARSE_UNTRACKED; /* nobody makes an error about an error (RFC 1122 3.2.2) */
	if (is_tcp_or_udp(protocol) || protocol == IPPROTO_SCTP) {
		packet->source_port = *(__be16 *)(ports + 2);
		packet->destination_port = *(__be16 *)ports;
	} else if (is_icmp(packet->family, protocol)) {
		packet->source_port = packet->destination_port = *(__be16 *)(ports + ICMP_ID_OFFSET);
	}
	packet->protocol = protocol;
	packet->is_error = 1;
	if (packet->family == FAMILY_IPV6)
		packet->source = ((struct ipv6_header *)header)->destination;
	else
		packet->source.word[0] = ((struct iphdr *)header)->daddr;
	return PARSE_OK;
}

/* What is neither TCP nor UDP, from its header at `offset` of the frame, in a packet that ends at `end`. */
static __always_inline enum parse_result parse_rest(struct __sk_buff *skb, __u32 offset, __u32 end, struct packet *packet)
{
	__u64 found = parse_other(skb, offset, end - offset, packet->protocol, packet->family);

	packet->source_port = (__u32)found >> 16;
	packet->destination_port = (__u16)found;
	if (found >> 32 == FOUND_ERROR)
		return packet->fragment == FRAGMENT_NONE ? parse_error(skb, offset, end, packet) : PARSE_UNTRACKED;
	return found >> 32;
}

/*
 * The ports of TCP and UDP, from the header at `offset` of the frame, with `left` bytes of the packet from there on.
 */
static __always_inline enum parse_result parse_ports(struct __sk_buff *skb, __u32 offset, __u32 left, struct packet *packet)
{
	__u32 wanted = packet->protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
	__u8 *transport;
	void *end;

	if (left < wanted || ensure(skb, offset + wanted))
		return PARSE_MALFORMED;
	transport = frame_start(skb) + offset;
	end = frame_end(skb);
	if ((void *)transport + sizeof(struct udphdr) > end)
		return PARSE_MALFORMED;
	packet->source_port = *(__be16 *)transport;
	packet->destination_port = *(__be16 *)(transport + 2);
	if (packet->protocol == IPPROTO_TCP) {
		if ((void *)transport + sizeof(struct tcphdr) > end)
			return PARSE_MALFORMED;
		packet->tcp_flags = transport[TCP_FLAGS_OFFSET];
		packet->tcp_header = (transport[TCP_FLAGS_OFFSET - 1] >> 4) * 4;
	}
	return PARSE_OK;
}

/*
 * Parses the IPv4 packet at `offset` of the frame, of which `available` bytes belong to it.
 * Ports of a later fragment are zero.
 */
static __always_inline enum parse_result parse_ipv4(struct __sk_buff *skb, __u32 offset, __u32 available,
                                                    struct packet *packet)
{
	struct iphdr *ip;
	__u32 header_length;
	__u16 fragment;

	if (available < sizeof(*ip) || ensure(skb, offset + sizeof(*ip)))
		return PARSE_MALFORMED;
	ip = frame_start(skb) + offset;
	if ((void *)(ip + 1) > frame_end(skb))
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
	packet->is_error = 0;
	fragment = bpf_ntohs(ip->frag_off);
	packet->fragment = fragment & IP_OFFSET_MASK      ? FRAGMENT_LATER
	                   : fragment & IP_MORE_FRAGMENTS ? FRAGMENT_FIRST
	                                                  : FRAGMENT_NONE;
	if (packet->fragment == FRAGMENT_LATER)
		return PARSE_OK;
	if (is_tcp_or_udp(packet->protocol))
		return parse_ports(skb, offset + header_length, packet->length - header_length, packet);
	return parse_rest(skb, offset + header_length, offset + packet->length, packet);
}

/* The same of an IPv6 packet. Global, as are the functions that it calls: the verifier looks at them once. */
__noinline int parse_ipv6(struct __sk_buff *skb, __u32 offset, __u32 available, struct packet *packet)
{
	struct ipv6_header *ip;
	__u32 word, at;

	offset &= HEADER_LENGTH_MAX; /* an Ethernet header and outer ones at most, which the verifier does not know */
	if (!packet || available < sizeof(*ip) || ensure(skb, offset + sizeof(*ip)))
		return PARSE_MALFORMED;
	ip = frame_start(skb) + offset;
	if ((void *)(ip + 1) > frame_end(skb))
		return PARSE_MALFORMED;
	word = bpf_ntohl(ip->version_class_label);
	packet->length = bpf_ntohs(ip->payload_length) + sizeof(*ip);
	if (word >> 28 != 6 || packet->length > available)
		return PARSE_MALFORMED;

	packet->family = FAMILY_IPV6;
	packet->header_length = sizeof(*ip);
	packet->source = ip->source;
	packet->destination = ip->destination;
	packet->id = 0;
	packet->protocol = ip->next_header;
	packet->tos = word >> 20;
	packet->source_port = 0;
	packet->destination_port = 0;
	packet->tcp_flags = 0;
	packet->is_error = 0;
	packet->fragment = FRAGMENT_NONE;
	if (!is_tcp_or_udp(packet->protocol)) {
		__s64 walked = walk_extensions(skb, offset + sizeof(*ip), packet->length - sizeof(*ip), packet->protocol);
		__u32 identification;

		if (walked < 0)
			return PARSE_MALFORMED;
		packet->header_length += walked & 0xffff;
		packet->protocol = walked >> 16;
		packet->fragment = (walked >> 24) & 3;
		if (packet->fragment != FRAGMENT_NONE) {
			if (bpf_skb_load_bytes(skb, offset + sizeof(*ip) + (walked >> 32) * 8 + 4, &identification, sizeof(identification)))
				return PARSE_MALFORMED;
			packet->id = identification;
		}
		if (packet->fragment == FRAGMENT_LATER)
			return PARSE_OK;
	}
	at = packet->header_length & HEADER_LENGTH_MAX;
	if (packet->length < at)
		return PARSE_MALFORMED;
	if (is_tcp_or_udp(packet->protocol))
		return parse_ports(skb, offset + at, packet->length - at, packet);
	return parse_rest(skb, offset + at, offset + packet->length, packet);
}

/* The packet behind the Ethernet header. */
static __always_inline enum parse_result parse(struct __sk_buff *skb, struct packet *packet)
{
	return skb->protocol == bpf_htons(ETH_P_IP) ? parse_ipv4(skb, ETH_HLEN, skb->len - ETH_HLEN, packet)
	                                            : parse_ipv6(skb, ETH_HLEN, skb->len - ETH_HLEN, packet);
}

static __always_inline bool is_ip(const struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IP) || skb->protocol == bpf_htons(ETH_P_IPV6);
}

/* One multiply-and-fold step of the flow hash; the same in geneve/ (flowHash). */
static __always_inline __u32 hash_word(__u32 hash, __u32 word)
{
	hash = (hash ^ word) * 0x9e3779b1;
	return hash ^ (hash >> 15);
}

static __always_inline __u32 hash_address(__u32 hash, const struct address *address, __u8 family)
{
	hash = hash_word(hash, bpf_ntohl(address->word[0]));
	if (family == FAMILY_IPV6) {
		hash = hash_word(hash, bpf_ntohl(address->word[1]));
		hash = hash_word(hash, bpf_ntohl(address->word[2]));
		hash = hash_word(hash, bpf_ntohl(address->word[3]));
	}
	return hash;
}

#define HASH_START 0x5fc15fc1

/*
 * The flow hash over the inner 5-tuple: it gives the outer source port its entropy (RFC 8926 3.3)
 * and picks the slot of the Maglev table. Words are read in network order, so that every node and
 * both datapaths come to the same value.
 */
static __always_inline __u32 flow_hash(const struct packet *packet)
{
	__u32 hash = hash_address(HASH_START, &packet->source, packet->family);

	hash = hash_address(hash, &packet->destination, packet->family);
	hash = hash_word(hash, ((__u32)bpf_ntohs(packet->source_port) << 16) | bpf_ntohs(packet->destination_port));
	return hash_word(hash, packet->protocol);
}

/* The hash of session affinity: the client's address and nothing else. */
static __always_inline __u32 client_hash(const struct packet *packet)
{
	return hash_address(HASH_START, &packet->source, packet->family);
}
