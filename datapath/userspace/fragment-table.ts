/** The ports of fragmented datagrams (datapath/kernel/bpf/fragment.h draws it): kept from first fragments for the later ones. */

import { FRAGMENT_SECONDS, FRAGMENT_SLOTS } from '../../maps/index.js';
import { FRAGMENT_KEY, FRAGMENT_VALUE, setTime64, time64 } from './fields.js';
import { FRAGMENT, type PacketReader } from './packet.js';
import { TimedTable } from './timed-table.js';

const NONE = -1;
const NS_A_SECOND = 1e9;

export class FragmentTable extends TimedTable {
  /** Is it a later fragment of a datagram whose first one has not been seen? If it has: its ports are the packet's. */
  isOrphan(ifindex: number, packet: PacketReader): boolean {
    return packet.fragment !== FRAGMENT.none && !this.track(ifindex, packet);
  }

  /** Keeps the ports of a first fragment; puts them into a later one. False: of the latter, nothing is known. */
  track(ifindex: number, packet: PacketReader): boolean {
    const { table } = this.map;
    this.keyView.setUint32(FRAGMENT_KEY.ifindex, ifindex, this.little);
    this.keyView.setUint32(FRAGMENT_KEY.slot, packet.datagramHash() % FRAGMENT_SLOTS, this.little);
    const slot = table.find(this.key);
    if (packet.fragment === FRAGMENT.first) {
      this.#keep(slot === NONE ? this.map.add(this.key) : slot, packet);
      return true;
    }
    if (slot === NONE) return false;
    const at = slot * table.valueSize;
    const { view } = table;
    if (view.getInt32(at + FRAGMENT_VALUE.id, this.little) !== packet.identification) return false;
    if (view.getUint8(at + FRAGMENT_VALUE.family) !== packet.family) return false;
    if (!packet.isFrom(view, at + FRAGMENT_VALUE.source) || !packet.isTo(view, at + FRAGMENT_VALUE.destination)) return false;
    if ((this.now[0] as number) > time64(view, at + FRAGMENT_VALUE.last_seen, this.little) + FRAGMENT_SECONDS * NS_A_SECOND) return false;
    packet.protocol = view.getUint8(at + FRAGMENT_VALUE.protocol);
    packet.sourcePort = view.getUint16(at + FRAGMENT_VALUE.source_port);
    packet.destinationPort = view.getUint16(at + FRAGMENT_VALUE.destination_port);
    return true;
  }

  #keep(slot: number, packet: PacketReader): void {
    const { table } = this.map;
    const at = slot * table.valueSize;
    const { view } = table;
    table.use(slot);
    packet.writeSource(view, at + FRAGMENT_VALUE.source);
    packet.writeDestination(view, at + FRAGMENT_VALUE.destination);
    view.setInt32(at + FRAGMENT_VALUE.id, packet.identification, this.little);
    view.setUint16(at + FRAGMENT_VALUE.source_port, packet.sourcePort);
    view.setUint16(at + FRAGMENT_VALUE.destination_port, packet.destinationPort);
    view.setUint8(at + FRAGMENT_VALUE.family, packet.family);
    view.setUint8(at + FRAGMENT_VALUE.protocol, packet.protocol);
    setTime64(view, at + FRAGMENT_VALUE.last_seen, this.now[0] as number, this.little);
  }
}
