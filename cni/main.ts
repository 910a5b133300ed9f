/** `sfc-cni`: the only module of the plugin that touches the process. Bundled to one file, `dist/cni/sfc-cni.cjs`. */

import { readFileSync, writeSync } from 'node:fs';
import { askAgent } from './agent-client.js';
import { runCommand } from './commands.js';
import { commandOf, readInvocation, versionOf } from './invocation.js';
import { errorResult, NEWEST_VERSION, SUPPORTED_VERSIONS } from './spec.js';

/** In this boot, as the agent left it; the guard itself does not outlive a boot either. */
function isGuarded(mark: string): boolean {
  try {
    return readFileSync(mark, 'utf8').trim() === readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return false;
  }
}

async function answer(text: string): Promise<unknown> {
  const command = commandOf(process.env);
  if (command === 'VERSION') return { cniVersion: NEWEST_VERSION, supportedVersions: SUPPORTED_VERSIONS };
  const invocation = readInvocation(command, process.env, text);
  const { socket, guardMark } = invocation.settings;
  return runCommand(invocation, {
    ask: (method, path, body, answerMs, awayMs) => askAgent(socket, method, path, body, answerMs, awayMs),
    guarded: () => isGuarded(guardMark),
  });
}

function print(value: unknown): void {
  const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
  for (let written = 0; written < bytes.length; ) written += writeSync(1, bytes, written);
}

// Not await at the top: a bundle in CommonJS, which starts sooner, has none.
let text = '';
try {
  text = readFileSync(0, 'utf8');
} catch {
  // No standard input: VERSION needs none, everything else says what it misses.
}
answer(text).then(
  (result) => {
    if (result !== undefined) print(result);
    process.exit(0);
  },
  (error: unknown) => {
    print(errorResult(error, versionOf(text)));
    process.exit(1);
  },
);
