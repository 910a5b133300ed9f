/** Over which devices a range of addresses is reached. Pure. */

import { maskAddress, parseAddress } from '../../geneve/index.js';
import type { Cidr } from '../../policy/index.js';
import type { Route } from '../discovery/index.js';

type Range = Pick<Cidr, 'family' | 'bytes' | 'prefixLength'>;

const keyOf = ({ family, bytes }: Range, prefixLength: number) =>
  `${family}/${prefixLength}/${Buffer.from(maskAddress(bytes, prefixLength)).toString('hex')}`;

/** Devices by prefix, and which lengths there are: a table is asked once a length, not once a route. */
interface Indexed {
  readonly devices: ReadonlyMap<string, ReadonlySet<string>>;
  readonly ranges: readonly (Range & { readonly dev: string })[];
  /** Longest first. */
  readonly lengths: readonly number[];
}

/** Routes that send packets on; the others (`blackhole`, …) lead nowhere. */
function indexed(routes: readonly Route[]): Indexed {
  const devices = new Map<string, Set<string>>();
  const ranges: (Range & { dev: string })[] = [];
  for (const { network, prefixLength, type, dev } of routes) {
    const address = type === 'unicast' && dev !== '' ? parseAddress(network) : undefined;
    if (address === undefined) continue;
    const range = { family: address.family, bytes: address.bytes, prefixLength, dev };
    ranges.push(range);
    const key = keyOf(range, prefixLength);
    devices.set(key, (devices.get(key) ?? new Set()).add(dev));
  }
  return { devices, ranges, lengths: [...new Set(ranges.map((range) => range.prefixLength))].sort((a, b) => b - a) };
}

/**
 * For each range the devices of the routes within it, and of the longest one that holds it; not of the default
 * route where others lie within: it takes no packet then that anybody meant to send. A range without a route has none.
 */
export function devicesTo(ranges: readonly Range[], routes: readonly Route[]): ReadonlySet<string>[] {
  const table = indexed(routes);
  const asked = new Map<string, Set<string>>(ranges.map((range) => [keyOf(range, range.prefixLength), new Set<string>()]));
  const lengths = [...new Set(ranges.map((range) => range.prefixLength))];
  for (const route of table.ranges)
    for (const length of lengths) if (length < route.prefixLength) asked.get(keyOf(route, length))?.add(route.dev);
  return ranges.map((range) => {
    const within = asked.get(keyOf(range, range.prefixLength)) ?? new Set<string>();
    const around = table.lengths.find((length) => length <= range.prefixLength && table.devices.has(keyOf(range, length)));
    if (around === undefined || (around === 0 && within.size > 0)) return within;
    return new Set([...within, ...(table.devices.get(keyOf(range, around)) ?? [])]);
  });
}
