/* The maps. Layouts are generated; capacities are defaults that the loader may change. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "layouts.h"

#define SFC_MAP(map_name, map_type, map_flags_value, entries)  \
	struct {                                                   \
		__uint(type, map_type);                                \
		__uint(map_flags, map_flags_value);                    \
		__uint(max_entries, entries);                          \
		__type(key, struct map_name##_key);                    \
		__type(value, struct map_name##_value);                \
	} map_name SEC(".maps")

/* Array maps are indexed by a plain integer: the kernel takes no struct in their BTF. */
#define SFC_ARRAY(map_name, map_type, entries)                 \
	struct {                                                   \
		__uint(type, map_type);                                \
		__uint(max_entries, entries);                          \
		__type(key, __u32);                                    \
		__type(value, struct map_name##_value);                \
	} map_name SEC(".maps")

SFC_MAP(sfcselect, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, SFCSELECT_CAPACITY);
SFC_MAP(sfcports, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, SFCPORTS_CAPACITY);
SFC_MAP(sfcpath, BPF_MAP_TYPE_HASH, 0, SFCPATH_CAPACITY);
SFC_ARRAY(sfcbackend, BPF_MAP_TYPE_ARRAY, SFCBACKEND_CAPACITY);
SFC_MAP(sfcaffinity, BPF_MAP_TYPE_LRU_HASH, 0, SFCAFFINITY_CAPACITY);
SFC_MAP(sfcflow, BPF_MAP_TYPE_LRU_HASH, 0, SFCFLOW_CAPACITY);
SFC_MAP(sfcfragment, BPF_MAP_TYPE_LRU_HASH, 0, SFCFRAGMENT_CAPACITY);
SFC_MAP(sfcquota, BPF_MAP_TYPE_HASH, 0, SFCQUOTA_CAPACITY);
SFC_MAP(endpoint, BPF_MAP_TYPE_HASH, 0, ENDPOINT_CAPACITY);
SFC_MAP(peer, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, PEER_CAPACITY);
SFC_MAP(sfcprobe, BPF_MAP_TYPE_HASH, 0, SFCPROBE_CAPACITY);
SFC_ARRAY(metrics, BPF_MAP_TYPE_PERCPU_ARRAY, METRICS_CAPACITY);

/*
 * Changes whenever the agent has written endpoint entries. A flow that was checked in this epoch
 * needs no look-up of its endpoint; one that was not compares generations and takes the epoch over.
 */
volatile __u32 policy_epoch SEC(".data.policy") = 0;

/* Set by the loader before the program is loaded; host order. */
const volatile __u16 steering_port = 7081;
