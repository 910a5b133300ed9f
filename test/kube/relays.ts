/** Starting and ending the program of relay.ts. */

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PROJECT } from '../../demo/project.js';
import { SfcError } from '../../errors/index.js';
import { until } from './progress.js';

/** A sweep finds it in command lines, with the cluster's directory in a later argument. */
const RELAY_PROGRAM = join(PROJECT, 'dist/test/kube/relay.js');

export interface Relay {
  /** Where the host reaches the server: `https://127.0.0.1:<port>`. */
  readonly url: string;
  stop(): Promise<void>;
}

interface RelayOptions {
  readonly namespace: string;
  readonly address: string;
  readonly port: number;
  readonly directory: string;
}

/** It outlives this process, and the server that it leads to. */
export async function startRelay({ namespace, address, port, directory }: RelayOptions): Promise<Relay> {
  const portFile = join(directory, 'relay.port');
  await rm(portFile, { force: true });
  const log = openSync(join(directory, 'relay.log'), 'a');
  const child = spawn(process.execPath, [RELAY_PROGRAM, `/run/netns/${namespace}`, address, String(port), portFile], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  const bound = await until(
    async () => {
      if (child.exitCode !== null) throw new SfcError('COMMAND_FAILED', `the relay to the API server ended; see ${directory}/relay.log`);
      return readFile(portFile, 'utf8').catch(() => undefined);
    },
    () => new SfcError('COMMAND_FAILED', `the relay to the API server does not start; see ${directory}/relay.log`),
    { everyMs: 10 },
  );
  return {
    url: `https://127.0.0.1:${bound}`,
    async stop() {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await ended;
    },
  };
}
