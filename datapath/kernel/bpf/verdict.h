/* What a program says of a packet, and the mark of a packet that goes past the other program. */
#pragma once

#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#include "packet.h"
#include "reasons.h"

/* Not TC_ACT_OK: the programs of others on the same hook must see what we let through. */
#define VERDICT_PASS TC_ACT_UNSPEC
#define VERDICT_DROP TC_ACT_SHOT

/*
 * No verdicts of tc. What a program does last, from a stack that is nearly empty (tell.h): the packet itself goes no further, but
 * somebody is told.
 */
enum { TELL_ICMP = 0x100, TELL_RESET, TELL_END };

/* Of a packet that enters the stack again through a pod's interface, past from_pod; and of one that goes to the pod, past to_pod. */
#define ONWARD_MARK 0x73666364

/*
 * Of a packet that a program of this node has wrapped: another pod's to_pod believes its outer source. Of none of the bits that others
 * use: kube-proxy 0x4000 and 0x8000, Cilium 0x0f00, Calico 0xffff0000. It does not leave the network namespace, nor the node.
 */
#define WRAPPED_MARK 0x53

/*
 * A packet that went onward from to_pod, or that answers a pod: its mark is gone, nothing of ours happens to it
 * again. No pod can set one: a packet that leaves a network namespace loses its mark.
 */
static __always_inline bool is_onward(struct __sk_buff *skb)
{
	if (skb->mark != ONWARD_MARK)
		return false;
	skb->mark = 0;
	bpf_skb_change_type(skb, PACKET_HOST);
	return true;
}

/* The node's netfilter sees one direction of the packet's flow at most. Who has marked the packet before us needs that mark more. */
static __always_inline void mark_half_seen(struct __sk_buff *skb)
{
	if (!skb->mark)
		skb->mark = HALF_SEEN_MARK;
}

/* Exchanges the frame's Ethernet addresses. */
static __always_inline void turn_ethernet(struct __sk_buff *skb)
{
	struct ethhdr *ethernet = frame_start(skb);
	__u8 address[ETH_ALEN];

	if ((void *)(ethernet + 1) > frame_end(skb))
		return;
	__builtin_memcpy(address, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, address, ETH_ALEN);
}

/* An answer, which leaves as a copy: to the pod of what the pod sent, to the stack of what the pod was about to receive. */
static __always_inline void send_back(struct __sk_buff *skb, enum direction direction)
{
	__u32 mark = skb->mark;

	skb->mark = ONWARD_MARK;
	bpf_clone_redirect(skb, skb->ifindex, direction == DIRECTION_FROM_POD ? 0 : BPF_F_INGRESS);
	skb->mark = mark;
}

/* Flags that newer kernels know, of bpf_skb_adjust_room taking room away: the packet is of this family then (Linux 6.3). */
static __always_inline __u64 decapsulation_to(__u8 family)
{
	return family == FAMILY_IPV6 ? 1ULL << 8 : 1ULL << 7;
}
