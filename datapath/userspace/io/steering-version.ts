/** Is a packet in a tunnel of ours, and over which IP version? Read without a pipeline, from the fixed places of its outer headers. */

import { PROTOCOL } from '../../../geneve/index.js';

const UDP_LENGTH = 8;

/** 4 or 6 when the IP packet at `start` is UDP to the steering port, behind a header without options or extension headers; else 0. */
export function steeringVersion(view: DataView, start: number, length: number, port: number): 4 | 6 | 0 {
  if (length === 0) return 0;
  const first = view.getUint8(start);
  if (first === 0x45) return isUdpTo(view, start + 9, start + 20, start + length, port) ? 4 : 0;
  if (first >> 4 === 6) return isUdpTo(view, start + 6, start + 40, start + length, port) ? 6 : 0;
  return 0;
}

function isUdpTo(view: DataView, protocol: number, transport: number, end: number, port: number): boolean {
  return transport + UDP_LENGTH <= end && view.getUint8(protocol) === PROTOCOL.udp && view.getUint16(transport + 2) === port;
}
