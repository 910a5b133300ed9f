/** Which addresses and ranges a cluster has. The scheme of addresses is the testbed's. */

import { type Family, SCHEMES } from '../../demo/testbed/index.js';

/** Of pods, nodes and services. `dual`: IPv4 is primary. */
export type IpFamilies = '4' | '6' | 'dual';

/** Numbers of hosts on the network between the nodes; a node's is its number and 10. */
export const CONTROL_PLANE = 10;
export const OUTSIDE = 200;
export const nodeHost = (node: number): number => CONTROL_PLANE + node;

interface Ranges {
  readonly services: string;
  /** The first address of the range, which the API server takes for itself. */
  readonly apiService: string;
  readonly pods: string;
}

const RANGES: Readonly<Record<Family, Ranges>> = {
  4: { services: '10.96.0.0/16', apiService: '10.96.0.1', pods: '10.244.0.0/16' },
  6: { services: 'fd96::/112', apiService: 'fd96::1', pods: 'fd44::/16' },
};

export interface Numbers {
  /** The first is the primary one. */
  readonly families: readonly Family[];
  /** Address of a host, of the primary family. */
  host(number: number): string;
  hostOf(family: Family, number: number): string;
  readonly serviceRanges: readonly string[];
  readonly apiServices: readonly string[];
  readonly podRanges: readonly string[];
  /** Ranges of one node's pods. */
  podCidrs(node: number): readonly string[];
}

export function numbersOf(form: IpFamilies): Numbers {
  const families: readonly Family[] = form === 'dual' ? [4, 6] : [form === '4' ? 4 : 6];
  const [primary = 4] = families;
  const hostOf = (family: Family, number: number) => SCHEMES[family].fabricHost(number);
  const ranges = families.map((family) => RANGES[family]);
  return {
    families,
    host: (number) => hostOf(primary, number),
    hostOf,
    serviceRanges: ranges.map(({ services }) => services),
    apiServices: ranges.map(({ apiService }) => apiService),
    podRanges: ranges.map(({ pods }) => pods),
    podCidrs: (node) => families.map((family) => SCHEMES[family].podCidr(node)),
  };
}
