/**
 * The programs of a cluster that no distribution has in the wanted version, built from their Go modules
 * (docs/decisions/023-components-from-modules.md) into a cache outside the tree. The cache is keyed by the module files and the
 * flags below, so that nothing is built twice and nothing stale is used.
 */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { PROJECT } from '../../demo/project.js';
import { run } from '../../demo/testbed/index.js';
import { SfcError } from '../../errors/index.js';
import { phase, type Say, silent } from './progress.js';

const SOURCES = join(PROJECT, 'test/kube/components');

/** Folder of a module file, and the packages in it that are programs. The last word of a package is the program's name. */
const MODULES = {
  kubernetes: [
    'k8s.io/kubernetes/cmd/kube-apiserver',
    'k8s.io/kubernetes/cmd/kube-controller-manager',
    'k8s.io/kubernetes/cmd/kube-scheduler',
    'k8s.io/kubernetes/cmd/kubelet',
    'k8s.io/kubernetes/cmd/kube-proxy',
    'k8s.io/kubernetes/cmd/kubectl',
  ],
  helm: ['helm.sh/helm/v3/cmd/helm'],
  flannel: ['github.com/flannel-io/flannel'],
} as const;

type Package = (typeof MODULES)[keyof typeof MODULES][number];
type LastWord<Path extends string> = Path extends `${string}/${infer Rest}` ? LastWord<Rest> : Path;
/** A program that `component` builds. */
export type Component = LastWord<Package>;
export const COMPONENTS = Object.values(MODULES).flatMap((packages) => packages.map((path) => basename(path) as Component));

const moduleOf = (component: Component) => {
  const found = Object.entries(MODULES).find(([, packages]) => packages.some((path) => basename(path) === component));
  if (found === undefined) throw new SfcError('INTERNAL', `no module has ${component}`);
  const [folder, packages] = found;
  return { directory: join(SOURCES, folder), path: packages.find((one) => basename(one) === component) ?? component };
};

/** The release of Kubernetes that the module file names, as `v1.34.1`. */
export const KUBERNETES_VERSION = /k8s\.io\/kubernetes (v[\d.]+)/.exec(readFileSync(join(SOURCES, 'kubernetes/go.mod'), 'utf8'))?.[1] ?? '';

/** What `kubectl get nodes` and `kubectl version` tell. Without the symbols the programs are a third smaller. */
function linkerFlags(): string {
  const [major = '', minor = ''] = KUBERNETES_VERSION.slice(1).split('.');
  const values = { gitVersion: KUBERNETES_VERSION, gitMajor: major, gitMinor: minor };
  return ['-s -w', ...Object.entries(values).map(([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`)].join(' ');
}

/** Directory of everything that is kept from one run to the next. */
export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sfc/kube');

/** Where a program is, or will be once it is built. */
export function componentPath(component: Component): string {
  const { directory } = moduleOf(component);
  const hash = createHash('sha256').update(linkerFlags());
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(directory, file)));
  return join(CACHE, 'bin', hash.digest('hex').slice(0, 16), component);
}

/** Path of a program, which is built first when it is not there. Throws `COMMAND_FAILED` with the compiler's words. */
export async function component(name: Component, say: Say = silent): Promise<string> {
  const program = componentPath(name);
  if (existsSync(program)) return program;
  say(`building ${name} …`);
  await phase(say, `built ${name}`, () => build(name, program));
  return program;
}

async function build(name: Component, program: string): Promise<void> {
  const { directory, path } = moduleOf(name);
  await mkdir(join(program, '..'), { recursive: true });
  // Beside its place and renamed into it: a build that was killed leaves no half program under the name.
  const half = await mkdtemp(`${program}.`);
  const go = await goCommand();
  // Read-only modules: a build never changes what is pinned.
  const argv = [go, '-C', directory, 'build', '-mod=readonly', '-trimpath', '-ldflags', linkerFlags(), '-o', join(half, name), path];
  await run(argv, { timeout: 60 * 60_000 });
  await rename(join(half, name), program);
  await rm(half, { recursive: true });
}

async function goCommand(): Promise<string> {
  for (const go of ['go', '/usr/local/go/bin/go']) {
    const found = await run([go, 'version']).catch(() => undefined);
    const [, minor] = /go1\.(\d+)/.exec(found?.stdout ?? '') ?? [];
    // From 1.21 on, Go fetches the toolchain that a module asks for by itself.
    if (Number(minor) >= 21) return go;
  }
  throw new SfcError(
    'CLUSTER_UNAVAILABLE',
    'building Kubernetes needs Go 1.24 or later (from 1.21 on it fetches a later one by itself): https://go.dev/dl; the one of Debian 12 is 1.19',
  );
}
