/**
 * Keys and values as TypeScript sees them: field names and meanings are those of `layouts.ts`
 * (padding left out). Integers are plain numbers whatever their byte order on the wire; addresses
 * are 16 bytes with IPv4 in the first four. A test keeps these and the layouts equal.
 */

export type SfcselectKey = {
  /** SELECT_STATIC_BITS + the CIDR prefix length. */
  readonly prefix_len: number;
  readonly endpoint: number;
  readonly family: number;
  readonly flags: number;
  readonly port: number;
  readonly protocol: number;
  readonly address: Uint8Array;
};

export type SfcselectValue = {
  readonly cidr_prefix_len: number;
  readonly last_port: number;
  /** SPI << 8 | SI; 0 in an exception that nothing else covers. */
  readonly path: number;
};

export type SfcportsKey = {
  /** PORTS_STATIC_BITS + the number of leading bits of the port. */
  readonly prefix_len: number;
  readonly endpoint: number;
  readonly flags: number;
  readonly protocol: number;
  readonly port: number;
};

export type SfcportsValue = { readonly first_port: number };

export type SfcpathKey = { readonly path: number };

export type SfcpathValue = {
  readonly service_address: Uint8Array;
  readonly family: number;
  readonly flags: number;
  readonly failure_policy: number;
  /** Seconds. */
  readonly affinity_timeout: number;
  readonly backend_base: number;
  readonly backend_slots: number;
};

export type SfcbackendKey = { readonly slot: number };

export type SfcbackendValue = { readonly address: Uint8Array; readonly family: number };

export type SfcaffinityKey = {
  /** SPI << 8 | SI. */
  readonly path: number;
  readonly family: number;
  readonly client: Uint8Array;
};

export type SfcaffinityValue = {
  /** Coarse monotonic clock, ns. */
  readonly last_seen: number;
  readonly backend: Uint8Array;
  readonly backend_family: number;
};

export type SfcflowKey = {
  readonly ifindex: number;
  readonly family: number;
  readonly protocol: number;
  readonly visit: number;
  readonly address_a: Uint8Array;
  readonly address_b: Uint8Array;
  readonly port_a: number;
  readonly port_b: number;
};

export type SfcflowValue = {
  readonly path: number;
  readonly next_path: number;
  readonly previous_hop: Uint8Array;
  readonly next_hop: Uint8Array;
  readonly previous_local: Uint8Array;
  readonly next_local: Uint8Array;
  readonly endpoint: number;
  readonly role: number;
  readonly flags: number;
  readonly previous_family: number;
  readonly next_family: number;
  readonly ttl: number;
  readonly tcp_state: number;
  readonly generation: number;
  readonly epoch: number;
  /** Coarse monotonic clock, ns. */
  readonly last_seen: number;
  readonly last_tick: number;
  readonly arrival_ttl: number;
  readonly reply_ttl: number;
  readonly latest: number;
  readonly packets: number;
  readonly bytes: number;
  readonly reply_packets: number;
  readonly reply_bytes: number;
  readonly next_ifindex: number;
  readonly next_checked: number;
  readonly next_mtu: number;
  readonly next_path_mtu: number;
  /** 6 bytes, as is the next. */
  readonly next_destination_mac: Uint8Array;
  readonly next_source_mac: Uint8Array;
  readonly previous_ifindex: number;
  readonly previous_checked: number;
  readonly previous_mtu: number;
  readonly previous_path_mtu: number;
  readonly previous_destination_mac: Uint8Array;
  readonly previous_source_mac: Uint8Array;
};

/** A flow of which nothing is known yet: every field zero. */
export const EMPTY_FLOW: SfcflowValue = Object.freeze({
  path: 0,
  next_path: 0,
  previous_hop: new Uint8Array(16),
  next_hop: new Uint8Array(16),
  previous_local: new Uint8Array(16),
  next_local: new Uint8Array(16),
  endpoint: 0,
  role: 0,
  flags: 0,
  previous_family: 0,
  next_family: 0,
  ttl: 0,
  tcp_state: 0,
  generation: 0,
  epoch: 0,
  last_seen: 0,
  last_tick: 0,
  arrival_ttl: 0,
  reply_ttl: 0,
  latest: 0,
  packets: 0,
  bytes: 0,
  reply_packets: 0,
  reply_bytes: 0,
  next_ifindex: 0,
  next_checked: 0,
  next_mtu: 0,
  next_path_mtu: 0,
  next_destination_mac: new Uint8Array(6),
  next_source_mac: new Uint8Array(6),
  previous_ifindex: 0,
  previous_checked: 0,
  previous_mtu: 0,
  previous_path_mtu: 0,
  previous_destination_mac: new Uint8Array(6),
  previous_source_mac: new Uint8Array(6),
});

export type SfcfragmentKey = { readonly ifindex: number; readonly slot: number };

export type SfcfragmentValue = {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly id: number;
  readonly source_port: number;
  readonly destination_port: number;
  readonly family: number;
  readonly protocol: number;
  /** Coarse monotonic clock, ns. */
  readonly last_seen: number;
};

export type SfcquotaKey = { readonly ifindex: number };

export type SfcquotaValue = {
  readonly limit: number;
  readonly flows: number;
  /** Coarse monotonic clock, ns. */
  readonly counted_at: number;
};

export type EndpointKey = { readonly ifindex: number };

export type EndpointValue = {
  readonly id: number;
  readonly flags: number;
  readonly mtu: number;
  readonly generation: number;
  /** 4 bytes. */
  readonly ipv4: Uint8Array;
  readonly ipv6: Uint8Array;
};

export type PeerKey = {
  /** PEER_STATIC_BITS + the CIDR prefix length. */
  readonly prefix_len: number;
  readonly family: number;
  readonly address: Uint8Array;
};

export type PeerValue = {
  readonly flags: number;
  /** Of a pod of this node, else 0. */
  readonly ifindex: number;
};

export type SfcprobeKey = {
  readonly address: Uint8Array;
  readonly family: number;
  readonly port: number;
};

export type SfcprobeValue = {
  /** Coarse monotonic clock, ns; 0 = none has. */
  readonly answered: number;
  readonly sequence: number;
};

export type MetricsKey = { readonly slot: number };

export type MetricsValue = { readonly packets: number; readonly bytes: number };

/** Key and value type of every map. */
export interface MapRecords {
  readonly sfcselect: { readonly key: SfcselectKey; readonly value: SfcselectValue };
  readonly sfcports: { readonly key: SfcportsKey; readonly value: SfcportsValue };
  readonly sfcpath: { readonly key: SfcpathKey; readonly value: SfcpathValue };
  readonly sfcbackend: { readonly key: SfcbackendKey; readonly value: SfcbackendValue };
  readonly sfcaffinity: { readonly key: SfcaffinityKey; readonly value: SfcaffinityValue };
  readonly sfcflow: { readonly key: SfcflowKey; readonly value: SfcflowValue };
  readonly sfcfragment: { readonly key: SfcfragmentKey; readonly value: SfcfragmentValue };
  readonly sfcquota: { readonly key: SfcquotaKey; readonly value: SfcquotaValue };
  readonly endpoint: { readonly key: EndpointKey; readonly value: EndpointValue };
  readonly peer: { readonly key: PeerKey; readonly value: PeerValue };
  readonly sfcprobe: { readonly key: SfcprobeKey; readonly value: SfcprobeValue };
  readonly metrics: { readonly key: MetricsKey; readonly value: MetricsValue };
}
