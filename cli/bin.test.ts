/** The two starters in bin/, in a project that is built or is not. */

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const BIN = join(dirname(fileURLToPath(import.meta.url)), '../bin');
let project: string;

beforeEach(() => {
  project = join(mkdtempSync(join(tmpdir(), 'sfc bin-')), 'a project');
  cpSync(BIN, join(project, 'bin'), { recursive: true });
});

afterEach(() => {
  rmSync(dirname(project), { recursive: true, force: true });
});

describe.each([
  ['sfc', 'dist/cli/main.js'],
  ['sfcd', 'dist/agent/main.js'],
])('bin/%s', (name, program) => {
  it('says what to do when nothing is built', () => {
    const { status, stderr } = spawnSync(join(project, 'bin', name), { encoding: 'utf8' });
    expect(status).toBe(69);
    expect(stderr).toBe(`${name}: ${project}/${program} is missing; run \`make build\` in ${project} first\n`);
  });

  it('starts the program through links, with its arguments as they are', () => {
    mkdirSync(dirname(join(project, program)), { recursive: true });
    writeFileSync(join(project, program), 'process.stdout.write(JSON.stringify(process.argv.slice(2)))');
    const [first, second] = [join(dirname(project), 'first'), join(dirname(project), 'second')];
    symlinkSync(join(project, 'bin', name), first);
    symlinkSync('first', second);
    expect(JSON.parse(execFileSync(second, ['get', 'a b', '', '$HOME'], { encoding: 'utf8', cwd: '/' }))).toEqual([
      'get',
      'a b',
      '',
      '$HOME',
    ]);
  });
});
