/** The node that packets are measured on: two pods of it, one selected, a path of one function, selectors. */

import { addressFor, bytesOf, CAST, CAST6, type Version } from '../datapath/cast.js';
import { ENDPOINT_FLAG, FAMILY, PEER_FLAG, type TypedMaps } from '../maps/index.js';

export const SELECTOR_COUNTS = [1, 100, 16_384] as const;
export type SelectorCount = (typeof SELECTOR_COUNTS)[number];
export const CASES = ['no match', 'first packet', 'established', 'decapsulation'] as const;
export type Case = (typeof CASES)[number];

/** Interfaces of the two pods. */
export interface Interfaces {
  readonly vpn: number;
  readonly firewall: number;
}

const VPN = 1;
const FIREWALL = 2;

const FAMILY_OF = { 4: FAMILY.ipv4, 6: FAMILY.ipv6 } as const;

/** Writes pods, peers and path; packets and tunnels are of this version of IP. */
export function furnish(maps: TypedMaps, interfaces: Interfaces, version: Version = 4): void {
  const endpoint = (ifindex: number, id: number, name: 'vpn' | 'firewall', flags: number) =>
    maps.endpoint.set(
      { ifindex },
      {
        id,
        flags: ENDPOINT_FLAG.ipv4 | ENDPOINT_FLAG.ipv6 | flags,
        mtu: 1500,
        generation: 1,
        ipv4: bytesOf(CAST[name]).slice(0, 4),
        ipv6: bytesOf(CAST6[name]),
      },
    );
  endpoint(interfaces.vpn, VPN, 'vpn', ENDPOINT_FLAG.selectsAllPorts | ENDPOINT_FLAG.selectsPorts);
  endpoint(interfaces.firewall, FIREWALL, 'firewall', 0);
  const [range, length] = version === 6 ? (['fd00::10.244.0.0', 112] as const) : (['10.244.0.0', 16] as const);
  maps.peer.set(
    { prefix_len: 32 + length, family: FAMILY_OF[version], address: bytesOf(range) },
    { flags: PEER_FLAG.trusted | PEER_FLAG.decapsulates, ifindex: 0 },
  );
  maps.sfcbackend.set({ slot: 0 }, { address: bytesOf(addressFor('firewall', version)), family: FAMILY_OF[version] });
  maps.sfcpath.set(
    { path: 0x101 },
    {
      service_address: bytesOf('10.96.0.1'),
      family: 1,
      flags: 0,
      failure_policy: 0,
      affinity_timeout: 0,
      backend_base: 0,
      backend_slots: 1,
    },
  );
}

/**
 * Writes the selector that matches, and others of the same endpoint with prefixes of every length from 9 to 32 bits, of IPv6 behind
 * the 96 bits that the cast's addresses share.
 */
export function select(maps: TypedMaps, count: number, version: Version = 4): void {
  const shared = version === 6 ? 96 : 0;
  const add = (address: Uint8Array, length: number, port: number) =>
    maps.sfcselect.set(
      { prefix_len: 64 + shared + length, endpoint: VPN, family: FAMILY_OF[version], flags: 1, port, protocol: 6, address },
      { cidr_prefix_len: shared + length, last_port: port, path: 0x101 },
    );
  add(bytesOf(version === 6 ? 'fd00::203.0.113.0' : '203.0.113.0'), 24, 0);
  for (let n = 1; n < count; n++) {
    const length = 9 + (n % 24);
    const spread = Math.imul(n, 0x9e3779b1) >>> 0;
    const network = (0x0a000000 | (spread & 0x00ffffff)) & (-1 << (32 - length));
    const address = version === 6 ? bytesOf('fd00::') : new Uint8Array(16);
    new DataView(address.buffer).setInt32(shared / 8, network);
    add(address, length, n % 2 === 0 ? 0 : 1 + (n % 60_000));
  }
}
