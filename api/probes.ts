/**
 * `/healthz` and `/readyz` over TCP, for a kubelet's probes: it can ask no unix socket, and a command run in the container
 * would start a process each time. Nothing else is answered there.
 */

import type { AgentView } from '../agent/view.js';
import { SfcError } from '../errors/index.js';
import { type ApiLog, routeServer } from './server.js';

export const PROBE_PATHS: readonly string[] = ['/healthz', '/readyz'];

/** `127.0.0.1:7083`, `[::1]:7083`, apart. @throws SfcError CONFIG_INVALID */
export function parseHealthAddress(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new SfcError('CONFIG_INVALID', `healthAddress: ${JSON.stringify(text)} is not ADDRESS:PORT, such as 127.0.0.1:7083`);
  }
  return { host, port: Number(port) };
}

export interface ProbeServer {
  close(): Promise<void>;
}

/** @throws SfcError CONFIG_INVALID where the address cannot be had */
export async function startProbes(view: AgentView, address: string, log: ApiLog): Promise<ProbeServer> {
  const { host, port } = parseHealthAddress(address);
  const app = routeServer(view, log, (path) => PROBE_PATHS.includes(path));
  try {
    await app.listen({ host, port, listenTextResolver: () => '' });
  } catch (cause) {
    await app.close();
    throw new SfcError('CONFIG_INVALID', `healthAddress: ${address}: ${(cause as Error).message}`, { cause });
  }
  app.server.on('error', (error) => log.error({ err: error }, 'a probe could not be accepted'));
  log.info({ address }, 'probes are answered');
  return { close: () => app.close() };
}
