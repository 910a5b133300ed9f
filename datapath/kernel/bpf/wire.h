/* What stands on the wire between two hops (docs/wire-format.md). Packet bytes, big-endian. */
#pragma once

#include <linux/types.h>

struct geneve_header {      /* RFC 8926 3.4 */
	__u8 version_opt_len;   /* version 2 bits, option length 6 bits, in 4-byte words */
	__u8 control_critical;  /* O, C, reserved 6 bits */
	__be16 protocol;        /* ethertype of the inner packet */
	__be32 vni_reserved;
};

struct geneve_option {      /* RFC 8926 3.5 */
	__be16 class;
	__u8 type;              /* bit 7: critical */
	__u8 length;            /* reserved 3 bits, length 5 bits in 4-byte words, header not counted */
};

struct nsh_header {         /* RFC 8300 2.2, 2.3; MD type 2 without metadata */
	__be16 version_ttl_length; /* version 2, O 1, reserved 1, TTL 6, length 6 in 4-byte words */
	__u8 md_type;           /* reserved 4, MD type 4 */
	__u8 next_protocol;
	__be32 path;            /* SPI 24, SI 8 */
};

struct steering_header {    /* what follows the outer UDP header when we write it */
	struct geneve_header geneve;
	struct geneve_option option;
	struct nsh_header nsh;
};

_Static_assert(sizeof(struct steering_header) == 20, "Geneve 8, option 4, NSH 8");

#define GENEVE_CONTROL 0x80
#define GENEVE_CRITICAL 0x40
#define GENEVE_OPTION_CRITICAL 0x80
#define GENEVE_OPT_WORDS 3
#define NSH_OPTION_CLASS 0x0132
#define NSH_OPTION_TYPE 0x82
#define NSH_WORDS 2
#define NSH_OAM 0x2000
#define NSH_MD_TYPE_2 2
#define NSH_NEXT_IPV4 1
#define NSH_NEXT_IPV6 2
#define NSH_TTL_CLASSIFIER 63 /* RFC 8300 2.2: the default initial TTL */
#define NSH_TTL_MAX 64        /* one more than a packet fresh from the classifier carries */

#define OUTER_TTL 64
#define IP_DONT_FRAGMENT 0x4000
#define SOURCE_PORT_BASE 0x8000  /* bit 15 set */
#define SOURCE_PORT_REPLY 0x0001 /* bit 0: direction */
