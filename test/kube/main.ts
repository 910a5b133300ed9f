/**
 * `make cluster`, `make cluster-down` and what `make test-kube` builds first. Exit status: 0 when done, 1 when something failed,
 * 69 when this machine cannot run it.
 *
 *     node dist/test/kube/main.js build [COMPONENT…]
 */

import { SfcError } from '../../errors/index.js';
import { COMPONENTS, type Component, component } from './components.js';
import { phase } from './progress.js';

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const [command = '', ...args] = process.argv.slice(2);
try {
  await main();
} catch (error) {
  if (!(error instanceof SfcError)) throw error;
  process.stderr.write(`cluster: ${error.message}\n${error.hint}\n`);
  process.exitCode = error.exit === 69 ? 69 : 1;
}

async function main(): Promise<void> {
  switch (command) {
    case 'build':
      return build(args.length === 0 ? COMPONENTS : COMPONENTS.filter((one) => args.includes(one)));
    default:
      throw new SfcError('USAGE', `no command ${command}`);
  }
}

/** One after the other: they share most of their packages, and the compiler uses every core for each. */
async function build(wanted: readonly Component[]): Promise<void> {
  await phase(say, 'programs of the cluster', async () => {
    for (const name of wanted) await component(name, say);
  });
}
