import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAP_NAMES, MAPS, REASONS } from '../maps/index.js';
import { upperSnake } from './c-headers.js';
import { chart, generatedFiles, staleFiles, writeGenerated } from './generated-files.js';

const project = fileURLToPath(new URL('..', import.meta.url));
const LAYOUTS = 'datapath/kernel/bpf/layouts.h';
const DATAPLANE = 'docs/dataplane.md';
let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sfc-generated-'));
  mkdirSync(join(root, 'docs'));
  for (const source of ['package.json', 'deploy/base']) cpSync(join(project, source), join(root, source), { recursive: true });
  writeFileSync(join(root, DATAPLANE), '# By hand\n\n<!-- generated: reasons -->\n<!-- end -->\n\nBehind it.\n');
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

/** Compiles C that includes the headers written under `root`; throws with the compiler's words. */
function compile(compiler: string, source: string): void {
  const arguments_ = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', '-I', join(root, 'datapath/kernel/bpf'), '-xc', '-'];
  execFileSync(compiler, arguments_, { input: `#include "layouts.h"\n#include "reasons.h"\n${source}`, stdio: 'pipe' });
}

it('the committed files are what the tables give', () => {
  expect(staleFiles(project)).toEqual([]);
});

it('an edited or missing file is named, and written anew', () => {
  expect(writeGenerated(root)).toEqual([...[...generatedFiles(), ...chart(root)].map(({ path }) => path), DATAPLANE]);
  expect(staleFiles(root)).toEqual([]);
  appendFileSync(join(root, LAYOUTS), '\n');
  rmSync(join(root, 'docs/reference/reasons.md'));
  expect(staleFiles(root)).toEqual([LAYOUTS, 'docs/reference/reasons.md']);
  expect(writeGenerated(root)).toEqual([LAYOUTS, 'docs/reference/reasons.md']);
  expect(staleFiles(root)).toEqual([]);
});

it('a section is written into its document, and what stands around it stays', () => {
  writeGenerated(root);
  const text = readFileSync(join(root, DATAPLANE), 'utf8');
  expect(text).toMatch(/^# By hand\n\n<!-- generated: reasons -->\n\| verdict \| reason /);
  expect(text).toMatch(/ \|\n<!-- end -->\n\nBehind it\.\n$/);
  for (const { name, class: verdict } of REASONS) expect(text).toContain(`| ${verdict} | \`${name}\` |`);
  writeFileSync(join(root, DATAPLANE), text.replace('| dropped |', '| lost |'));
  expect(staleFiles(root)).toEqual([DATAPLANE]);
  expect(writeGenerated(root)).toEqual([DATAPLANE]);
  expect(readFileSync(join(root, DATAPLANE), 'utf8')).toBe(text);
});

it('a document without a place for its section is named', () => {
  writeFileSync(join(root, DATAPLANE), '# By hand\n');
  expect(() => staleFiles(root)).toThrow('docs/dataplane.md has no <!-- generated: reasons --> … <!-- end -->');
});

describe.each(['cc', 'clang'])('the headers under %s', (compiler) => {
  beforeEach(() => {
    writeGenerated(root);
  });

  it('compile without a warning, their assertions hold', () => {
    const sizes = MAP_NAMES.flatMap((name) => [MAPS[name].key, MAPS[name].value]).map(
      ({ name, size }) => `_Static_assert(sizeof(struct ${name}) == ${size}, "");`,
    );
    const numbers = REASONS.map(({ name, number }) => `_Static_assert(REASON_${upperSnake(name)} == ${number}, "");`);
    compile(compiler, [...sizes, ...numbers].join('\n'));
  });

  it('refuse a struct whose field has moved', () => {
    const header = generatedFiles().find(({ path }) => path === LAYOUTS)?.text ?? '';
    const moved = header.replace(/\t__be16 port;[^\n]*\n\t__u8 protocol;/, '\t__u8 protocol;\n\t__be16 port;');
    expect(moved).not.toBe(header);
    writeFileSync(join(root, LAYOUTS), moved);
    expect(() => compile(compiler, '')).toThrow('sfcselect_key.port stands at 8');
  });
});

it('names cross into C in upper snake case', () => {
  expect(['forwardAToB', 'nextHop', 'ipv4', 'selectsAllPorts', 'no-backend', 'fromPod'].map(upperSnake)).toEqual([
    'FORWARD_A_TO_B',
    'NEXT_HOP',
    'IPV4',
    'SELECTS_ALL_PORTS',
    'NO_BACKEND',
    'FROM_POD',
  ]);
});
