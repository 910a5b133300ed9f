/** The only module of `sfc` that touches the process. */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './run.js';

/** sysexits.h EX_IOERR: the output could not be written. */
const EXIT_OUTPUT = 74;

/** Of package.json above this module, whether it runs compiled or not. */
function projectVersion(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error('no package.json above the program');
    directory = parent;
  }
  return (JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { version: string }).version;
}

// `sfc … | head` closes the pipe while we write: it has what it wanted.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    if (stream === process.stdout) process.stderr.write(`sfc: the output could not be written: ${error.message}\n`);
    process.exit(EXIT_OUTPUT);
  });
}

// Not process.exit(): what is still on its way to a pipe has to arrive.
process.exitCode = await run(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  environment: process.env,
  version: projectVersion(),
  clock: { wall: () => Date.now(), monotonic: () => Number(process.hrtime.bigint()) },
});
