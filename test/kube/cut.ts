/** A way to a server that can be cut and mended: bytes are passed on, or the connections end and none is taken. */

import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Cut {
  /** In place of the server's. */
  readonly url: string;
  /** Connections that were taken so far. */
  readonly taken: () => number;
  cut(): void;
  mend(): void;
  /** Connections stay and nothing is passed on any more, in silence: as of a machine without power. */
  freeze(): void;
  close(): Promise<void>;
}

/** @param url of the server, `https://127.0.0.1:<port>` */
export async function startCut(url: string): Promise<Cut> {
  const { hostname, port } = new URL(url);
  const open = new Set<Socket>();
  let passing = true;
  let taken = 0;
  const server = createServer((client) => {
    if (!passing) {
      client.destroy();
      return;
    }
    taken++;
    const upstream = connect(Number(port), hostname);
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one);
      one.on('error', () => one.destroy());
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    passing = false;
    for (const socket of open) socket.destroy();
  };
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken: () => taken,
    cut,
    mend() {
      passing = true;
    },
    freeze() {
      passing = false;
      for (const socket of open) socket.unpipe().pause();
    },
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
