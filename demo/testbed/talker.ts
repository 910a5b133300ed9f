/**
 * A program of its own, run outside the namespaces: talks for pods that come and go. Each has its sockets made inside
 * its own namespace, and sends from the moment on at which the kernel lets it: a datagram each millisecond at
 * first, less as it grows older, and a new TCP connection now and then. Argument: a `TalkOrder` as JSON. Standard
 * input, one a line: a `TalkChange`. Standard output: `{"ready":true}`, and a `Talked` for each that ended.
 */

import { createInterface } from 'node:readline';
import koffi from 'koffi';
import { addressOf, closeFd, openFd, openSocket, sendAt } from '../../datapath/libc.js';
import { TALK_LENGTH, type TalkChange, type Talked, type TalkOrder } from './talk.js';

const libc = koffi.load('libc.so.6');
const setns = libc.func('int setns(int fd, int type)');
const connect = libc.func('int connect(int fd, const void *address, unsigned int length)');

const [AF_INET, SOCK_STREAM, SOCK_DGRAM, SOCK_NONBLOCK, CLONE_NEWNET] = [2, 1, 2, 0x800, 0x40000000];
/** A connection after so many datagrams; it is given up after as many again. */
const CONNECT_EACH = 8;
/** A pod of so many milliseconds sends one datagram in as many fewer. */
const SLOWER = 20;

const order = JSON.parse(process.argv[2] ?? '{}') as TalkOrder;
const server = Buffer.alloc(16);
server.writeUInt16LE(AF_INET, 0);
server.writeUInt16BE(order.port, 2);
server.set(order.server.split('.').map(Number), 4);
const serverAt = addressOf(server);
const payload = Buffer.alloc(TALK_LENGTH);
const payloadAt = addressOf(payload);
const home = openFd('/proc/thread-self/ns/net', 0);

/** Milliseconds of CLOCK_MONOTONIC: the listener's clock too. */
const clock = () => Number(process.hrtime.bigint()) / 1e6;
const say = (value: Talked | { ready: true }) => process.stdout.write(`${JSON.stringify(value)}\n`);

interface Pod {
  readonly namespace: number;
  readonly datagrams: number;
  connection: number;
  sent: number;
  firstAt: number;
  sentAt: number;
}

const pods = new Map<number, Pod>();

/** A socket of the pod's namespace. */
function socketIn(namespace: number, type: number): number {
  if (Number(setns(namespace, CLONE_NEWNET)) !== 0) throw new Error('setns');
  try {
    return openSocket(AF_INET, type | SOCK_NONBLOCK, 0, 'open a socket');
  } finally {
    setns(home, CLONE_NEWNET);
  }
}

function end(id: number): void {
  const pod = pods.get(id);
  if (pod === undefined) return;
  pods.delete(id);
  for (const fd of [pod.namespace, pod.datagrams, pod.connection]) if (fd >= 0) closeFd(fd);
  say({ id, sent: pod.sent, firstAt: pod.firstAt });
}

function talk(id: number, pod: Pod, now: number): void {
  if (pod.sent > 0 && now - pod.sentAt < Math.max(1, (now - pod.firstAt) / SLOWER)) return;
  payload.writeUInt32BE(id, 0);
  payload.writeUInt32BE(pod.sent, 4);
  payload.writeDoubleBE(now, 8);
  // Refused while it has no address and no route: it has not sent yet.
  if (sendAt(pod.datagrams, payloadAt, payload.length, serverAt, server.length) < 0) return;
  pod.sentAt = now;
  if (pod.sent === 0) pod.firstAt = now;
  if (pod.sent % CONNECT_EACH === 0) {
    if (pod.connection >= 0) closeFd(pod.connection);
    pod.connection = socketIn(pod.namespace, SOCK_STREAM);
    connect(pod.connection, server, server.length); // EINPROGRESS: its SYN has left
  }
  pod.sent++;
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const change = JSON.parse(line) as TalkChange;
    if ('end' in change) return end(change.end);
    const namespace = openFd(`/run/netns/${change.namespace}`, 0);
    const datagrams = socketIn(namespace, SOCK_DGRAM);
    pods.set(change.begin, { namespace, datagrams, connection: -1, sent: 0, firstAt: 0, sentAt: 0 });
  })
  .on('close', () => process.exit(0));
setInterval(() => {
  const now = clock();
  for (const [id, pod] of pods) talk(id, pod, now);
}, 1);
say({ ready: true });
