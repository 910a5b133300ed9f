/* Counting: every packet that this datapath forwards or drops is counted once, under one reason. */
#pragma once

#include "maps.h"
#include "reasons.h"

/* bytes: IP length of the packet as the program met it. */
static __always_inline void count(enum reason reason, enum direction direction, __u32 bytes)
{
	__u32 slot = (__u32)reason * 2 + direction;
	struct metrics_value *counter = bpf_map_lookup_elem(&metrics, &slot);

	if (counter) { /* per CPU, and bottom halves are off in tc: no atomic needed */
		counter->packets += 1;
		counter->bytes += bytes;
	}
}
