/**
 * A TCP connection as seen from between its ends (RFC 9293 3.3.2), from flags alone.
 *
 *              SYN               ACK of the opener                 FIN of one end
 *     (new) ─────────► handshake ─────────────────► established ─────────────────► closing
 *       ▲                                                                             │ FIN of the other
 *       └── SYN of the opener ── closed, reset ◄── RST from anywhere ── any           ▼
 *                                   ▲ ───────────────────────────────────────────── closed
 */

import { TCP_STATE } from '../../maps/index.js';

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const ACK = 0x10;

/** Flags that may change a state. */
export const TCP_EVENTS = FIN | SYN | RST;

/** The opener's first packet: SYN without ACK. */
export function isOpening(tcpFlags: number): boolean {
  return (tcpFlags & (SYN | ACK)) === SYN;
}

/** State of a flow whose first packet here is this one. */
export function firstTcpState(tcpFlags: number): number {
  return isOpening(tcpFlags) ? TCP_STATE.handshake : TCP_STATE.established;
}

/** Is it over: does a SYN of the opener begin another connection on the same ports? */
export function isOver(state: number): boolean {
  return state === TCP_STATE.closed || state === TCP_STATE.reset;
}

/** State after one more packet, forward (of the opener) or reply. */
export function nextTcpState(state: number, forward: boolean, tcpFlags: number): number {
  if ((tcpFlags & RST) !== 0) return TCP_STATE.reset;
  if ((tcpFlags & SYN) !== 0) return forward && isOpening(tcpFlags) && isOver(state) ? TCP_STATE.handshake : state;
  if ((tcpFlags & FIN) !== 0) {
    if (isOver(state)) return state;
    const other = forward ? TCP_STATE.closingReply : TCP_STATE.closingForward;
    return state === other ? TCP_STATE.closed : forward ? TCP_STATE.closingForward : TCP_STATE.closingReply;
  }
  return state === TCP_STATE.handshake && forward && (tcpFlags & ACK) !== 0 ? TCP_STATE.established : state;
}
