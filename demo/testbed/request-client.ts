/**
 * A program of its own, run inside a client's namespace: sends requests, each on a connection or
 * socket of its own, never twice, and waits for the answers. Argument: a `RequestOrder` as JSON.
 * Standard output: a `RequestResult` as JSON, one a line, in the order of the ids.
 */

import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { parseReply, type RequestOrder, type RequestResult, requestLine } from './protocol.js';

/** So many requests are on their way at a time. */
const CONCURRENT = 8;

const order = JSON.parse(process.argv[2] ?? '{}') as RequestOrder;

type Outcome = Pick<RequestResult, 'source' | 'sourcePort' | 'answered' | 'seenAs' | 'error'>;

function read(id: string, text: string, source: string, sourcePort: number): Outcome | undefined {
  const reply = parseReply(text);
  if (reply === undefined) return undefined;
  if (reply.id !== id) return { source, sourcePort, answered: false, seenAs: '', error: `the answer is for ${reply.id}` };
  return { source, sourcePort, answered: true, seenAs: reply.peer, error: '' };
}

function overTcp(id: string, source: string | undefined): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = connect({ host: order.server, port: order.port, ...(source === undefined ? {} : { localAddress: source }) });
    let heard = '';
    let from = { source: source ?? '', port: 0 };
    const end = (outcome: Outcome): void => {
      clearTimeout(timer);
      resolve(outcome);
    };
    const fail = (error: string): void => {
      socket.destroy();
      end({ source: from.source, sourcePort: from.port, answered: false, seenAs: '', error });
    };
    const timer = setTimeout(() => fail(`no answer within ${order.timeout} ms`), order.timeout);
    socket.setEncoding('latin1');
    socket.on('connect', () => {
      from = { source: socket.localAddress ?? '', port: socket.localPort ?? 0 };
      socket.write(requestLine(id, order.padding));
    });
    socket.on('data', (chunk: string) => {
      heard += chunk;
      const outcome = read(id, heard, from.source, from.port);
      if (outcome === undefined) return;
      socket.end();
      end(outcome);
    });
    socket.on('error', (error) => fail(error.message));
  });
}

function overUdp(id: string, source: string | undefined): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = createSocket(order.server.includes(':') ? 'udp6' : 'udp4');
    let from = { source: source ?? '', port: 0 };
    const end = (outcome: Outcome): void => {
      clearTimeout(timer);
      socket.close();
      resolve(outcome);
    };
    const fail = (error: string): void => end({ source: from.source, sourcePort: from.port, answered: false, seenAs: '', error });
    const timer = setTimeout(() => fail(`no answer within ${order.timeout} ms`), order.timeout);
    socket.on('error', (error) => fail(error.message));
    socket.on('message', (message) => {
      const outcome = read(id, message.toString('latin1'), from.source, from.port);
      if (outcome !== undefined) end(outcome);
    });
    socket.bind(0, source, () => {
      // Connected, so that an ICMP error about it is heard.
      socket.connect(order.port, order.server, () => {
        from = { source: socket.address().address, port: socket.address().port };
        socket.send(requestLine(id, order.padding));
      });
    });
  });
}

const results: RequestResult[] = [];
let next = 0;

async function worker(): Promise<void> {
  for (let index = next++; index < order.ids.length; index = next++) {
    const id = order.ids[index] ?? '';
    const source = order.sources[index % Math.max(order.sources.length, 1)];
    const outcome = await (order.transport === 'tcp' ? overTcp(id, source) : overUdp(id, source));
    results[index] = { transport: order.transport, id, server: order.server, ...outcome };
  }
}

await Promise.all(Array.from({ length: CONCURRENT }, worker));
for (const result of results) process.stdout.write(`${JSON.stringify(result)}\n`);
