/** Endpoint ids: 1..65535, unique on the node, the same after a restart wherever possible. Pure. */

/** FNV-1a, 32 bits, folded to 1..65535. */
function hashedId(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193) >>> 0;
  return (((hash >>> 16) ^ (hash & 0xffff)) % 65535) + 1;
}

export interface IdRequest {
  /** `namespace/name`. */
  readonly pod: string;
  readonly ifindex: number;
  /** Canonical text. */
  readonly addresses: readonly string[];
}

/** An entry of the `endpoint` map. */
export interface KnownEndpoint {
  readonly id: number;
  readonly ifindex: number;
  /** Every address of the entry, canonical text. */
  readonly addresses: readonly string[];
}

/**
 * An entry of the same interface and one of the addresses keeps its id (its flows and selectors carry it);
 * others start from a hash of the pod's key and probe upwards. An id that some entry still holds is
 * never given to another pod, because flows of the old one may live.
 * @returns ids by pod; a pod for which none is left is missing
 */
export function assignEndpointIds(requests: readonly IdRequest[], known: readonly KnownEndpoint[]): Map<string, number> {
  const ids = new Map<string, number>();
  const taken = new Set(known.map((entry) => entry.id));
  const fresh: IdRequest[] = [];
  for (const request of requests) {
    const same = known.find(
      (entry) => entry.ifindex === request.ifindex && request.addresses.some((address) => entry.addresses.includes(address)),
    );
    if (same === undefined) fresh.push(request);
    else ids.set(request.pod, same.id);
  }
  for (const request of [...fresh].sort((a, b) => (a.pod < b.pod ? -1 : 1))) {
    if (taken.size >= 65535) break;
    let id = hashedId(request.pod);
    while (taken.has(id)) id = (id % 65535) + 1;
    taken.add(id);
    ids.set(request.pod, id);
  }
  return ids;
}
