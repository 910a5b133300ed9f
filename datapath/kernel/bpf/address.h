/* Addresses as the maps hold them: 16 bytes, IPv4 in the first four, big-endian. */
#pragma once

#include <stdbool.h>

#include <linux/types.h>
#include <bpf/bpf_endian.h>

#include "layouts.h"

struct address {
	__u32 word[4];
};

static __always_inline bool same_address(const void *left, const void *right)
{
	const __u32 *one = left, *other = right;

	return one[0] == other[0] && one[1] == other[1] && one[2] == other[2] && one[3] == other[3];
}

/*
 * Does the address name more than one interface, or none beyond the link? Packets to it stay on their link,
 * which no function is on: multicast (RFC 5771, RFC 4291 2.7), broadcast, link-local of IPv6 (RFC 4291 2.5.6).
 */
static __always_inline bool stays_on_link(const struct address *address, __u8 family)
{
	__u32 first = bpf_ntohl(address->word[0]);

	if (family == FAMILY_IPV6)
		return first >> 24 == 0xff || first >> 22 == 0xfe80 >> 6;
	return first >> 28 == 0xe || first == 0xffffffff;
}

/* The unspecified address, and loopback (RFC 1122 3.2.1.3, RFC 4291 2.5.2, 2.5.3): nobody can be answered there. */
static __always_inline bool is_nobody(const struct address *address)
{
	if (address->word[1] || address->word[2])
		return false;
	if (!address->word[3])
		return !address->word[0] || bpf_ntohl(address->word[0]) >> 24 == 127;
	return !address->word[0] && address->word[3] == bpf_htonl(1);
}
