/**
 * The import rules of docs/architecture.md, checked: which folder may import which, and that other
 * folders are entered through their `index.ts` only. Prints every breach with what to do instead.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

const EVERYBODY = ['errors'];

/** Folder to the folders it may import. `test`, `demo`, `bench` and `tools` may import all. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  geneve: [],
  maps: ['geneve', ...EVERYBODY],
  policy: ['maps', 'geneve', ...EVERYBODY],
  datapath: ['geneve', 'maps', ...EVERYBODY],
  kubernetes: [...EVERYBODY],
  settings: ['policy', ...EVERYBODY],
  agent: ['geneve', 'maps', 'policy', 'datapath', 'api', 'cni', 'kubernetes', 'settings', ...EVERYBODY],
  controller: ['policy', 'kubernetes', 'settings', ...EVERYBODY],
  cni: ['agent', ...EVERYBODY],
  capture: ['geneve', ...EVERYBODY],
  api: ['agent', 'maps', ...EVERYBODY],
  replay: ['agent', 'capture', 'datapath', 'geneve', 'maps', 'policy', ...EVERYBODY],
  cli: ['api', 'capture', 'replay', 'policy', 'maps', 'agent', ...EVERYBODY],
};
const FREE = new Set(['test', 'demo', 'bench', 'tools']);
/** A test may reach for the testbed, whatever its folder. */
const TEST_EXTRA = ['demo', 'test', 'datapath', 'maps', 'policy', 'geneve', 'capture', 'agent', 'api', 'kubernetes'];
/** Tests, and what only they use: builders named `cast.ts`, shared tests `….records.ts` and stand-ins named `fake-….ts`. */
const isTestCode = (file: string) => /(\.test|\.records|\/cast|\/fake-[\w-]+)\.ts$/.test(file);
/** The one module behind an index that others may name: plain types of the agent's window. */
const PUBLIC = new Set(['agent/view.ts']);

function sources(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory())
      return entry.name === 'node_modules' || entry.name === 'dist' || entry.name.startsWith('.') ? [] : sources(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

function breaches(file: string, text: string): string[] {
  const from = file.includes('/') ? (file.split('/')[0] ?? '') : 'tools'; // settings of tools stand at the root
  const found: string[] = [];
  for (const match of text.matchAll(/(?:from|import)\s*\(?'(\.[^']+)'/g)) {
    const target = normalize(join(dirname(file), match[1] ?? '')).replace(/\.js$/, '.ts');
    const to = target.split('/')[0] ?? '';
    const isTest = isTestCode(file);
    if (isTestCode(target) && !isTest && !FREE.has(from)) found.push(`${file}: imports ${target}, which is for tests`);
    if (to === from || !target.includes('/')) continue;
    const allowed = FREE.has(from) ? undefined : [...(MAY_IMPORT[from] ?? []), ...(isTest ? TEST_EXTRA : [])];
    if (allowed !== undefined && !allowed.includes(to))
      found.push(`${file}: ${from}/ may not import ${to}/; it may import ${allowed.join(', ') || 'nothing of ours'}`);
    if (!/^[^/]+(\/[^/]+)?\/index\.ts$/.test(target) && !PUBLIC.has(target) && !isTest && !FREE.has(from))
      found.push(`${file}: imports ${target}; enter ${to}/ through ${to}/index.ts`);
  }
  return found;
}

const root = process.cwd();
const found = sources(root).flatMap((path) => breaches(relative(root, path), readFileSync(path, 'utf8')));
for (const line of found) process.stderr.write(`${line}\n`);
process.exitCode = found.length === 0 ? 0 : 1;
