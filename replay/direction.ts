/**
 * Which way a captured packet went, in a capture taken at a pod's interface: there every packet is
 * either from the pod or to it.
 */

import { LINK_TYPE, type LinkReader, WAY } from '../capture/index.js';
import { ETHERTYPE } from '../geneve/index.js';
import { DIRECTION } from '../maps/index.js';
import type { Address } from '../policy/index.js';

/** `auto`: told from each packet. */
export const WAYS = ['auto', 'from-pod', 'to-pod'] as const;
export type Ways = (typeof WAYS)[number];

const MAC_LENGTH = 6;
/** Bytes of an Ethernet frame at which its source stands. */
const SOURCE_MAC = 6;
/** Bytes of an IP header at which its addresses stand, and how long they are. */
const PLACES = { 1: { source: 12, destination: 16, length: 4 }, 2: { source: 8, destination: 24, length: 16 } } as const;

/**
 * A Linux cooked header says it (of a capture inside the pod). With Ethernet the pod's Ethernet address
 * does: a packet from or to one of the pod's IP addresses shows it; until one does, the first packet
 * counts as from the pod (a pod that forwards for others may never show its own). Without Ethernet a
 * packet to one of the pod's addresses is to the pod and every other from it.
 */
export class DirectionReader {
  readonly #fixed: number | undefined;
  readonly #addresses: readonly Address[];
  readonly #ethernet: boolean;
  readonly #mac = new Uint8Array(MAC_LENGTH);
  #known: 'no' | 'guessed' | 'shown' = 'no';

  constructor(ways: Ways, addresses: readonly Address[], linkType: number) {
    this.#fixed = ways === 'auto' ? undefined : ways === 'from-pod' ? DIRECTION.fromPod : DIRECTION.toPod;
    this.#addresses = addresses;
    this.#ethernet = linkType === LINK_TYPE.ethernet;
  }

  /** Of an IP packet whose addresses are there. `link` has read the frame. */
  read(frame: Uint8Array, link: LinkReader): number {
    if (this.#fixed !== undefined) return this.#fixed;
    if (link.way !== WAY.unknown) return link.way === WAY.sent ? DIRECTION.fromPod : DIRECTION.toPod;
    const isTo = this.#isOwn(frame, link, 'destination');
    if (!this.#ethernet) return isTo ? DIRECTION.toPod : DIRECTION.fromPod;
    if (this.#known !== 'shown') {
      const isFrom = this.#isOwn(frame, link, 'source');
      if (isFrom !== isTo) this.#learn(frame, isFrom ? SOURCE_MAC : 0, 'shown');
      else if (this.#known === 'no') this.#learn(frame, SOURCE_MAC, 'guessed');
    }
    for (let byte = 0; byte < MAC_LENGTH; byte++) if (frame[SOURCE_MAC + byte] !== this.#mac[byte]) return DIRECTION.toPod;
    return DIRECTION.fromPod;
  }

  #isOwn(frame: Uint8Array, { type, offset }: LinkReader, which: 'source' | 'destination'): boolean {
    const version = type === ETHERTYPE.ipv6 ? 2 : 1;
    const place = PLACES[version];
    const at = offset + place[which];
    return this.#addresses.some(({ family, bytes }) => {
      if (family !== version) return false;
      for (let byte = 0; byte < place.length; byte++) if (bytes[byte] !== frame[at + byte]) return false;
      return true;
    });
  }

  #learn(frame: Uint8Array, at: number, known: 'guessed' | 'shown'): void {
    this.#mac.set(frame.subarray(at, at + MAC_LENGTH));
    this.#known = known;
  }
}
