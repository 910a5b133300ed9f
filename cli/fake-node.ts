/** A node for the tests of `sfc`: an agent of plain data behind a real server on a real socket. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import type { AgentView } from '../agent/view.js';
import { fakeView } from '../api/fake-view.js';
import { type Api, startApi } from '../api/index.js';
import { type Outcome, type Terminal, typed } from './fake-terminal.js';

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export interface FakeNode {
  /** The present test's own, removed after it. */
  readonly directory: string;
  readonly socketPath: string;
  /** Starts the server; parts of the view may be replaced. */
  serve(other?: Partial<AgentView>): Promise<void>;
  /** Ends it before the test does. */
  end(): Promise<void>;
  /** Runs `sfc …` as typed, with the node's socket in the environment. */
  sfc(line: string, terminal?: Terminal): Promise<Outcome>;
  /** What it printed, once it has been seen to end well. */
  printed(line: string, terminal?: Terminal): Promise<string>;
}

/** To be called at the top of a test file: it sets its own up before, and away after, each test. */
export function fakeNode(): FakeNode {
  let directory = '';
  let api: Api | undefined;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'sfc-cli-'));
  });

  afterEach(async () => {
    await node.end();
    rmSync(directory, { recursive: true, force: true });
  });

  const node: FakeNode = {
    get directory() {
      return directory;
    },
    get socketPath() {
      return join(directory, 'sfcd.sock');
    },
    async serve(other = {}) {
      api = await startApi({ view: fakeView(other), socketPath: node.socketPath, log: silent });
    },
    async end() {
      await api?.close();
      api = undefined;
    },
    sfc(line, { environment = {}, isTTY = false } = {}) {
      return typed(line, { isTTY, environment: { SFC_SOCKET: node.socketPath, ...environment } });
    },
    async printed(line, terminal) {
      const { exit, out, err } = await node.sfc(line, terminal);
      expect([exit, err]).toEqual([0, '']);
      return out;
    },
  };
  return node;
}
