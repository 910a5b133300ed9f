/*
 * Which instance of a function a flow goes to: asked once a flow, at its first packet.
 *
 *     affinity? ── entry of (path, client), not timed out ──► the instance that the client has
 *         │                                     │ none
 *         no                                    ▼
 *         └─► slot of the 5-tuple's hash      slot of the client's hash, and the entry is written
 *
 * An entry names an instance that takes new flows: the agent deletes those whose instance has left.
 */
#pragma once

#include "flow.h"
#include "maps.h"
#include "packet.h"

/* An instance: its address, and the family of that. */
struct backend {
	struct address address;
	__u8 family;
};

/* The instance of a hash in the path's table; false when there is none. */
static __always_inline bool backend_of_hash(struct backend *chosen, const struct sfcpath_value *path, __u32 hash)
{
	__u32 slots = path->backend_slots;
	struct sfcbackend_value *backend;
	__u32 slot;

	if (slots == 0)
		return false;
	slot = path->backend_base + hash % slots;
	backend = bpf_map_lookup_elem(&sfcbackend, &slot);
	if (!backend || !backend->family)
		return false;
	chosen->address = *(struct address *)backend->address;
	chosen->family = backend->family;
	return true;
}

/*
 * The instance that the packet's client has or now gets. A new client's is told by the hash of its
 * address, so that its first packets come to one instance though they meet on two CPUs or two nodes.
 */
static __noinline bool backend_of_client(struct backend *chosen, const struct sfcpath_value *path, __be32 path_id,
                                         const struct packet *packet)
{
	struct sfcaffinity_key key = {.path = path_id};
	struct sfcaffinity_value fresh = {};
	struct sfcaffinity_value *known;
	__u64 now;

	if (!chosen || !path || !packet || path->backend_slots == 0)
		return false;
	now = bpf_ktime_get_coarse_ns();
	key.family = packet->family;
	*(struct address *)key.client = packet->source;
	known = bpf_map_lookup_elem(&sfcaffinity, &key);
	/* A sum, because another CPU may have written a time that is ahead of `now`. */
	if (known && now <= known->last_seen + path->affinity_timeout * NSEC_PER_SEC) {
		known->last_seen = now;
		chosen->address = *(struct address *)known->backend;
		chosen->family = known->backend_family;
		return true;
	}
	if (!backend_of_hash(chosen, path, client_hash(packet)))
		return false;
	fresh.last_seen = now;
	*(struct address *)fresh.backend = chosen->address;
	fresh.backend_family = chosen->family;
	bpf_map_update_elem(&sfcaffinity, &key, &fresh, BPF_ANY);
	return true;
}

/* The instance for a packet on a path; false when the path has none. */
static __always_inline bool choose_backend(struct backend *chosen, const struct sfcpath_value *path, __be32 path_id,
                                           const struct packet *packet)
{
	if (path->flags & PATH_FLAG_AFFINITY)
		return backend_of_client(chosen, path, path_id, packet);
	return backend_of_hash(chosen, path, flow_hash(packet));
}
