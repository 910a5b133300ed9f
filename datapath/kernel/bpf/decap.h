/* Reading and removing the outer headers, as docs/wire-format.md asks of a receiver. */
#pragma once

#include "encap.h"

#define GENEVE_MAX_OPTIONS 63 /* of 4 bytes each: the most that a 6-bit length holds */

/* Finds the NSH option. 0, or the reason of the drop. */
__noinline int find_nsh(struct __sk_buff *skb, __u32 offset, __u32 length, struct nsh_header *nsh, __u32 *place)
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

/* Reads the headers behind the outer IP header. 0, or the reason of the drop. */
static __always_inline enum reason open_envelope(struct __sk_buff *skb, const struct packet *outer, struct envelope *envelope)
{
	const __u32 header = outer->family == FAMILY_IPV6 ? sizeof(struct ipv6_header) : sizeof(struct iphdr);
	const __u32 geneve_offset = ETH_HLEN + header + sizeof(struct udphdr);
	struct udphdr *udp;
	struct steering_header *steering;
	struct nsh_header nsh;
	__u32 options, nsh_word;
	__be16 protocol;

	if (outer->length < geneve_offset - ETH_HLEN + sizeof(struct geneve_header))
		return REASON_GENEVE_MALFORMED;
	if (ensure(skb, geneve_offset + sizeof(struct geneve_header)))
		return REASON_GENEVE_MALFORMED;
	udp = frame_start(skb) + ETH_HLEN + header;
	steering = (void *)(udp + 1);
	if ((void *)(&steering->geneve + 1) > frame_end(skb))
		return REASON_GENEVE_MALFORMED;
	if (bpf_ntohs(udp->len) != outer->length - header)
		return REASON_OUTER_MALFORMED;
	if (steering->geneve.version_opt_len >> 6)
		return REASON_GENEVE_VERSION;
	if (steering->geneve.control_critical & GENEVE_CONTROL) /* RFC 8926 3.4: its payload is never forwarded */
		return REASON_CONTROL;
	options = (steering->geneve.version_opt_len & 0x3f) * 4;
	if (geneve_offset - ETH_HLEN + sizeof(struct geneve_header) + options > outer->length)
		return REASON_GENEVE_MALFORMED;
	envelope->family = outer->family;
	envelope->checksum = udp->check;
	envelope->reply = udp->source & bpf_htons(SOURCE_PORT_REPLY);
	envelope->length = geneve_offset - ETH_HLEN + sizeof(struct geneve_header) + options;
	protocol = steering->geneve.protocol;

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
	if (protocol == bpf_htons(ETH_P_IP) && nsh.next_protocol == NSH_NEXT_IPV4)
		envelope->inner_family = FAMILY_IPV4;
	else if (protocol == bpf_htons(ETH_P_IPV6) && nsh.next_protocol == NSH_NEXT_IPV6)
		envelope->inner_family = FAMILY_IPV6;
	else
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
	/* At most 308 bytes, which the verifier does not know. */
	__u32 offset = ETH_HLEN + (envelope->length & 0x1ff);
	__u8 *version;

	if (outer->length <= envelope->length || ensure(skb, offset + sizeof(*version)))
		return REASON_INNER_MALFORMED;
	version = frame_start(skb) + offset;
	if ((void *)(version + 1) > frame_end(skb))
		return REASON_INNER_MALFORMED;
	if (*version >> 4 != (envelope->inner_family == FAMILY_IPV6 ? 6 : 4))
		return REASON_NEXT_PROTOCOL;
	if (envelope->inner_family == FAMILY_IPV6)
		*result = parse_ipv6(skb, offset, outer->length - envelope->length, inner);
	else
		*result = parse_ipv4(skb, offset, outer->length - envelope->length, inner);
	return *result == PARSE_MALFORMED || *result == PARSE_SHORT ? REASON_INNER_MALFORMED : 0;
}

/* The sum over `length` bytes of the frame from `offset` on, and `sum`. Not folded; bytes that cannot be read make it wrong. */
__noinline int sum_of_frame(struct __sk_buff *skb, __u32 offset, __u32 length, __u32 sum)
{
	struct scratch *own = own_scratch();
	__u8 *part;

	if (!own)
		return 0;
	part = own->message;
	for (int i = 0; i < 0x10000 / MESSAGE_MAX && length >= MESSAGE_MAX; i++) {
		if (bpf_skb_load_bytes(skb, offset, part, MESSAGE_MAX))
			return 0;
		sum = fold_sum(bpf_csum_diff(NULL, 0, (__be32 *)part, MESSAGE_MAX, sum));
		offset += MESSAGE_MAX;
		length -= MESSAGE_MAX;
	}
	length &= MESSAGE_MAX - 1;
	if (!length)
		return sum;
	__builtin_memset(part, 0, MESSAGE_MAX);
	if (bpf_skb_load_bytes(skb, offset, part, length))
		return 0;
	return fold_sum(bpf_csum_diff(NULL, 0, (__be32 *)part, MESSAGE_MAX, sum));
}

/*
 * Does the outer UDP checksum fit? First as it was made, from headers alone: what the inner packet's own checksum covers it
 * need not cover twice, and a packet of this machine may not have that one yet. Then over all that is there, as somebody
 * else may have made it. Of GSO packets the segments had one each, which the kernel has looked at.
 */
static __always_inline bool checksum_fits(struct __sk_buff *skb, const struct packet *outer, const struct envelope *envelope,
                                          const struct packet *inner)
{
	__u32 header = outer->header_length & 0x7f, length = outer->length - header, sum, rest;
	const __u32 own = sizeof(struct udphdr) + sizeof(struct steering_header);
	void *udp;

	if (!envelope->checksum || skb->gso_size)
		return true;
	sum = fold_sum(sum_pairs(bpf_htons(length) + bpf_htons(IPPROTO_UDP), &outer->source, 8)); /* both addresses */
	rest = sum_of_inner(skb, ETH_HLEN + (envelope->length & 0x1ff), inner);
	if (rest != NOT_KNOWN) {
		udp = frame_start(skb) + ETH_HLEN + header;
		if (envelope->length == header + own && udp + own <= frame_end(skb)) /* as we write it */
			rest = sum_pairs(sum + rest, udp, own / 4);
		else
			rest = sum_of_frame(skb, ETH_HLEN + header, envelope->length - header, sum + rest);
		if (fold_sum(rest) == 0xffff)
			return true;
	}
	return fold_sum(sum_of_frame(skb, ETH_HLEN + header, length, sum)) == 0xffff;
}

/*
 * Sends a tunnelled packet on to another hop, in place: outer addresses, TTL and DF, and of the NSH its
 * TTL and path. Everything else in the outer headers stays, options of others included.
 */
static __always_inline int redirect_tunnel(struct __sk_buff *skb, const struct envelope *envelope, const struct tunnel *tunnel)
{
	__be16 words[4]; /* of the NSH: version, TTL and length; MD type and next protocol; path */
	__u32 before, after;

	if (bpf_skb_load_bytes(skb, envelope->nsh, words, sizeof(words)))
		return -1;
	before = sum_words(0, words, 4);
	words[0] = bpf_htons((bpf_ntohs(words[0]) & ~(0x3f << 6)) | (tunnel->ttl << 6));
	__builtin_memcpy(words + 2, &tunnel->path, sizeof(tunnel->path));
	after = sum_words(0, words, 4);
	if (bpf_skb_store_bytes(skb, envelope->nsh, words, sizeof(words), 0))
		return -1;
	if (envelope->family == FAMILY_IPV6) {
		struct ipv6_header *ip = frame_start(skb) + ETH_HLEN;
		struct udphdr *udp = (void *)(ip + 1);

		if ((void *)(udp + 1) > frame_end(skb))
			return -1;
		before = fold_sum(sum_words(before, &ip->source, 16));
		ip->hop_limit = OUTER_TTL;
		ip->source = tunnel->source;
		ip->destination = tunnel->destination;
		after = fold_sum(sum_words(after, &ip->source, 16));
		if (udp->check) { /* RFC 1624, equation 3 */
			__u16 check = ~fold_sum(less(fold_sum((__u16)~udp->check + after), before));

			udp->check = check ? check : 0xffff;
		}
	} else {
		struct iphdr *ip = frame_start(skb) + ETH_HLEN;
		struct udphdr *udp = (void *)(ip + 1);

		if ((void *)(udp + 1) > frame_end(skb))
			return -1;
		ip->frag_off = bpf_htons(IP_DONT_FRAGMENT);
		ip->ttl = OUTER_TTL;
		ip->saddr = tunnel->source.word[0];
		ip->daddr = tunnel->destination.word[0];
		ip->check = 0;
		ip->check = ipv4_checksum(ip);
		udp->check = 0; /* it would cover the addresses */
	}
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

/* Writes it into the IP header behind the Ethernet header. */
static __always_inline void tell_ecn(struct __sk_buff *skb, const struct packet *inner, __u8 ecn)
{
	__u8 tos = (inner->tos & ~ECN_MASK) | ecn;
	__be16 word; /* of IPv6: version, traffic class, the first four bits of the flow label */

	if (inner->family == FAMILY_IPV6) {
		if (bpf_skb_load_bytes(skb, ETH_HLEN, &word, sizeof(word)))
			return;
		word = (word & bpf_htons(0xf00f)) | bpf_htons((__u16)tos << 4);
		bpf_skb_store_bytes(skb, ETH_HLEN, &word, sizeof(word), BPF_F_RECOMPUTE_CSUM);
		return;
	}
	bpf_l3_csum_replace(skb, ETH_HLEN + offsetof(struct iphdr, check), bpf_htons(0x4500 | inner->tos), bpf_htons(0x4500 | tos), 2);
	bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, tos), &tos, 1, 0);
}

/* Removes the outer headers. 0, or the reason of the drop. */
static __always_inline enum reason unwrap(struct __sk_buff *skb, const struct envelope *envelope, const struct packet *inner)
{
	__u64 flags = inner->protocol == IPPROTO_UDP ? BPF_F_ADJ_ROOM_FIXED_GSO : 0;
	__u8 ecn = ecn_leaving(envelope->tos & ECN_MASK, inner->tos & ECN_MASK);

	if (skb->mark == WRAPPED_MARK) /* it is wrapped no more */
		skb->mark = 0;
	if (envelope->family != inner->family)
		flags |= decapsulation_to(inner->family);
	if (bpf_skb_adjust_room(skb, -(__s32)envelope->length, BPF_ADJ_ROOM_MAC, flags))
		return REASON_INNER_MALFORMED;
	if (envelope->family != inner->family && set_ethertype(skb, inner->family))
		return REASON_INNER_MALFORMED;
	if (ecn != (inner->tos & ECN_MASK))
		tell_ecn(skb, inner, ecn);
	return 0;
}
