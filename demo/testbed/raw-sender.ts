/**
 * A program of its own, run inside a namespace: sends IPv4 packets exactly as they are given, headers
 * included. Argument: a `RawOrder` as JSON.
 */

import { AddressFamily, createSocket, Protocol, SocketLevel, SocketOption } from 'raw-socket';
import type { RawOrder } from './protocol.js';

const order = JSON.parse(process.argv[2] ?? '{}') as RawOrder;
const socket = createSocket({ addressFamily: AddressFamily.IPv4, protocol: Protocol.UDP });
socket.setOption(SocketLevel.IPPROTO_IP, SocketOption.IP_HDRINCL, 1);

for (const { destination, hex } of order.packets) {
  const packet = Buffer.from(hex, 'hex');
  await new Promise<void>((resolve, reject) => {
    socket.send(packet, 0, packet.length, destination, (error) => (error === null ? resolve() : reject(error)));
  });
}
socket.close();
