/** Probes through functions (datapath/kernel/bpf/probe.h draws their way): what tells them, and where their answers are kept. */

import { PROBE } from '../../maps/index.js';
import { PROBE as AT, PROBE_KEY } from './fields.js';
import type { PacketReader } from './packet.js';
import { TimedTable } from './timed-table.js';
import type { TunnelReader } from './tunnel.js';

const NONE = -1;
const UDP = 17;
const UDP_LENGTH = 8;
/** Magic word and sequence number. */
const PAYLOAD_LENGTH = 8;
const WORD = 2 ** 32;

/** Is the path that of probes? */
export function isProbe(path: number): boolean {
  return path >>> 8 === PROBE.spi;
}

/** Has the packet come to its end on the path of probes? Nothing on it is for a pod, but to pass. */
export function endsProbe({ path, reply }: TunnelReader): boolean {
  return isProbe(path) && (reply || (path & 0xff) === 0);
}

export class ProbeTable extends TimedTable {
  /**
   * Writes down that the outer source has passed a probe on: `inner`, which stands at `at` of the view and has its ports.
   * Only of instances that the agent has entered, so that nobody else fills the map.
   */
  noteAnswer(view: DataView, at: number, outer: PacketReader, inner: PacketReader): void {
    const payload = inner.headerLength + UDP_LENGTH;
    if (inner.protocol !== UDP || inner.length < payload + PAYLOAD_LENGTH) return;
    if (view.getUint32(at + payload) !== PROBE.magic) return;
    outer.writeSource(this.keyView, PROBE_KEY.address);
    this.keyView.setUint8(PROBE_KEY.family, outer.family);
    this.keyView.setUint16(PROBE_KEY.port, inner.destinationPort);
    const { table } = this.map;
    const slot = table.find(this.key);
    if (slot === NONE) return;
    const value = slot * table.valueSize;
    const answered = value + AT.answered;
    const now = this.now[0] as number;
    table.view.setUint32(this.little ? answered : answered + 4, now % WORD, this.little);
    table.view.setUint32(this.little ? answered + 4 : answered, Math.floor(now / WORD), this.little);
    table.view.setUint32(value + AT.sequence, view.getUint32(at + payload + 4), this.little);
  }
}
