/** The classifier's way into `sfcselect`: numbers in, an entry's index out, nothing allocated. */

import type { ByteOrder } from '../codec.js';
import { MAPS } from '../layouts.js';
import { offsetsOf } from '../offsets.js';
import type { LpmTrie } from './lpm.js';

const VALUE = offsetsOf(MAPS.sfcselect.value, 'path', 'cidr_prefix_len');

export class SelectTable {
  readonly #trie: LpmTrie;
  readonly #little: boolean;

  constructor(trie: LpmTrie, hostOrder: ByteOrder) {
    this.#trie = trie;
    this.#little = hostOrder === 'LE';
  }

  /**
   * Index of the entry with the longest prefix that covers the destination, or -1. `port` as a
   * number (0 = the all-ports entries); w0..w3 are the address as big-endian 32-bit words, an IPv4
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
    // The trie reads static words from key bytes as big-endian; `endpoint` lies there in host order.
    const id = this.#little ? ((endpoint & 0xff) << 8) | (endpoint >>> 8) : endpoint;
    return this.#trie.lookup((id << 16) | (family << 8) | flags, (port << 16) | (protocol << 8), w0, w1, w2, w3, 128);
  }

  /** Service path of an entry, SPI << 8 | SI, unsigned. */
  path(entry: number): number {
    return this.#trie.entries.valueWord(entry, VALUE.path);
  }

  /** CIDR prefix length of an entry. */
  cidrPrefixLength(entry: number): number {
    return this.#trie.entries.valueByte(entry, VALUE.cidr_prefix_len);
  }
}
