/*
 * What is too large for the 512 bytes of stack that all functions of a program share. One of it a CPU, and bottom halves are
 * off in tc: nobody else writes it meanwhile. Never pinned.
 */
#pragma once

#include "maps.h"
#include "packet.h"

/* What goes into the outer headers. */
struct tunnel {
	struct address source;
	struct address destination;
	__be32 path;
	__u8 family;
	__u8 ttl;
	bool reply;
};

/* What the outer headers said. */
struct envelope {
	struct address source; /* outer source: the previous hop of a forward packet */
	__be32 path;
	__u32 length;          /* of the outer headers, bytes */
	__u32 nsh;             /* where the NSH stands in the frame */
	__u8 family;           /* of the outer header */
	__u8 inner_family;
	__u8 ttl;
	__u8 tos;
	__be16 checksum;       /* of UDP; 0: there is none */
	bool reply;
};

#define MESSAGE_MAX 256 /* a power of two, and no more than bpf_csum_diff takes at once (512) */

struct scratch {
	struct sfcflow_value flow; /* a new one */
	struct tunnel tunnel;
	struct bpf_fib_lookup fib;
	struct envelope envelope;
	struct packet outer; /* what a pod is about to receive, as it stands */
	struct packet inner; /* what is in it */
	__u32 answered_at;             /* tick() of the last answers */
	__u32 answers;                 /* so many were made in it */
	__u32 says;                    /* what an ICMP error is to say: ICMP_SAYS */
	__u8 message[2 * MESSAGE_MAX]; /* twice as much as is used, so that no sum of bounded numbers leaves it */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

/* NULL never, which the verifier does not know. */
static __always_inline struct scratch *own_scratch(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&scratch, &first);
}
