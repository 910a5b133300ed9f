/**
 * A program of its own, run inside a namespace: sends IP packets exactly as they are given, headers
 * included. Standard input: a `RawOrder` as JSON; a flood is too long for an argument.
 */

import { readFileSync } from 'node:fs';
import { AddressFamily, createSocket, Protocol, type RawSocket, SocketLevel, SocketOption } from 'raw-socket';
import type { RawOrder } from './protocol.js';

/** linux/in6.h; raw-socket knows it on Windows alone. */
const IPV6_HDRINCL = 36;

const order = JSON.parse(readFileSync(0, 'utf8')) as RawOrder;

function open(ipv6: boolean): RawSocket {
  const socket = createSocket({ addressFamily: ipv6 ? AddressFamily.IPv6 : AddressFamily.IPv4, protocol: Protocol.UDP });
  if (ipv6) socket.setOption(SocketLevel.IPPROTO_IPV6, IPV6_HDRINCL, 1);
  else socket.setOption(SocketLevel.IPPROTO_IP, SocketOption.IP_HDRINCL, 1);
  return socket;
}

const sockets = new Map<boolean, RawSocket>();
for (const { destination, hex } of order.packets) {
  const ipv6 = destination.includes(':');
  const socket = sockets.get(ipv6) ?? open(ipv6);
  sockets.set(ipv6, socket);
  const packet = Buffer.from(hex, 'hex');
  await new Promise<void>((resolve, reject) => {
    socket.send(packet, 0, packet.length, destination, (error) => (error === null ? resolve() : reject(error)));
  });
}
for (const socket of sockets.values()) socket.close();
