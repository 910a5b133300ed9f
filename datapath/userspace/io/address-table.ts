/** What belongs to an address, found by the bytes of a packet: nothing is made for a look-up. */

import type { Version } from './filters.js';

const WORDS = { 4: 1, 6: 4 } as const;
/** Bytes of an IP header at which its destination stands, and at least of the whole header. */
const DESTINATION = { 4: 16, 6: 24 } as const;
const HEADER = { 4: 20, 6: 40 } as const;

interface Entry<T> {
  readonly version: Version;
  readonly address: DataView;
  readonly value: T;
}

export class AddressTable<T> {
  /** By the words of the address, put together; several addresses may give one number. */
  readonly #entries = new Map<number, Entry<T>[]>();

  /** @param bytes network order, 4 or 16 of them by version; kept */
  set(version: Version, bytes: Uint8Array, value: T): void {
    const address = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const key = keyOf(address, 0, version);
    const others = (this.#entries.get(key) ?? []).filter((entry) => !isAt(entry, version, address, 0));
    this.#entries.set(key, [...others, { version, address, value }]);
  }

  /** Forgets every address of `value`. */
  deleteAll(value: T): void {
    for (const [key, entries] of this.#entries) {
      const left = entries.filter((entry) => entry.value !== value);
      if (left.length === 0) this.#entries.delete(key);
      else this.#entries.set(key, left);
    }
  }

  /** What belongs to the destination of the IP packet at `start`, of which `length` bytes are there. */
  ofDestination(view: DataView, start: number, length: number): T | undefined {
    if (length === 0) return undefined;
    const version = view.getUint8(start) >> 4;
    if ((version !== 4 && version !== 6) || length < HEADER[version]) return undefined;
    const at = start + DESTINATION[version];
    const entries = this.#entries.get(keyOf(view, at, version));
    if (entries === undefined) return undefined;
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index] as Entry<T>;
      if (isAt(entry, version, view, at)) return entry.value;
    }
    return undefined;
  }
}

function keyOf(view: DataView, at: number, version: Version): number {
  let key = 0;
  for (let word = 0; word < WORDS[version]; word++) key = (Math.imul(key, 31) + view.getInt32(at + 4 * word)) | 0;
  return key;
}

function isAt(entry: Entry<unknown>, version: Version, view: DataView, at: number): boolean {
  if (entry.version !== version) return false;
  for (let word = 0; word < WORDS[version]; word++) if (entry.address.getInt32(4 * word) !== view.getInt32(at + 4 * word)) return false;
  return true;
}
