/** The debug API of the node agent: HTTP on a unix socket. */

import type { AgentView } from '../agent/view.js';
import { type ApiLog, apiServer } from './server.js';
import { listenAt } from './socket.js';

export type { MapPage } from './map-schemas.js';
export { type ProbeServer, startProbes } from './probes.js';
export type { ErrorBody, ListBody } from './schemas.js';
export type { ApiLog } from './server.js';

export interface ApiOptions {
  readonly view: AgentView;
  readonly socketPath: string;
  readonly log: ApiLog;
}

export interface Api {
  /** Cuts what is connected, and removes the socket. */
  close(): Promise<void>;
}

/** @throws SfcError ALREADY_RUNNING when a living process has the socket, CONFIG_INVALID when it cannot be there */
export async function startApi({ view, socketPath, log }: ApiOptions): Promise<Api> {
  const app = apiServer(view, log);
  try {
    const release = await listenAt(socketPath, (path) => app.listen({ path, listenTextResolver: () => '' }));
    // Without a listener, a connection that cannot be accepted (EMFILE) would be an uncaught exception.
    app.server.on('error', (error) => log.error({ err: error }, 'the API could not accept a connection'));
    log.info({ socket: socketPath }, 'the API listens');
    return {
      async close() {
        await release();
        await app.close();
      },
    };
  } catch (error) {
    await app.close();
    throw error;
  }
}
