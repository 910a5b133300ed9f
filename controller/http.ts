/** `/healthz`, `/readyz` and `/metrics` over HTTP, for a kubelet and Prometheus. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SfcError } from '../errors/index.js';

export interface HttpOptions {
  /** `127.0.0.1:8081`, `[::1]:8081`, `:8081`. */
  readonly address: string;
  /** Why it is not well or not ready; undefined: it is. */
  readonly health: () => string | undefined;
  readonly readiness: () => string | undefined;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

/** @throws SfcError CONFIG_INVALID where it cannot listen there */
export async function startHttp({ address, health, readiness, metrics }: HttpOptions): Promise<HttpServer> {
  const server = createServer((request, response) => {
    const answer = (status: number, contentType: string, text: string) => {
      response.writeHead(status, { 'content-type': contentType });
      response.end(text);
    };
    const judge = (why: string | undefined) => answer(why === undefined ? 200 : 503, 'text/plain', `${why ?? 'ok'}\n`);
    const [path] = (request.url ?? '/').split('?');
    if (request.method !== 'GET' && request.method !== 'HEAD') answer(405, 'text/plain', 'GET only\n');
    else if (path === '/healthz') judge(health());
    else if (path === '/readyz') judge(readiness());
    else if (path === '/metrics')
      metrics().then(
        ({ contentType, text }) => answer(200, contentType, text),
        (error: unknown) => answer(500, 'text/plain', `${String(error)}\n`),
      );
    else answer(404, 'text/plain', '/healthz, /readyz, /metrics\n');
  });
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = Number(address.slice(colon + 1));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new SfcError('CONFIG_INVALID', `httpAddress ${address}: ${cause.message}`, { cause })));
    server.listen({ port, ...(host === '' ? {} : { host }) }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
