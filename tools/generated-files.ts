/** Which files are generated from the tables of the project, and whether the committed ones are current. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { configurationReference } from '../agent/index.js';
import { controllerReference } from '../controller/config/index.js';
import { layoutsHeader, reasonsHeader } from './c-headers.js';
import { chartFiles } from './chart/index.js';
import { crdFiles } from './crds/index.js';
import { errorsPage, mapsPage, reasonsPage, reasonsTable } from './reference-tables.js';
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
    { path: 'docs/reference/controller.md', text: controllerReference() },
    { path: 'docs/reference/errors.md', text: errorsPage() },
    { path: 'docs/reference/maps.md', text: mapsPage() },
    { path: 'docs/reference/reasons.md', text: reasonsPage() },
    { path: 'docs/reference/wire.md', text: wirePage() },
    ...crdFiles(),
  ];
}

/** A part of a document that is written by hand: what stands between `<!-- generated: name -->` and `<!-- end -->`. */
export interface GeneratedSection extends GeneratedFile {
  readonly name: string;
}

export function generatedSections(): readonly GeneratedSection[] {
  return [{ path: 'docs/dataplane.md', name: 'reasons', text: reasonsTable() }];
}

const END = '<!-- end -->';

/** The document with its section as it should be; undefined where it has no place for it. */
function withSection(document: string, { name, text }: GeneratedSection): string | undefined {
  const begin = `<!-- generated: ${name} -->\n`;
  const from = document.indexOf(begin);
  const to = document.indexOf(END, from);
  return from === -1 || to === -1 ? undefined : `${document.slice(0, from + begin.length)}${text}${document.slice(to)}`;
}

/** The chart is made of manifests that are written by hand, and of generated ones. */
export function chart(root: string): readonly GeneratedFile[] {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const base = readdirSync(join(root, 'deploy/base')).filter((name) => name !== 'kustomization.yaml');
  return chartFiles({
    version,
    base: new Map(base.sort().map((name) => [name, readFileSync(join(root, 'deploy/base', name), 'utf8')])),
    crds: new Map(crdFiles().map(({ path, text }) => [basename(path), text])),
  });
}

/** Every generated file, and every document with its sections, as they should be under `root`. */
function wanted(root: string): readonly GeneratedFile[] {
  const documents = generatedSections().map((section) => {
    const document = committed(join(root, section.path));
    const text = document === undefined ? undefined : withSection(document, section);
    if (text === undefined) throw new Error(`${section.path} has no <!-- generated: ${section.name} --> … ${END}`);
    return { path: section.path, text };
  });
  return [...generatedFiles(), ...chart(root), ...documents];
}

/** Paths whose file under `root` is missing or differs from what would be generated. */
export function staleFiles(root: string): readonly string[] {
  return wanted(root)
    .filter(({ path, text }) => committed(join(root, path)) !== text)
    .map(({ path }) => path);
}

/** Writes what is stale, so that an unchanged file keeps its time stamp; returns the paths written. */
export function writeGenerated(root: string): readonly string[] {
  const stale = new Set(staleFiles(root));
  for (const { path, text } of wanted(root)) {
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
