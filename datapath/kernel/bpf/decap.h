/* Reading and removing the outer headers, as docs/wire-format.md asks of a receiver. */
#pragma once

#include "encap.h"

/* What the outer headers said. */
struct envelope {
	struct address source; /* outer source: the previous hop of a forward packet */
	__be32 path;
	__u32 length;          /* of the outer headers, bytes */
	__u32 nsh;             /* where the NSH stands in the frame */
	__u8 ttl;
	__u8 tos;
	bool reply;
};

#define GENEVE_MAX_OPTIONS 63 /* of 4 bytes each: the most that a 6-bit length holds */

/* Finds the NSH option. 0, or the reason of the drop. */
static __noinline int find_nsh(struct __sk_buff *skb, __u32 offset, __u32 length, struct nsh_header *nsh, __u32 *place)
{
	bool found = false;
	__u32 at = 0;

	if (!nsh || !place)
		return REASON_GENEVE_NO_NSH;
	for (int i = 0; i < GENEVE_MAX_OPTIONS; i++) {
		struct geneve_option option;
		__u32 body;

		if (at >= length)
			break;
		if (bpf_skb_load_bytes(skb, offset + at, &option, sizeof(option)))
			return REASON_GENEVE_MALFORMED;
		body = (option.length & 0x1f) * 4;
		if (at + sizeof(option) + body > length)
			return REASON_GENEVE_MALFORMED;
		if (option.class == bpf_htons(NSH_OPTION_CLASS) && option.type == NSH_OPTION_TYPE) {
			if (body != sizeof(*nsh))
				return REASON_NSH_MALFORMED;
			if (!found) {
				*place = offset + at + sizeof(option);
				if (bpf_skb_load_bytes(skb, *place, nsh, sizeof(*nsh)))
					return REASON_GENEVE_MALFORMED;
			}
			found = true;
		} else if (option.type & GENEVE_OPTION_CRITICAL) {
			return REASON_GENEVE_CRITICAL_OPTION;
		}
		at += sizeof(option) + body;
	}
	return found ? 0 : REASON_GENEVE_NO_NSH;
}

/* Reads the headers behind the outer IPv4 header at `offset`. 0, or the reason of the drop. */
static __always_inline enum reason open_envelope(struct __sk_buff *skb, const struct packet *outer, struct envelope *envelope)
{
	const __u32 geneve_offset = ETH_HLEN + sizeof(struct iphdr) + sizeof(struct udphdr);
	struct udphdr *udp;
	struct steering_header *steering;
	struct nsh_header nsh;
	__u32 options, nsh_word;

	if (outer->length < geneve_offset - ETH_HLEN + sizeof(struct geneve_header))
		return REASON_GENEVE_MALFORMED;
	if (ensure(skb, geneve_offset + sizeof(struct geneve_header)))
		return REASON_GENEVE_MALFORMED;
	udp = frame_start(skb) + ETH_HLEN + sizeof(struct iphdr);
	steering = (void *)(udp + 1);
	if ((void *)(&steering->geneve + 1) > frame_end(skb))
		return REASON_GENEVE_MALFORMED;
	if (bpf_ntohs(udp->len) != outer->length - sizeof(struct iphdr))
		return REASON_OUTER_MALFORMED;
	if (steering->geneve.version_opt_len >> 6)
		return REASON_GENEVE_VERSION;
	if (steering->geneve.control_critical & GENEVE_CONTROL) /* RFC 8926 3.4: its payload is never forwarded */
		return REASON_CONTROL;
	options = (steering->geneve.version_opt_len & 0x3f) * 4;
	if (geneve_offset - ETH_HLEN + sizeof(struct geneve_header) + options > outer->length)
		return REASON_GENEVE_MALFORMED;
	envelope->reply = udp->source & bpf_htons(SOURCE_PORT_REPLY);
	envelope->length = geneve_offset - ETH_HLEN + sizeof(struct geneve_header) + options;

	__be16 protocol = steering->geneve.protocol;

	if (ensure(skb, geneve_offset + sizeof(*steering)))
		return options ? REASON_GENEVE_MALFORMED : REASON_GENEVE_NO_NSH;
	steering = frame_start(skb) + geneve_offset;
	if ((void *)(steering + 1) > frame_end(skb))
		return REASON_GENEVE_MALFORMED;
	if (options == GENEVE_OPT_WORDS * 4 && steering->option.class == bpf_htons(NSH_OPTION_CLASS) &&
	    steering->option.type == NSH_OPTION_TYPE && (steering->option.length & 0x1f) == NSH_WORDS) {
		nsh = steering->nsh; /* as we write it: nothing to search */
		envelope->nsh = geneve_offset + offsetof(struct steering_header, nsh);
	} else {
		enum reason reason = find_nsh(skb, geneve_offset + sizeof(struct geneve_header), options, &nsh, &envelope->nsh);

		if (reason)
			return reason;
	}

	nsh_word = bpf_ntohs(nsh.version_ttl_length);
	if (nsh_word >> 14)
		return REASON_NSH_VERSION;
	if (nsh_word & NSH_OAM) /* RFC 8300 2.2: discarded where OAM is not supported */
		return REASON_CONTROL;
	if ((nsh_word & 0x3f) != NSH_WORDS || (nsh.md_type & 0x0f) != NSH_MD_TYPE_2)
		return REASON_NSH_MALFORMED;
	envelope->ttl = (nsh_word >> 6) & 0x3f;
	if (envelope->ttl == 0)
		return REASON_NSH_TTL;
	if (protocol != bpf_htons(ETH_P_IP) || nsh.next_protocol != NSH_NEXT_IPV4)
		return REASON_NEXT_PROTOCOL;
	envelope->path = nsh.path;
	envelope->source = outer->source;
	envelope->tos = outer->tos;
	return 0;
}

/* Reads the inner packet while it is still wrapped. 0, or the reason of the drop. */
static __always_inline enum reason read_inner(struct __sk_buff *skb, const struct packet *outer, const struct envelope *envelope,
                                              struct packet *inner, enum parse_result *result)
{
	/* At most 288 bytes, which the verifier does not know. */
	__u32 offset = ETH_HLEN + (envelope->length & 0x1ff);
	__u8 *version;

	if (outer->length <= envelope->length || ensure(skb, offset + sizeof(*version)))
		return REASON_INNER_MALFORMED;
	version = frame_start(skb) + offset;
	if ((void *)(version + 1) > frame_end(skb))
		return REASON_INNER_MALFORMED;
	if (*version >> 4 != 4)
		return REASON_NEXT_PROTOCOL;
	*result = parse_ipv4(skb, offset, outer->length - envelope->length, inner);
	return *result == PARSE_MALFORMED || *result == PARSE_SHORT ? REASON_INNER_MALFORMED : 0;
}

/*
 * Sends a tunnelled packet on to another hop, in place: outer addresses, TTL and DF, and of the NSH its
 * TTL and path. Everything else in the outer headers stays, options of others included.
 */
static __always_inline int redirect_tunnel(struct __sk_buff *skb, const struct envelope *envelope, const struct tunnel *tunnel)
{
	struct iphdr *ip;
	struct udphdr *udp;
	__be16 word;

	if (bpf_skb_load_bytes(skb, envelope->nsh, &word, sizeof(word)))
		return -1;
	word = bpf_htons((bpf_ntohs(word) & ~(0x3f << 6)) | (tunnel->ttl << 6));
	if (bpf_skb_store_bytes(skb, envelope->nsh, &word, sizeof(word), 0) ||
	    bpf_skb_store_bytes(skb, envelope->nsh + offsetof(struct nsh_header, path), &tunnel->path, sizeof(tunnel->path), 0))
		return -1;
	ip = frame_start(skb) + ETH_HLEN;
	udp = (void *)(ip + 1);
	if ((void *)(udp + 1) > frame_end(skb))
		return -1;
	ip->frag_off = bpf_htons(IP_DONT_FRAGMENT);
	ip->ttl = OUTER_TTL;
	ip->saddr = tunnel->source;
	ip->daddr = tunnel->destination;
	ip->check = 0;
	ip->check = ipv4_checksum(ip);
	udp->check = 0; /* it would cover the addresses */
	return 0;
}

#define ECN_MASK 3
#define ECN_CE 3
#define ECN_ECT_0 2
#define ECN_ECT_1 1

/*
 * The inner packet's ECN codepoint after the tunnel, RFC 6040 4.2 normal mode: congestion met on the
 * way, and the less severe ECT(1), are told to the inner packet. Not-ECT under CE is the caller's.
 */
static __always_inline __u8 ecn_leaving(__u8 outer, __u8 inner)
{
	if (outer == ECN_CE || (outer == ECN_ECT_1 && inner == ECN_ECT_0))
		return outer;
	return inner;
}

/* Removes the outer headers. 0, or the reason of the drop. */
static __always_inline enum reason unwrap(struct __sk_buff *skb, const struct envelope *envelope, const struct packet *inner)
{
	__u64 gso = inner->protocol == IPPROTO_UDP ? BPF_F_ADJ_ROOM_FIXED_GSO : 0;
	__u8 ecn = ecn_leaving(envelope->tos & ECN_MASK, inner->tos & ECN_MASK);

	if (bpf_skb_adjust_room(skb, -(__s32)envelope->length, BPF_ADJ_ROOM_MAC, gso))
		return REASON_INNER_MALFORMED;
	if (ecn != (inner->tos & ECN_MASK)) {
		__u8 tos = (inner->tos & ~ECN_MASK) | ecn;

		bpf_l3_csum_replace(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, check), bpf_htons(0x4500 | inner->tos),
		                    bpf_htons(0x4500 | tos), 2);
		bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, tos), &tos, 1, 0);
	}
	return 0;
}
