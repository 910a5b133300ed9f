/** The extension headers of an IPv6 packet, RFC 8200 4. */

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT_HEADER = 44;
const AUTHENTICATION = 51;
const DESTINATION = 60;
/** Extension headers of one packet, at most. */
const MOST = 6;
/** Of all of them, bytes at most: with the IPv6 header 511. */
const LONGEST = 0x1ff - 40;
/** Every one has that many bytes at least. */
const LEAST = 8;
const NONE = 0;
const FIRST = 1;
const LATER = 2;

export function isExtension(next: number): boolean {
  return next === HOP_BY_HOP || next === ROUTING || next === FRAGMENT_HEADER || next === AUTHENTICATION || next === DESTINATION;
}

export class ExtensionWalker {
  /** Of all of them, bytes. */
  length = 0;
  /** What stands behind them. */
  protocol = 0;
  /** 0 none, 1 the first, 2 a later one. */
  fragment = NONE;
  /** Where the fragment header stands, from the first extension on. */
  fragmentAt = 0;

  /**
   * Walks from `start`, where the header stands whose number is `next`, with `left` bytes of the packet from there on. False: one
   * lies beyond the packet, or beyond its first fragment (RFC 7112), or they are too many.
   */
  walk(view: DataView, start: number, left: number, next: number): boolean {
    this.fragment = NONE;
    this.fragmentAt = 0;
    let at = 0;
    let protocol = next;
    for (let count = 0; count < MOST && isExtension(protocol); count++) {
      if (at + LEAST > left) return false;
      const extension = protocol;
      protocol = view.getUint8(start + at);
      if (extension === FRAGMENT_HEADER) {
        const word = view.getUint16(start + at + 2);
        this.fragmentAt = at;
        if ((word & 0xfff8) !== 0) this.fragment = LATER;
        else if ((word & 1) !== 0) this.fragment = FIRST;
        at += LEAST;
      } else {
        const length = view.getUint8(start + at + 1);
        at += extension === AUTHENTICATION ? (length + 2) * 4 : (length + 1) * 8;
      }
      if (at > left || at > LONGEST) return false;
      if (this.fragment === LATER) break;
    }
    this.length = at;
    this.protocol = protocol;
    return this.fragment === LATER || !isExtension(protocol);
  }
}
