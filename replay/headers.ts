/** Are the headers by which a packet is judged all in the capture, which may have cut it? */

import { GENEVE_HEADER, PROTOCOL } from '../geneve/index.js';

const IPV4 = 20;
const TCP = 20;
const UDP = 8;
const OFFSET_MASK = 0x1fff;
const WORD = 4;

/**
 * Of an IPv4 packet of which `captured` bytes stand at the start of `bytes`. What contradicts itself
 * counts as there: the pipeline says what is wrong with it. `port`: UDP port of steering.
 */
export function headersCaptured(bytes: Uint8Array, captured: number, port: number, inner = false): boolean {
  if (captured < IPV4) return false;
  const header = ((bytes[0] as number) & 0x0f) * WORD;
  const laterFragment = ((((bytes[6] as number) << 8) | (bytes[7] as number)) & OFFSET_MASK) !== 0;
  const protocol = bytes[9];
  if ((protocol !== PROTOCOL.tcp && protocol !== PROTOCOL.udp) || laterFragment) return captured >= header;
  const transport = header + (protocol === PROTOCOL.tcp ? TCP : UDP);
  if (captured < transport) return false;
  const isSteering = !inner && protocol === PROTOCOL.udp && (((bytes[header + 2] as number) << 8) | (bytes[header + 3] as number)) === port;
  if (!isSteering) return true;
  if (captured < transport + GENEVE_HEADER.size) return false;
  const options = ((bytes[transport] as number) & 0x3f) * WORD;
  const at = transport + GENEVE_HEADER.size + options;
  return captured > at && headersCaptured(bytes.subarray(at), captured - at, port, true);
}
