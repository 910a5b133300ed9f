/** Where a captured frame's packet begins, by link type (https://www.tcpdump.org/linktypes.html). */

import { SfcError } from '../errors/index.js';
import { ETHERTYPE } from '../geneve/index.js';
import { LINK_TYPE } from './pcap-writer.js';

/** What a Linux cooked header says of the frame's way, seen from the machine or namespace that captured. */
export const WAY = { unknown: 0, received: 1, sent: 2 } as const;

const ETHERNET = { type: 12, length: 14 };
const COOKED = { way: 0, type: 14, length: 16 };
const COOKED_V2 = { type: 0, way: 10, length: 20 };
/** PACKET_OUTGOING of <linux/if_packet.h>. */
const SENT = 4;
const TAG_LENGTH = 4;
/** Below this an Ethernet type is a length (IEEE 802.3 3.2.6). */
const LEAST_TYPE = 0x600;

const isTag = (type: number) => type === 0x8100 || type === 0x88a8 || type === 0x9100;

const READ: Readonly<Record<number, string>> = {
  [LINK_TYPE.ethernet]: 'Ethernet',
  [LINK_TYPE.raw]: 'raw IP',
  [LINK_TYPE.rawIpv4]: 'raw IPv4',
  [LINK_TYPE.rawIpv6]: 'raw IPv6',
  [LINK_TYPE.cooked]: 'Linux cooked',
  [LINK_TYPE.cookedV2]: 'Linux cooked v2',
};

/** Reads the link headers of one capture; its fields are of the frame that was read last. */
export class LinkReader {
  /** Where what follows all link headers begins. */
  offset = 0;
  /** Ethertype of what follows; 0 where there is none (an IEEE 802.3 length, a packet of no IP version). */
  type = 0;
  way: number = WAY.unknown;
  /** Where that Ethertype stands, two bytes; -1 where the first bits of a packet say what it is. */
  typeAt = -1;
  readonly linkType: number;

  /** Throws `CAPTURE_INVALID` for a link type that is not read. `name`: the file, for messages. */
  constructor(linkType: number, name: string) {
    if (READ[linkType] === undefined) {
      const known = Object.entries(READ).map(([number, words]) => `${number} (${words})`);
      throw new SfcError('CAPTURE_INVALID', `${name}: link type ${linkType} is not read; these are: ${known.join(', ')}`);
    }
    this.linkType = linkType;
  }

  /** False when the frame ends inside its link headers. Any number of VLAN tags (802.1Q, 802.1ad) is passed over. */
  read(frame: Uint8Array): boolean {
    this.way = WAY.unknown;
    switch (this.linkType) {
      case LINK_TYPE.ethernet:
        return this.#typed(frame, ETHERNET.type, ETHERNET.length);
      case LINK_TYPE.cooked:
        if (frame.length < COOKED.length) return false;
        this.way = ((frame[COOKED.way] as number) << 8) + (frame[COOKED.way + 1] as number) === SENT ? WAY.sent : WAY.received;
        return this.#typed(frame, COOKED.type, COOKED.length);
      case LINK_TYPE.cookedV2:
        if (frame.length < COOKED_V2.length) return false;
        this.way = frame[COOKED_V2.way] === SENT ? WAY.sent : WAY.received;
        return this.#typed(frame, COOKED_V2.type, COOKED_V2.length);
      default:
        return this.#raw(frame);
    }
  }

  #typed(frame: Uint8Array, at: number, length: number): boolean {
    if (frame.length < length) return false;
    let type = wordAt(frame, at);
    let offset = length;
    this.typeAt = at;
    while (isTag(type)) {
      if (frame.length < offset + TAG_LENGTH) return false;
      this.typeAt = offset + 2;
      type = wordAt(frame, this.typeAt);
      offset += TAG_LENGTH;
    }
    this.type = type < LEAST_TYPE ? 0 : type;
    this.offset = offset;
    return true;
  }

  #raw(frame: Uint8Array): boolean {
    if (frame.length === 0) return false;
    const version = (frame[0] as number) >> 4;
    this.type = version === 4 ? ETHERTYPE.ipv4 : version === 6 ? ETHERTYPE.ipv6 : 0;
    this.offset = 0;
    return true;
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}
