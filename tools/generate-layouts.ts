/**
 * `node dist/tools/generate-layouts.js [--check]`, run from the project's root: writes the C headers
 * and the reference tables, or with --check says which committed one differs and exits 1.
 */

import { staleFiles, writeGenerated } from './generated-files.js';

const root = process.cwd();

if (process.argv.includes('--check')) {
  const stale = staleFiles(root);
  for (const path of stale) process.stderr.write(`${path} differs from what its source gives; run \`make generate\`\n`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const path of writeGenerated(root)) process.stdout.write(`wrote ${path}\n`);
}
