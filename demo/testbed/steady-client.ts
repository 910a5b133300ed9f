/**
 * A program of its own, run inside a client's namespace: sends without a pause until SIGTERM, then waits for
 * what is still on its way. Each source address keeps one UDP flow with a datagram every interval, or makes one
 * for each, and makes a TCP connection of its own for each request. Nothing is sent twice by this program. Argument:
 * a `SteadyOrder` as JSON. Standard output: `{"sending":true}`, and at the end a `Steady` as JSON.
 */

import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { parseReply, requestLine, type Steady, type SteadyCount, type SteadyOrder, type Transport } from './protocol.js';

const order = JSON.parse(process.argv[2] ?? '{}') as SteadyOrder;
const sources = order.sources.length === 0 ? [undefined] : order.sources;

/** Lost ones that are named. */
const MOST_NAMED = 20;

class Count {
  readonly #transport: Transport;
  readonly #open = new Map<string, number>();
  readonly #seenAs = new Map<string, number>();
  #sent = 0;
  #answered = 0;
  #longestMs = 0;
  readonly #errors = new Map<string, number>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** A request is about to be sent; its id. */
  begin(): string {
    const id = `${order.name}-${this.#transport}-${++this.#sent}`;
    this.#open.set(id, performance.now());
    return id;
  }

  answered(text: string): boolean {
    const reply = parseReply(text);
    const begun = reply === undefined ? undefined : this.#open.get(reply.id);
    if (reply === undefined || begun === undefined) return false;
    this.#open.delete(reply.id);
    this.#answered++;
    this.#longestMs = Math.max(this.#longestMs, performance.now() - begun);
    this.#seenAs.set(reply.peer, (this.#seenAs.get(reply.peer) ?? 0) + 1);
    return true;
  }

  failed(error: string): void {
    this.#errors.set(error, (this.#errors.get(error) ?? 0) + 1);
  }

  get isWaiting(): boolean {
    return this.#open.size > 0;
  }

  get result(): SteadyCount {
    return {
      sent: this.#sent,
      answered: this.#answered,
      lost: [...this.#open.keys()].slice(0, MOST_NAMED),
      longestMs: Math.round(this.#longestMs),
      seenAs: Object.fromEntries(this.#seenAs),
      errors: Object.fromEntries(this.#errors),
    };
  }
}

const counts = { udp: new Count('udp'), tcp: new Count('tcp') };

function openSocket(source: string | undefined, alone: boolean): Promise<ReturnType<typeof createSocket>> {
  return new Promise((resolve) => {
    const socket = createSocket(order.server.includes(':') ? 'udp6' : 'udp4');
    socket.on('message', (message) => {
      if (counts.udp.answered(message.toString('latin1')) && alone) socket.close();
    });
    socket.on('error', (error) => counts.udp.failed(error.message));
    socket.bind(0, source, () => resolve(socket));
  });
}

const sockets = order.eachAlone ? [] : await Promise.all(sources.map((source) => openSocket(source, false)));

async function datagram(at: number): Promise<void> {
  const id = counts.udp.begin();
  const socket = sockets[at] ?? (await openSocket(sources[at], true));
  socket.send(requestLine(id, 0), order.port, order.server, (error) => {
    if (error !== null) counts.udp.failed(error.message);
  });
}

function request(source: string | undefined): void {
  const id = counts.tcp.begin();
  const socket = connect({ host: order.server, port: order.port, ...(source === undefined ? {} : { localAddress: source }) });
  let heard = '';
  socket.setEncoding('latin1');
  socket.on('connect', () => socket.write(requestLine(id, 0)));
  socket.on('error', (error) => counts.tcp.failed(error.message));
  socket.on('data', (chunk: string) => {
    heard += chunk;
    if (counts.tcp.answered(heard)) socket.end();
  });
}

let turn = 0;
const timer = setInterval(() => {
  const at = turn++ % sources.length;
  void datagram(at);
  if (turn % order.datagramsPerConnection === 0) request(sources[at]);
}, order.intervalMs);
process.stdout.write('{"sending":true}\n');

process.on('SIGTERM', () => {
  clearInterval(timer);
  const deadline = performance.now() + order.patienceMs;
  const look = setInterval(() => {
    if ((counts.udp.isWaiting || counts.tcp.isWaiting) && performance.now() < deadline) return;
    clearInterval(look);
    const result: Steady = { udp: counts.udp.result, tcp: counts.tcp.result };
    process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
  }, 50);
});
