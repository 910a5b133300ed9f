/**
 * A program of its own, run inside the server's namespace: hears what talkers send, and takes their connections.
 * Argument: a `TalkOrder` as JSON. Standard output: `{"ready":true}`, and an `Arrived` for each pod's first datagram.
 */

import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { type Arrived, TALK_LENGTH, type TalkOrder } from './talk.js';

const order = JSON.parse(process.argv[2] ?? '{}') as TalkOrder;
const say = (value: Arrived | { ready: true }) => process.stdout.write(`${JSON.stringify(value)}\n`);
const heard = new Set<number>();

const datagrams = createSocket('udp4');
datagrams.on('message', (message) => {
  if (message.length !== TALK_LENGTH) return;
  const id = message.readUInt32BE(0);
  if (heard.has(id)) return;
  heard.add(id);
  say({ id, sequence: message.readUInt32BE(4), sentAt: message.readDoubleBE(8) });
});
datagrams.bind(order.port, order.server, () => {
  createServer((socket) => socket.on('error', () => undefined).destroy()).listen(order.port, order.server, () => say({ ready: true }));
});
