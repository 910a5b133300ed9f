/** Where the project's files are, whether this module runs compiled or as TypeScript under test. */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error('no package.json above the demo');
    directory = parent;
  }
  return directory;
}

export const PROJECT = findRoot();
export const AGENT_PROGRAM = join(PROJECT, 'dist/agent/main.js');
export const CLI_PROGRAM = join(PROJECT, 'dist/cli/main.js');
/** The walkthrough's own two manifests. */
export const WALKTHROUGH_MANIFESTS = join(PROJECT, 'demo/manifests/walkthrough');
export const BPF_OBJECT = join(PROJECT, 'dist/datapath/kernel/sfc.bpf.o');
