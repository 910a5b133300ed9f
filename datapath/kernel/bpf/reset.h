/*
 * The end of a TCP connection whose instance is gone, where its chain says that it is then over. Both
 * ends are told at the next packet of either:
 *
 *     packet ──► goes on, the way it was going, as a RST: plainly, through no other instance
 *          └───► is answered by a RST, as its other end would that knows nothing of it; a RST is not
 */
#pragma once

#include "checksum.h"
#include "flow.h"
#include "icmp.h"
#include "metrics.h"
#include "tcp.h"
#include "verdict.h"

#define RESET_TTL 64

/* Of a TCP packet, what a RST repeats. */
struct segment {
	struct ethhdr ethernet;
	__be32 sequence;
	__be32 acknowledgement;
	__u32 length; /* RFC 9293 SEG.LEN, host order: payload, and one each for SYN and FIN */
};

/* Bytes of the IP header of a RST, which has no options; no payload stands behind the TCP header. */
static __always_inline __u32 reset_header(const struct packet *packet)
{
	return packet->family == FAMILY_IPV6 ? sizeof(struct ipv6_header) : sizeof(struct iphdr);
}

/* Reads what a RST needs, then takes the frame down to its headers, without their options. 0, or an error of the kernel's. */
static __always_inline int strip_segment(struct __sk_buff *skb, const struct packet *packet, struct segment *segment)
{
	__s32 options = (packet->header_length & HEADER_LENGTH_MAX) - (__s32)reset_header(packet);
	struct tcphdr tcp;
	__u32 headers;

	if (bpf_skb_load_bytes(skb, 0, &segment->ethernet, sizeof(segment->ethernet)) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + packet->header_length, &tcp, sizeof(tcp)))
		return -1;
	headers = packet->header_length + tcp.doff * 4;
	segment->sequence = tcp.seq;
	segment->acknowledgement = tcp.ack_seq;
	segment->length = (packet->length > headers ? packet->length - headers : 0) + tcp.syn + tcp.fin;
	/* Before the tail goes: an unfinished checksum is said to lie behind the options, and must not come to lie outside. */
	if (options > 0 && bpf_skb_adjust_room(skb, -options, BPF_ADJ_ROOM_NET, 0))
		return -1;
	return bpf_skb_change_tail(skb, ETH_HLEN + reset_header(packet) + sizeof(struct tcphdr), 0); /* and it is no GSO packet any more */
}

/*
 * Writes a RST over the stripped frame; `back`: against its direction, Ethernet addresses included.
 *
 * The TCP checksum is either finished here or, where the packet came without one (a pod's mostly do), by
 * the kernel, which then wants the sum of the pseudo-header in its place. A program is not told which. But
 * bpf_l4_csum_replace without BPF_F_PSEUDO_HDR leaves the field of an unfinished packet alone. So the field
 * gets the pseudo-header's sum P, and the helper the difference that makes ~(P + H) of it, where H is the
 * sum of the TCP header: it computes ~(~P + difference).
 */
static __always_inline int write_reset(struct __sk_buff *skb, const struct packet *packet, const struct segment *segment, bool back,
                                       __be32 sequence, __be32 acknowledgement, __u8 flags)
{
	const struct address *source = back ? &packet->destination : &packet->source;
	const struct address *destination = back ? &packet->source : &packet->destination;
	struct ethhdr *ethernet = frame_start(skb);
	void *network = (void *)ethernet + ETH_HLEN;
	struct tcphdr *tcp;
	__u32 pseudo, difference;

	if (network + sizeof(struct ipv6_header) + (packet->family == FAMILY_IPV6 ? sizeof(*tcp) : 0) > frame_end(skb))
		return -1;
	*ethernet = segment->ethernet;
	if (back) {
		__builtin_memcpy(ethernet->h_dest, segment->ethernet.h_source, ETH_ALEN);
		__builtin_memcpy(ethernet->h_source, segment->ethernet.h_dest, ETH_ALEN);
	}
	pseudo = bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(struct tcphdr));
	if (packet->family == FAMILY_IPV6) {
		struct ipv6_header *ip = network;

		*ip = (struct ipv6_header){
			.version_class_label = bpf_htonl(6U << 28 | (__u32)packet->tos << 20),
			.payload_length = bpf_htons(sizeof(struct tcphdr)),
			.next_header = IPPROTO_TCP,
			.hop_limit = RESET_TTL,
			.source = *source,
			.destination = *destination,
		};
		pseudo = sum_words(pseudo, &ip->source, 16);
		tcp = (void *)(ip + 1);
		if ((void *)(tcp + 1) > frame_end(skb))
			return -1;
	} else {
		struct iphdr *ip = network;

		*ip = (struct iphdr){
			.version = 4,
			.ihl = 5,
			.tos = packet->tos,
			.tot_len = bpf_htons(sizeof(struct iphdr) + sizeof(struct tcphdr)),
			.frag_off = bpf_htons(IP_DONT_FRAGMENT),
			.ttl = RESET_TTL,
			.protocol = IPPROTO_TCP,
			.saddr = source->word[0],
			.daddr = destination->word[0],
		};
		ip->check = ipv4_checksum(ip);
		pseudo = sum_words(pseudo, &ip->saddr, 4);
		tcp = (void *)(ip + 1);
	}
	*tcp = (struct tcphdr){
		.source = back ? packet->destination_port : packet->source_port,
		.dest = back ? packet->source_port : packet->destination_port,
		.seq = sequence,
		.ack_seq = acknowledgement,
		.doff = sizeof(struct tcphdr) / 4,
		.rst = 1,
		.ack = !!(flags & TCP_ACK),
	};
	pseudo = fold_sum(pseudo);
	difference = sum_words(2 * pseudo, tcp, sizeof(struct tcphdr) / 2);
	tcp->check = pseudo;
	return bpf_l4_csum_replace(skb, ETH_HLEN + reset_header(packet) + offsetof(struct tcphdr, check), 0, difference, 0);
}

/* The RST that answers the packet, as its other end would that knows nothing of it. Leaves the frame in its place. */
static __always_inline int answer_reset(struct __sk_buff *skb, const struct packet *packet, const struct segment *segment)
{
	if (packet->tcp_flags & TCP_ACK)
		return write_reset(skb, packet, segment, true, segment->acknowledgement, 0, 0);
	return write_reset(skb, packet, segment, true, 0, bpf_htonl(bpf_ntohl(segment->sequence) + segment->length), TCP_ACK);
}

/* The answer to a packet that its chain's policy rejects. A RST is not answered. 0, or an error. */
static __always_inline int answer_rejected(struct __sk_buff *skb, const struct packet *packet)
{
	struct segment segment = {};

	if (packet->fragment != FRAGMENT_NONE || (packet->tcp_flags & TCP_RST) || strip_segment(skb, packet, &segment))
		return -1;
	return answer_reset(skb, packet, &segment);
}

/*
 * A packet of a flow that is marked. One that cannot be stripped (the kernel refuses those of a tunnel of
 * its own) is dropped; the next one tells the ends.
 */
static __always_inline int end_both(struct __sk_buff *skb, const struct packet *packet, enum direction direction)
{
	struct segment segment = {};

	if (packet->is_error || packet->fragment == FRAGMENT_LATER || strip_segment(skb, packet, &segment))
		return VERDICT_DROP;
	if (!(packet->tcp_flags & TCP_RST)) {
		if (answer_reset(skb, packet, &segment))
			return VERDICT_DROP;
		send_back(skb, direction);
	}
	if (write_reset(skb, packet, &segment, false, segment.sequence, segment.acknowledgement, packet->tcp_flags & TCP_ACK))
		return VERDICT_DROP;
	return VERDICT_PASS;
}
