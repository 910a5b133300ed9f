/**
 * Where packets of this node go encapsulated, and over which outer family. Pure.
 *
 * To an instance: over the family of its primary address. To a peer's pod behind the end of a chain (service index
 * 0), or back to where a flow came from: over the family of that address, as far as that family is steered at all.
 */

import { FAMILY, type Family } from '../../maps/index.js';
import type { Cidr, CompileInput, DesiredState } from '../../policy/index.js';

type World = CompileInput['world'];

export interface Destination extends Pick<Cidr, 'family' | 'bytes' | 'prefixLength'> {
  readonly node: string;
}

const ADDRESS_BITS = { [FAMILY.ipv4]: 32, [FAMILY.ipv6]: 128 } as const;

/** Families of outer headers that there can be: those of instances, and those that selectors name. None without selectors. */
export function outerFamilies({ selectors }: World, { paths }: DesiredState): ReadonlySet<Family> {
  if (selectors.length === 0) return new Set();
  const named = selectors.flatMap(({ rules }) => rules.map(({ cidr }) => cidr?.family));
  const instances = paths.flatMap(({ backends, others }) => [...backends, ...others].map(({ address }) => address.family));
  const every = named.includes(undefined) ? [FAMILY.ipv4, FAMILY.ipv6] : [];
  return new Set([...every, ...instances, ...named.filter((family) => family !== undefined)]);
}

/**
 * @param families of outer headers that this node's pods can send
 * @returns each once; none on this node itself
 */
export function destinationsOf({ paths, peers }: DesiredState, node: string, families: ReadonlySet<Family>): Destination[] {
  const found = new Map<string, Destination>();
  const add = (one: Destination) => {
    if (one.node !== node && families.has(one.family)) found.set(`${one.node} ${one.family} ${one.prefixLength} ${one.bytes}`, one);
  };
  for (const { node: peer, cidr } of peers) add({ node: peer, ...cidr });
  for (const { backends, others } of paths)
    for (const { node: host, address } of [...backends, ...others])
      add({ node: host, ...address, prefixLength: ADDRESS_BITS[address.family] });
  return [...found.values()];
}
