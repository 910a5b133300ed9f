/** When a flow has been idle for too long. Pure. */

import { MAPS, offsetsOf, TCP_STATE } from '../../maps/index.js';

/** Seconds without a packet after which a flow is forgotten. */
export interface FlowTimeouts {
  /** TCP, open. */
  readonly established: number;
  /** TCP, not open yet or closed by one end. */
  readonly halfOpen: number;
  /** TCP, closed by both ends or reset. */
  readonly closed: number;
  /** Every other protocol. */
  readonly udp: number;
}

const KEY = offsetsOf(MAPS.sfcflow.key, 'protocol');
const VALUE = offsetsOf(MAPS.sfcflow.value, 'tcp_state', 'last_seen');
const TCP = 6;
const NANOSECONDS = 1e9;
const WORD = 2 ** 32;

/** Seconds that a flow of this protocol and TCP state may be idle. */
export function timeoutOf(protocol: number, tcpState: number, timeouts: FlowTimeouts): number {
  if (protocol !== TCP) return timeouts.udp;
  switch (tcpState) {
    case TCP_STATE.established:
      return timeouts.established;
    case TCP_STATE.closed:
    case TCP_STATE.reset:
      return timeouts.closed;
    default:
      return timeouts.halfOpen;
  }
}

/** Reads `sfcflow` entries as bytes: a node may have hundreds of thousands. */
export class ExpiryReader {
  readonly #timeouts: FlowTimeouts;
  readonly #little: boolean;

  constructor(timeouts: FlowTimeouts, littleEndian: boolean) {
    this.#timeouts = timeouts;
    this.#little = littleEndian;
  }

  /** @param now nanoseconds of CLOCK_MONOTONIC, with which flows are stamped */
  isExpired(key: Uint8Array, value: Uint8Array, now: number): boolean {
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    const low = view.getUint32(VALUE.last_seen + (this.#little ? 0 : 4), this.#little);
    const high = view.getUint32(VALUE.last_seen + (this.#little ? 4 : 0), this.#little);
    const timeout = timeoutOf(key[KEY.protocol] as number, value[VALUE.tcp_state] as number, this.#timeouts);
    return now - (high * WORD + low) > timeout * NANOSECONDS;
  }
}
