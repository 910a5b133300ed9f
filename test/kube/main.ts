/**
 * `make cluster`, `make cluster-down` and what `make test-kube` builds first. Exit status: 0 when done, 1 when something failed,
 * 69 when this machine cannot run it.
 *
 *     node dist/test/kube/main.js build [COMPONENT…]
 *     node dist/test/kube/main.js up [--nodes N] [--cni bridge|ptp|flannel] [--family 4|6|dual] [--masquerade] [--name NAME] [--directory DIRECTORY]
 *     node dist/test/kube/main.js down [--name NAME] [--directory DIRECTORY]
 */

import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { commandLine } from '../../demo/testbed/index.js';
import { SfcError } from '../../errors/index.js';
import { type Cluster, startCluster } from './cluster.js';
import { COMPONENTS, type Component, component, componentPath } from './components.js';
import type { Cni } from './node-files.js';
import type { IpFamilies } from './numbers.js';
import { phase } from './progress.js';
import { sweep } from './sweep.js';

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const CNIS: readonly Cni[] = ['bridge', 'ptp', 'flannel'];
const FAMILIES: readonly IpFamilies[] = ['4', '6', 'dual'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string', default: 'sfc-kube' },
    directory: { type: 'string', default: '/var/tmp/sfc-kube' },
    nodes: { type: 'string', default: process.env.NODES || '3' },
    cni: { type: 'string', default: process.env.CNI || 'bridge' },
    family: { type: 'string', default: process.env.FAMILY || '4' },
    masquerade: { type: 'boolean', default: ['1', 'yes', 'true'].includes(process.env.MASQUERADE ?? '') },
  },
});
const [command = '', ...args] = positionals;

try {
  await main();
} catch (error) {
  if (!(error instanceof SfcError)) throw error;
  process.stderr.write(`cluster: ${error.message}\n${error.hint}\n`);
  process.exitCode = error.exit === 69 || error.exit === 64 ? error.exit : 1;
}

async function main(): Promise<void> {
  switch (command) {
    case 'build':
      return build(args.length === 0 ? COMPONENTS : COMPONENTS.filter((one) => args.includes(one)));
    case 'up':
      return up();
    case 'down':
      return down();
    default:
      throw new SfcError('USAGE', `the commands are build, up and down, not ${command}`);
  }
}

/** One after the other: they share most of their packages, and the compiler uses every core for each. */
async function build(wanted: readonly Component[]): Promise<void> {
  if (wanted.every((name) => existsSync(componentPath(name)))) return;
  say('building the programs of the cluster; the first time takes minutes');
  await phase(say, 'programs of the cluster', async () => {
    for (const name of wanted) await component(name, say);
  });
}

async function up(): Promise<void> {
  const { name, directory, masquerade } = values;
  const nodes = Number(values.nodes);
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > 20) throw new SfcError('USAGE', `NODES (--nodes) is 1 to 20, not ${values.nodes}`);
  const cni = oneOf(CNIS, values.cni, 'CNI (--cni)');
  const families = oneOf(FAMILIES, values.family, 'FAMILY (--family)');
  const running = startCluster({ name, directory, nodes, cni, families, masquerade, keep: process.env.KEEP === '1', say });
  const cluster = await phase(say, 'the cluster', () => running);
  say(help(cluster));
}

async function down(): Promise<void> {
  const { processes, namespaces, cgroups } = await sweep(values.name, values.directory);
  say(
    `removed ${processes} processes with all below them, ${namespaces.length} network namespaces, ${cgroups.length} cgroups, ${values.directory}`,
  );
}

function oneOf<T extends string>(all: readonly T[], value: string, what: string): T {
  const found = all.find((one) => one === value);
  if (found === undefined) throw new SfcError('USAGE', `${what} is ${all.join(', ')}, not ${value}`);
  return found;
}

function help({ plane, outside, nodes }: Cluster): string {
  return `
  export KUBECONFIG=${plane.kubeconfig}
  export PATH=${componentPath('kubectl').replace(/\/kubectl$/, '')}:$PATH
  kubectl get nodes -o wide

on a node:   ${commandLine((nodes[0]?.machine ?? outside).inside(['bash']))}
outside:     ${commandLine(outside.inside(['bash']))}
take down:   make cluster-down`;
}
