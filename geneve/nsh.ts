/**
 * The Network Service Header (RFC 8300) as it travels in a Geneve option: base header and service
 * path header, MD type 2 without metadata.
 *
 *     +---+-+-+-----------+-----------+-------+-------+---------------+
 *     |Ver|O|U| TTL       | words     | unass.| MD    | next protocol |
 *     +---+-+-+-----------+-----------+-------+-------+---------------+
 *     | service path identifier (SPI)                 | index (SI)    |
 *     +-----------------------------------------------+---------------+
 */

import { type RecordOf, wireHeader } from './field-table.js';

export const NSH_BASE_HEADER = wireHeader('NSH base header', 'RFC 8300 2.2', [
  ['version', 'u2', '0'],
  ['oam', 'u1', 'O: an OAM packet'],
  ['unassigned', 'zero1', 'unassigned'],
  ['ttl', 'u6', 'forwarders that the packet may still meet; one that finds it 0 drops it'],
  ['words', 'u6', 'length of the NSH, in 4-byte words'],
  ['unassigned2', 'zero4', 'unassigned'],
  ['mdType', 'u4', 'format of the metadata'],
  ['nextProtocol', 'u8', '1 = IPv4, 2 = IPv6'],
]);
export type NshBaseHeader = RecordOf<typeof NSH_BASE_HEADER>;

export const NSH_SERVICE_PATH_HEADER = wireHeader('NSH service path header', 'RFC 8300 2.3', [
  ['spi', 'u24', 'service path identifier'],
  ['si', 'u8', 'service index: functions that are left on the path'],
]);

/** Class and type of the Geneve option that holds an NSH; 0x80 of the type is the critical bit. */
export const NSH_OPTION = { class: 0x0132, type: 0x82 } as const;
export const NSH_VERSION = 0;
/** Base and service path header, in 4-byte words. */
export const NSH_WORDS = 2;
export const NSH_MD_TYPE_2 = 2;
export const NSH_NEXT_PROTOCOL = { ipv4: 1, ipv6: 2 } as const;
/** What the classifier sends: the default of RFC 8300 2.2. */
export const NSH_TTL_CLASSIFIER = 63;
/** One more than a packet fresh from the classifier carries. */
export const NSH_TTL_MAX = 64;

/** A service path identifier, 1..2^24-1 on a real path. */
export type Spi = number & { readonly unit: 'SPI' };
/** A service index, 0..255. */
export type Si = number & { readonly unit: 'SI' };

/** Throws RangeError for what 24 bits do not hold. */
export function toSpi(value: number): Spi {
  return within(value, 0xffffff, 'service path identifier') as Spi;
}

/** Throws RangeError for what 8 bits do not hold. */
export function toSi(value: number): Si {
  return within(value, 0xff, 'service index') as Si;
}

/**
 * TTL of a reply to a packet that arrived with `arrivalTtl`: the hops that are left to the
 * classifier. So a reply cannot circle either, whatever was recorded on its way.
 */
export function replyTtl(arrivalTtl: number): number {
  return NSH_TTL_MAX - arrivalTtl;
}

function within(value: number, limit: number, what: string): number {
  if (!Number.isInteger(value) || value < 0 || value > limit) throw new RangeError(`${what} ${value} is not an integer from 0 to ${limit}`);
  return value;
}
