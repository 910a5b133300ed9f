/*
 * The end of a TCP connection whose instance is gone, where its chain says that it is then over. Both
 * ends are told at the next packet of either:
 *
 *     packet ──► goes on, the way it was going, as a RST: plainly, through no other instance
 *          └───► is answered by a RST, as its other end would that knows nothing of it; a RST is not
 */
#pragma once

#include "encap.h"

#define RESET_TTL 64

/* Of a TCP packet, what a RST repeats. */
struct segment {
	struct ethhdr ethernet;
	__be32 sequence;
	__be32 acknowledgement;
	__u32 length; /* RFC 9293 SEG.LEN, host order: payload, and one each for SYN and FIN */
};

/* The whole frame of a RST: no options, no payload. */
#define RESET_FRAME (ETH_HLEN + sizeof(struct iphdr) + sizeof(struct tcphdr))

/* Reads what a RST needs, then takes the frame down to its headers, without their options. 0, or an error of the kernel's. */
static __always_inline int strip_segment(struct __sk_buff *skb, const struct packet *packet, struct segment *segment)
{
	__s32 options = (packet->header_length & 0x3c) - (__s32)sizeof(struct iphdr);
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
	return bpf_skb_change_tail(skb, RESET_FRAME, 0); /* and it is no GSO packet any more */
}

static __always_inline __u32 sum_words(__u32 sum, const void *start, int words)
{
	const __u16 *word = start;

#pragma unroll
	for (int i = 0; i < words; i++)
		sum += word[i];
	return sum;
}

static __always_inline __u32 fold_sum(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
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
	struct ethhdr *ethernet = frame_start(skb);
	struct iphdr *ip = (void *)ethernet + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);
	__u32 pseudo, difference;

	if ((void *)(tcp + 1) > frame_end(skb))
		return -1;
	*ethernet = segment->ethernet;
	if (back) {
		__builtin_memcpy(ethernet->h_dest, segment->ethernet.h_source, ETH_ALEN);
		__builtin_memcpy(ethernet->h_source, segment->ethernet.h_dest, ETH_ALEN);
	}
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = packet->tos,
		.tot_len = bpf_htons(sizeof(struct iphdr) + sizeof(struct tcphdr)),
		.frag_off = bpf_htons(IP_DONT_FRAGMENT),
		.ttl = RESET_TTL,
		.protocol = IPPROTO_TCP,
		.saddr = back ? packet->destination.word[0] : packet->source.word[0],
		.daddr = back ? packet->source.word[0] : packet->destination.word[0],
	};
	ip->check = ipv4_checksum(ip);
	*tcp = (struct tcphdr){
		.source = back ? packet->destination_port : packet->source_port,
		.dest = back ? packet->source_port : packet->destination_port,
		.seq = sequence,
		.ack_seq = acknowledgement,
		.doff = sizeof(struct tcphdr) / 4,
		.rst = 1,
		.ack = !!(flags & TCP_ACK),
	};
	pseudo = sum_words(bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(struct tcphdr)), &ip->saddr, 4);
	pseudo = fold_sum(pseudo);
	difference = sum_words(2 * pseudo, tcp, sizeof(struct tcphdr) / 2);
	tcp->check = pseudo;
	return bpf_l4_csum_replace(skb, ETH_HLEN + sizeof(struct iphdr) + offsetof(struct tcphdr, check), 0, difference, 0);
}

/* The answer, which leaves as a copy: to the pod of what the pod sent, to the stack of what the pod was about to receive. */
static __always_inline void send_back(struct __sk_buff *skb, enum direction direction)
{
	__u32 mark = skb->mark;

	skb->mark = ONWARD_MARK; /* past our own program there */
	bpf_clone_redirect(skb, skb->ifindex, direction == DIRECTION_FROM_POD ? 0 : BPF_F_INGRESS);
	skb->mark = mark;
}

/*
 * A packet of a flow that is marked. One that cannot be stripped (the kernel refuses those of a tunnel of
 * its own) is dropped; the next one tells the ends.
 */
static __noinline int end_both(struct __sk_buff *skb, const struct packet *packet, struct sfcflow_value *flow, enum direction direction)
{
	struct segment segment = {};
	int error;

	if (!packet || !flow)
		return VERDICT_DROP;
	flow->tcp_state = TCP_STATE_RESET;
	count(REASON_INSTANCE_LOST, direction, packet->length);
	if (strip_segment(skb, packet, &segment))
		return VERDICT_DROP;
	if (!(packet->tcp_flags & TCP_RST)) {
		if (packet->tcp_flags & TCP_ACK)
			error = write_reset(skb, packet, &segment, true, segment.acknowledgement, 0, 0);
		else
			error = write_reset(skb, packet, &segment, true, 0, bpf_htonl(bpf_ntohl(segment.sequence) + segment.length), TCP_ACK);
		if (error)
			return VERDICT_DROP;
		send_back(skb, direction);
	}
	if (write_reset(skb, packet, &segment, false, segment.sequence, segment.acknowledgement, packet->tcp_flags & TCP_ACK))
		return VERDICT_DROP;
	return VERDICT_PASS;
}
