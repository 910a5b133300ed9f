/** Which instance a client has on a path with session affinity: asked once a flow, at its first packet. */

import { AFFINITY, AFFINITY_KEY, setTime64, time64 } from './fields.js';
import type { PacketReader } from './packet.js';
import { TimedTable } from './timed-table.js';

const NONE = -1;
const NS_A_SECOND = 1e9;
const ADDRESS_LENGTH = 16;

export class AffinityTable extends TimedTable {
  /** Slot of the entry of the packet's client on the path when it was last seen no longer ago than `timeout` seconds, else -1. Counts as seen. */
  live(path: number, packet: PacketReader, timeout: number): number {
    this.keyView.setUint32(AFFINITY_KEY.path, path);
    this.keyView.setUint8(AFFINITY_KEY.family, packet.family);
    packet.writeSource(this.keyView, AFFINITY_KEY.client);
    const { table } = this.map;
    const slot = table.find(this.key);
    if (slot === NONE) return NONE;
    table.use(slot);
    const seen = time64(table.view, slot * table.valueSize + AFFINITY.last_seen, this.little);
    if ((this.now[0] as number) > seen + timeout * NS_A_SECOND) return NONE;
    this.#seen(slot);
    return slot;
  }

  /** Copies the address of the entry's instance to `hop`; returns its family. */
  backend(slot: number, hop: DataView): number {
    const { table } = this.map;
    const at = slot * table.valueSize;
    for (let word = 0; word < ADDRESS_LENGTH; word += 4) hop.setInt32(word, table.view.getInt32(at + AFFINITY.backend + word));
    return table.view.getUint8(at + AFFINITY.backend_family);
  }

  /** The client that was asked for last has this instance from now on. */
  record(hop: DataView, family: number): void {
    const { table } = this.map;
    let slot = table.find(this.key);
    if (slot === NONE) slot = this.map.add(this.key);
    else table.clear(slot);
    const at = slot * table.valueSize;
    for (let word = 0; word < ADDRESS_LENGTH; word += 4) table.view.setInt32(at + AFFINITY.backend + word, hop.getInt32(word));
    table.view.setUint8(at + AFFINITY.backend_family, family);
    this.#seen(slot);
  }

  #seen(slot: number): void {
    const { table } = this.map;
    setTime64(table.view, slot * table.valueSize + AFFINITY.last_seen, this.now[0] as number, this.little);
  }
}
