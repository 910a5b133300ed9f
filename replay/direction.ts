/**
 * Which way a captured packet went, in a capture taken at a pod's interface: there every packet is
 * either from the pod or to it.
 */

import { LINK_TYPE, type LinkReader, WAY } from '../capture/index.js';
import { DIRECTION } from '../maps/index.js';
import type { Address } from '../policy/index.js';

/** `auto`: told from each packet. */
export const WAYS = ['auto', 'from-pod', 'to-pod'] as const;
export type Ways = (typeof WAYS)[number];

const MAC_LENGTH = 6;
/** Bytes of an Ethernet frame at which its source stands. */
const SOURCE_MAC = 6;
const IPV4_SOURCE = 12;
const IPV4_DESTINATION = 16;

/**
 * A Linux cooked header says it (of a capture inside the pod). With Ethernet the pod's Ethernet address
 * does: a packet from or to one of the pod's IP addresses shows it; until one does, the first packet
 * counts as from the pod (a pod that forwards for others may never show its own). Without Ethernet a
 * packet to one of the pod's addresses is to the pod and every other from it.
 */
export class DirectionReader {
  readonly #fixed: number | undefined;
  readonly #words: readonly number[];
  readonly #ethernet: boolean;
  readonly #mac = new Uint8Array(MAC_LENGTH);
  #known: 'no' | 'guessed' | 'shown' = 'no';

  constructor(ways: Ways, addresses: readonly Address[], linkType: number) {
    this.#fixed = ways === 'auto' ? undefined : ways === 'from-pod' ? DIRECTION.fromPod : DIRECTION.toPod;
    this.#words = addresses.filter(({ family }) => family === 1).map(({ bytes }) => wordAt(bytes, 0));
    this.#ethernet = linkType === LINK_TYPE.ethernet;
  }

  /** Of an IPv4 packet whose addresses are there. `link` has read the frame. */
  read(frame: Uint8Array, link: LinkReader): number {
    if (this.#fixed !== undefined) return this.#fixed;
    if (link.way !== WAY.unknown) return link.way === WAY.sent ? DIRECTION.fromPod : DIRECTION.toPod;
    const isTo = this.#words.includes(wordAt(frame, link.offset + IPV4_DESTINATION));
    if (!this.#ethernet) return isTo ? DIRECTION.toPod : DIRECTION.fromPod;
    if (this.#known !== 'shown') {
      const isFrom = this.#words.includes(wordAt(frame, link.offset + IPV4_SOURCE));
      if (isFrom !== isTo) this.#learn(frame, isFrom ? SOURCE_MAC : 0, 'shown');
      else if (this.#known === 'no') this.#learn(frame, SOURCE_MAC, 'guessed');
    }
    for (let byte = 0; byte < MAC_LENGTH; byte++) if (frame[SOURCE_MAC + byte] !== this.#mac[byte]) return DIRECTION.toPod;
    return DIRECTION.fromPod;
  }

  #learn(frame: Uint8Array, at: number, known: 'guessed' | 'shown'): void {
    this.#mac.set(frame.subarray(at, at + MAC_LENGTH));
    this.#known = known;
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0
  );
}
