/**
 * The plugin on a host that may have no Node.js, nor the libraries that ours is linked with: our own node, its libraries and
 * its loader go beside the bundle, and a script of one line is what the runtime calls.
 *
 *     <bin>/sfc-cni                        the script
 *     <bin>/.sfc-cni/<digest>/node, lib/   what it starts
 *     <bin>/.sfc-cni/<digest>/sfc-cni.cjs  the plugin
 *
 * What is of another digest is of another version: the script is turned to it in one step, and plugins that run meanwhile go on.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SfcError } from '../../errors/index.js';
import { PLUGIN_TYPE } from './configuration.js';

const PROGRAMS = `.${PLUGIN_TYPE}`;
const LOADER = /^ld-(linux|musl)/;

/** Shared objects of a node of its own, as its loader found them: by the names that it looks for. Empty: it is linked statically. */
function libraries(node: string): string[] {
  const asked = spawnSync(node, ['-p', 'JSON.stringify(process.report.getReport().sharedObjects)'], { encoding: 'utf8' });
  if (asked.status !== 0) throw new SfcError('CNI_INSTALL', `${node} does not tell its libraries: ${asked.stderr.trim()}`);
  return (JSON.parse(asked.stdout) as string[]).filter((path) => path.startsWith('/') && /\.so(\.|$)/.test(basename(path)));
}

function launcher(digest: string, loader: string | undefined): string {
  const here = `\${0%/*}/${PROGRAMS}/${digest}`;
  const through = loader === undefined ? '' : `"${here}/lib/${loader}" --library-path "${here}/lib" `;
  // NODE_OPTIONS of whoever started the runtime are not meant for this.
  return `#!/bin/sh\nNODE_OPTIONS= exec ${through}"${here}/node" "${here}/sfc-cni.cjs"\n`;
}

export interface ProgramSource {
  /** The node binary. */
  readonly node: string;
  /** The bundled plugin. */
  readonly bundle: string;
}

/** Idempotent. @returns whether anything was copied. @throws SfcError CNI_INSTALL */
export function installProgram(directory: string, { node, bundle }: ProgramSource): boolean {
  try {
    const files: [string, string][] = [
      ['node', node],
      ['sfc-cni.cjs', bundle],
      ...libraries(node).map((path): [string, string] => [`lib/${basename(path)}`, path]),
    ];
    const hash = createHash('sha256');
    for (const [name, path] of files) hash.update(name).update(readFileSync(path));
    const digest = hash.digest('hex').slice(0, 16);
    const programs = join(directory, PROGRAMS);
    const room = join(programs, digest);
    const script = join(directory, PLUGIN_TYPE);
    const loader = files.map(([name]) => basename(name)).find((name) => LOADER.test(name));
    const text = launcher(digest, loader);
    const before = existsSync(script) ? readFileSync(script, 'utf8') : '';
    if (before === text && existsSync(room)) return false;
    if (!existsSync(room)) {
      const draft = join(programs, `.${digest}`);
      rmSync(draft, { recursive: true, force: true });
      mkdirSync(join(draft, 'lib'), { recursive: true });
      for (const [name, path] of files) {
        copyFileSync(path, join(draft, name));
        chmodSync(join(draft, name), 0o755);
      }
      renameSync(draft, room);
    }
    writeFileSync(`${script}.draft`, text, { mode: 0o755 });
    renameSync(`${script}.draft`, script);
    // A plugin that has just been called may still be about to start the one before.
    for (const name of readdirSync(programs)) {
      if (name !== digest && !before.includes(name)) rmSync(join(programs, name), { recursive: true, force: true });
    }
    return true;
  } catch (cause) {
    if (cause instanceof SfcError) throw cause;
    throw new SfcError('CNI_INSTALL', `${directory}: ${(cause as Error).message}`, { cause });
  }
}

/** What is not there is fine. */
export function removeProgram(directory: string): void {
  for (const name of [PLUGIN_TYPE, PROGRAMS]) rmSync(join(directory, name), { recursive: true, force: true });
}
