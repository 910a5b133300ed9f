/** The classifier's ways into `sfcselect` and `sfcports`: numbers in, an entry's index out, nothing allocated. */

import type { ByteOrder } from '../codec.js';
import { MAPS } from '../layouts.js';
import { offsetsOf } from '../offsets.js';
import type { LpmTrie } from './lpm.js';

const SELECT = offsetsOf(MAPS.sfcselect.value, 'path', 'cidr_prefix_len');
const PORTS = offsetsOf(MAPS.sfcports.value, 'first_port');
const NONE = -1;

/** An endpoint id, in host order in a key, as the trie reads it: big-endian. */
function idWord(endpoint: number, little: boolean): number {
  return little ? ((endpoint & 0xff) << 8) | (endpoint >>> 8) : endpoint;
}

export class SelectTable {
  readonly #trie: LpmTrie;
  readonly #little: boolean;

  constructor(trie: LpmTrie, hostOrder: ByteOrder) {
    this.#trie = trie;
    this.#little = hostOrder === 'LE';
  }

  /**
   * Index of the entry with the longest prefix that covers the address, or -1. `port` as a number
   * (0 = the all-ports entries), `protocol` 0 = any; w0..w3 are the address as big-endian 32-bit words, an IPv4
   * address in w0 and zeros after it.
   */
  lookup(
    endpoint: number,
    family: number,
    flags: number,
    port: number,
    protocol: number,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
  ): number {
    const id = idWord(endpoint, this.#little);
    return this.#trie.lookup((id << 16) | (family << 8) | flags, (port << 16) | (protocol << 8), w0, w1, w2, w3, 128);
  }

  /** Service path of an entry, SPI << 8 | SI, unsigned. */
  path(entry: number): number {
    return this.#trie.entries.valueWord(entry, SELECT.path);
  }

  /** CIDR prefix length of an entry. */
  cidrPrefixLength(entry: number): number {
    return this.#trie.entries.valueByte(entry, SELECT.cidr_prefix_len);
  }
}

export class PortTable {
  readonly #trie: LpmTrie;
  readonly #little: boolean;

  constructor(trie: LpmTrie, hostOrder: ByteOrder) {
    this.#trie = trie;
    this.#little = hostOrder === 'LE';
  }

  /** The port under which `sfcselect` holds the range of this port; the port itself where it is in none. */
  lookup(endpoint: number, flags: number, protocol: number, port: number): number {
    const word = (idWord(endpoint, this.#little) << 16) | (flags << 8) | protocol;
    const entry = this.#trie.lookup(word, 0, port << 16, 0, 0, 0, 16);
    const first = entry === NONE ? 0 : this.#trie.entries.valueWord(entry, PORTS.first_port) >>> 16;
    return first === 0 ? port : first;
  }
}
