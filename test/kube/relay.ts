/**
 * A program: lets the host reach a server inside a network namespace, without a link between the two. It listens on the host's
 * loopback, enters the namespace with its main thread, which makes all its later sockets, and hands bytes on.
 *
 *     node relay.js NAMESPACE-FILE ADDRESS PORT PORT-FILE
 *
 * The number of the port that it got stands in PORT-FILE once it listens.
 */

import { openSync, renameSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import koffi from 'koffi';

const [, , namespace = '', address = '', port = '', portFile = ''] = process.argv;

/** From linux/sched.h. */
const CLONE_NEWNET = 0x40000000;
const setns = koffi.load('libc.so.6').func('int setns(int fd, int nstype)');

const server = createServer({ allowHalfOpen: true }, (here) => {
  const there = connect({ host: address, port: Number(port), allowHalfOpen: true });
  const both: readonly (readonly [Socket, Socket])[] = [
    [here, there],
    [there, here],
  ];
  for (const [from, to] of both) {
    from.on('error', () => to.destroy());
    from.pipe(to);
  }
});
// By number: looking a name up would ask a thread that stayed behind.
server.listen(0, '127.0.0.1', () => {
  const bound = server.address();
  if (setns(openSync(namespace, 'r'), CLONE_NEWNET) !== 0) throw new Error(`cannot enter ${namespace}`);
  writeFileSync(`${portFile}.new`, String(typeof bound === 'object' ? bound?.port : bound));
  renameSync(`${portFile}.new`, portFile);
});
