/** An address of the node itself, which probes have as their inner source. Nothing is ever sent to it. */

import { networkInterfaces } from 'node:os';
import { parseAddress } from '../../geneve/index.js';
import type { Family } from '../../maps/index.js';
import type { Address } from '../../policy/index.js';

/** Of one link only: RFC 3927, RFC 4291 2.5.6. */
const LINK_LOCAL = /^(169\.254\.|fe[89ab])/i;

/** The first that is neither the loopback's nor of one link only; undefined where there is none. */
export function nodeAddress(family: Family, interfaces = networkInterfaces()): Address | undefined {
  for (const info of Object.values(interfaces).flatMap((each) => each ?? [])) {
    if (info.internal || LINK_LOCAL.test(info.address)) continue;
    const address = parseAddress(info.address);
    if (address?.family === family) return address;
  }
  return undefined;
}
