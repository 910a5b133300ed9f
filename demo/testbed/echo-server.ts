/**
 * A program of its own, run inside the server's namespace: answers each TCP and UDP request with its
 * id and the address it seemed to come from. Argument: an `EchoOrder` as JSON. Standard output, one
 * JSON value a line: `{"listening":true}`, then a `SeenRequest` for each request.
 */

import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { type EchoOrder, parseRequest, replyLine, type SeenRequest, type Transport } from './protocol.js';

const order = JSON.parse(process.argv[2] ?? '{}') as EchoOrder;
const say = (value: SeenRequest | { listening: true }): boolean => process.stdout.write(`${JSON.stringify(value)}\n`);

function answer(transport: Transport, text: string, peer: string, peerPort: number): string | undefined {
  const request = parseRequest(text);
  if (request === undefined) return undefined;
  say({ transport, id: request.id, peer, peerPort });
  return replyLine(request.id, peer, peerPort, request.padding);
}

function listenForDatagrams(address: string): Promise<void> {
  const datagrams = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  datagrams.on('message', (message, { address: peer, port }) => {
    const reply = answer('udp', message.toString('latin1'), peer, port);
    // A peer without a route back is the client's to notice (its request stays unanswered).
    if (reply !== undefined) datagrams.send(reply, port, peer, () => undefined);
  });
  return new Promise((resolve) => datagrams.bind(order.port, address, resolve));
}

function listenForConnections(address: string): Promise<void> {
  const connections = createServer((socket) => {
    let heard = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      heard += chunk;
      const reply = answer('tcp', heard, socket.remoteAddress ?? '', socket.remotePort ?? 0);
      if (reply === undefined) return;
      heard = '';
      socket.write(reply);
    });
    socket.on('error', () => socket.destroy());
  });
  return new Promise((resolve) => connections.listen(order.port, address, resolve));
}

for (const address of order.addresses) {
  await listenForDatagrams(address);
  await listenForConnections(address);
}
say({ listening: true });
