/**
 * The plugin on a host without Node.js and without its libraries: below a directory that has a shell, what that needs, and what
 * the installer put there. The runtime calls the plugin as it would on such a node.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installProgram, removeProgram } from './program.js';

const BIN = '/opt/cni/bin';
const source = { node: process.execPath, bundle: 'dist/cni/sfc-cni.cjs' };

describe('the plugin on a host without Node.js', () => {
  let host: string;
  const below = (path: string) => join(host, path);

  beforeAll(() => {
    host = mkdtempSync(join(tmpdir(), 'sfc-host-'));
    const linked = execFileSync('ldd', ['/bin/sh'], { encoding: 'utf8' });
    for (const file of ['/bin/sh', ...[...linked.matchAll(/(\/\S+) \(/g)].map(([, path]) => path ?? '')]) {
      mkdirSync(below(dirname(file)), { recursive: true });
      copyFileSync(file, below(file));
      chmodSync(below(file), 0o755);
    }
    for (const directory of [BIN, '/proc', '/dev']) mkdirSync(below(directory), { recursive: true });
  });

  afterAll(() => rmSync(host, { recursive: true, force: true }));

  const call = (environment: Record<string, string>, stdin = '') =>
    spawnSync('chroot', [host, `${BIN}/sfc-cni`], { env: { PATH: '/usr/sbin:/usr/bin', ...environment }, input: stdin, encoding: 'utf8' });

  it('answers, whatever the environment of the runtime is', () => {
    expect(installProgram(below(BIN), source)).toBe(true);
    const { stdout, stderr, status } = call({ CNI_COMMAND: 'VERSION', NODE_OPTIONS: '--require /nowhere.js' });
    expect([stderr, status]).toEqual(['', 0]);
    expect(JSON.parse(stdout)).toMatchObject({ supportedVersions: expect.arrayContaining(['0.3.1', '0.4.0', '1.0.0', '1.1.0']) });
    const refused = call({ CNI_COMMAND: 'STATUS' }, JSON.stringify({ cniVersion: '1.1.0', name: 'x', type: 'sfc-cni' }));
    expect([refused.status, JSON.parse(refused.stdout)]).toEqual([1, expect.objectContaining({ code: 50, cniVersion: '1.1.0' })]);
  });

  it('is copied once, and of two versions the one before stays for those that have just been called', () => {
    expect(installProgram(below(BIN), source)).toBe(false);
    const [first] = readdirSync(below(`${BIN}/.sfc-cni`));
    const versions = [1, 2].map((version) => {
      const bundle = join(host, `version-${version}.cjs`);
      writeFileSync(bundle, `${readFileSync(source.bundle, 'utf8')}\n// ${version}\n`);
      return bundle;
    });
    for (const bundle of versions) expect(installProgram(below(BIN), { ...source, bundle })).toBe(true);
    const kept = readdirSync(below(`${BIN}/.sfc-cni`));
    expect(kept).toHaveLength(2);
    expect(kept).not.toContain(first);
    expect(call({ CNI_COMMAND: 'VERSION' }).status).toBe(0);
  });

  it('is gone without a trace', () => {
    removeProgram(below(BIN));
    removeProgram(below(BIN));
    expect([existsSync(below(`${BIN}/sfc-cni`)), readdirSync(below(BIN))]).toEqual([false, []]);
  });
});
