/** Which files are generated from the tables of the project, and whether the committed ones are current. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configurationReference } from '../agent/index.js';
import { layoutsHeader, reasonsHeader } from './c-headers.js';
import { errorsPage, mapsPage, reasonsPage } from './reference-tables.js';
import { wirePage } from './wire-tables.js';

export interface GeneratedFile {
  /** Relative to the project's root. */
  readonly path: string;
  readonly text: string;
}

/** Every generated file. The same layouts give the same bytes. */
export function generatedFiles(): readonly GeneratedFile[] {
  return [
    { path: 'datapath/kernel/bpf/layouts.h', text: layoutsHeader() },
    { path: 'datapath/kernel/bpf/reasons.h', text: reasonsHeader() },
    { path: 'docs/reference/configuration.md', text: configurationReference() },
    { path: 'docs/reference/errors.md', text: errorsPage() },
    { path: 'docs/reference/maps.md', text: mapsPage() },
    { path: 'docs/reference/reasons.md', text: reasonsPage() },
    { path: 'docs/reference/wire.md', text: wirePage() },
  ];
}

/** Paths whose file under `root` is missing or differs from what would be generated. */
export function staleFiles(root: string): readonly string[] {
  return generatedFiles()
    .filter(({ path, text }) => committed(join(root, path)) !== text)
    .map(({ path }) => path);
}

/** Writes what is stale, so that an unchanged file keeps its time stamp; returns the paths written. */
export function writeGenerated(root: string): readonly string[] {
  const stale = new Set(staleFiles(root));
  for (const { path, text } of generatedFiles()) {
    if (!stale.has(path)) continue;
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return [...stale];
}

function committed(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
