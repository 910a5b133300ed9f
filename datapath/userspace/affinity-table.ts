/** Which instance a client has on a path with session affinity: asked once a flow, at its first packet. */

import { FAMILY, type HashMap } from '../../maps/index.js';
import { AFFINITY, AFFINITY_KEY } from './fields.js';

const NONE = -1;
const NS_A_SECOND = 1e9;
const WORD = 2 ** 32;

export class AffinityTable {
  readonly #map: HashMap;
  readonly #little: boolean;
  readonly #key: Int32Array;
  readonly #keyView: DataView;
  /** Coarse monotonic clock, ns. In an array, because a field would get a new object with each number past 2^31. */
  readonly #now = new Float64Array(1);

  constructor(map: HashMap, little: boolean) {
    this.#map = map;
    this.#little = little;
    this.#key = new Int32Array(map.spec.key.size / 4);
    this.#keyView = new DataView(this.#key.buffer);
    this.#keyView.setUint8(AFFINITY_KEY.family, FAMILY.ipv4);
  }

  setClock(now: number): void {
    this.#now[0] = now;
  }

  /** Slot of the client's entry on the path when it was last seen no longer ago than `timeout` seconds, else -1. Counts as seen. */
  live(path: number, client: number, timeout: number): number {
    this.#keyView.setUint32(AFFINITY_KEY.path, path);
    this.#keyView.setInt32(AFFINITY_KEY.client, client);
    const { table } = this.#map;
    const slot = table.find(this.#key);
    if (slot === NONE) return NONE;
    table.use(slot);
    const at = slot * table.valueSize + AFFINITY.last_seen;
    const low = table.view.getUint32(this.#little ? at : at + 4, this.#little);
    const high = table.view.getUint32(this.#little ? at + 4 : at, this.#little);
    if ((this.#now[0] as number) > high * WORD + low + timeout * NS_A_SECOND) return NONE;
    this.#seen(slot);
    return slot;
  }

  /** Address of the entry's instance. */
  backend(slot: number): number {
    const { table } = this.#map;
    return table.view.getInt32(slot * table.valueSize + AFFINITY.backend);
  }

  /** The client that was asked for last has this instance from now on. */
  record(backend: number): void {
    const { table } = this.#map;
    let slot = table.find(this.#key);
    if (slot === NONE) slot = this.#map.add(this.#key);
    else table.clear(slot);
    const at = slot * table.valueSize;
    table.view.setInt32(at + AFFINITY.backend, backend);
    table.view.setUint8(at + AFFINITY.backend_family, FAMILY.ipv4);
    this.#seen(slot);
  }

  #seen(slot: number): void {
    const { table } = this.#map;
    const at = slot * table.valueSize + AFFINITY.last_seen;
    const now = this.#now[0] as number;
    table.view.setUint32(this.#little ? at : at + 4, now % WORD, this.#little);
    table.view.setUint32(this.#little ? at + 4 : at, Math.floor(now / WORD), this.#little);
  }
}
