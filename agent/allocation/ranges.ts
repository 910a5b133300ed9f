/** The ranges that service addresses come from: one, or one of each family, as `--service-cluster-ip-range` of a kube-apiserver. Pure. */

import { SfcError } from '../../errors/index.js';
import { type AddressFamily, formatAddress, parseCidr } from '../../geneve/index.js';

export interface ServiceRange {
  readonly family: AddressFamily;
  /** Canonical. */
  readonly text: string;
  readonly prefixLength: number;
  /** First address, 16 bytes. */
  readonly base: Uint8Array;
  /** Addresses that are given out of: of a large IPv6 range the first 2^32. */
  readonly size: number;
}

const IPV4: AddressFamily = 1;
/** Longest prefixes with room for a service, and bits of an address. */
const LONGEST = { 1: 29, 2: 125 } as const;
const BITS = { 1: 32, 2: 128 } as const;
/** Byte at which the last word of an address stands. */
const LAST_WORD = { 1: 0, 2: 12 } as const;
const NAME = { 1: 'IPv4', 2: 'IPv6' } as const;

function parseRange(text: string, all: string): ServiceRange {
  const prefix = parseCidr(text);
  if (prefix === undefined || prefix.prefixLength < 1 || prefix.prefixLength > LONGEST[prefix.family]) {
    const which = text === all ? `serviceCidr ${text}` : `serviceCidr ${all}: ${JSON.stringify(text)}`;
    throw new SfcError(
      'CONFIG_INVALID',
      `${which} is neither an IPv4 range of /1 to /${LONGEST[1]} nor an IPv6 range of /1 to /${LONGEST[2]}`,
    );
  }
  const { family, prefixLength, bytes } = prefix;
  return { family, text: prefix.text, prefixLength, base: bytes, size: 2 ** Math.min(32, BITS[family] - prefixLength) };
}

/**
 * `10.96.0.0/16`, `fd00:96::/112`, or both with a comma between them, the one of the preferred family first.
 * @throws SfcError CONFIG_INVALID
 */
export function parseServiceCidr(text: string): readonly ServiceRange[] {
  const parts = text.split(',');
  const ranges = parts.map((part) => parseRange(part, text));
  const [first, second] = ranges;
  if (ranges.length > 2)
    throw new SfcError('CONFIG_INVALID', `serviceCidr ${text} has ${ranges.length} ranges, and may have one of each family`);
  if (first !== undefined && first.family === second?.family)
    throw new SfcError('CONFIG_INVALID', `serviceCidr ${text} has two ranges of ${NAME[first.family]}, and may have one of each family`);
  return ranges;
}

/** The address that stands so far behind the range's first. */
export function addressAt({ base, family }: ServiceRange, offset: number): string {
  const bytes = Uint8Array.from(base);
  const view = new DataView(bytes.buffer);
  view.setUint32(LAST_WORD[family], view.getUint32(LAST_WORD[family]) + offset);
  return formatAddress(bytes, family);
}

/** @param address canonical text, of either family */
export function isIn({ family, text, prefixLength }: ServiceRange, address: string): boolean {
  return address.includes(':') === (family !== IPV4) && parseCidr(`${address}/${prefixLength}`)?.text === text;
}
