/** Which addresses a testbed gives: one scheme for each family. IPv6 numbers are written with decimal digits, so that both read alike. */

import type { Family } from './family.js';

interface Scheme {
  /** Range of the fabric, and a host of it. */
  readonly fabric: string;
  fabricHost(number: number): string;
  podCidr(node: number): string;
  podHost(node: number, number: number): string;
  /** Of clients behind a pod. */
  readonly clients: string;
  client(number: number): string;
  /** Of the server, outside the cluster. */
  readonly outside: string;
  readonly server: string;
  /** Gateway of routed pods: every pod has the same, it lives on the host side of its own veth. */
  readonly routedGateway: string;
}

export const SCHEMES: Readonly<Record<Family, Scheme>> = {
  4: {
    fabric: '172.30.0.0/24',
    fabricHost: (number) => `172.30.0.${number}`,
    podCidr: (node) => `10.244.${node}.0/24`,
    podHost: (node, number) => `10.244.${node}.${number}`,
    clients: '192.168.77.0/24',
    client: (number) => `192.168.77.${number}`,
    outside: '203.0.113.0/24',
    server: '203.0.113.10',
    routedGateway: '169.254.1.1',
  },
  6: {
    fabric: 'fd30::/64',
    fabricHost: (number) => `fd30::${number}`,
    podCidr: (node) => `fd44:${node}::/64`,
    podHost: (node, number) => `fd44:${node}::${number}`,
    clients: 'fd77::/64',
    client: (number) => `fd77::${number}`,
    outside: '2001:db8:113::/64',
    server: '2001:db8:113::10',
    routedGateway: 'fe80::1',
  },
};
