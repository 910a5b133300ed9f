/** The manifests that a command line names: files as they are, of directories what the agent would read. */

import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SfcError } from '../errors/index.js';

export interface ManifestFile {
  readonly file: string;
  readonly text: string;
}

const isManifest = (name: string) => !name.startsWith('.') && /\.(ya?ml|json)$/i.test(name);

function unreadable(path: string, error: unknown): SfcError {
  const { code, message } = error as NodeJS.ErrnoException;
  const why = code === 'ENOENT' ? 'no such file or directory' : code === 'EACCES' ? 'permission denied' : message;
  return new SfcError('INPUT_UNREADABLE', `${path}: ${why}`, { cause: error });
}

async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = (await readdir(path)).filter(isManifest).sort();
  const files: string[] = [];
  for (const name of names) if ((await stat(join(path, name))).isFile()) files.push(join(path, name));
  if (files.length === 0) throw new SfcError('INPUT_UNREADABLE', `${path}: no manifest in this directory`);
  return files;
}

/** Each file once, in the order named. @throws SfcError INPUT_UNREADABLE */
export async function readManifestFiles(paths: readonly string[]): Promise<ManifestFile[]> {
  const read = new Map<string, ManifestFile>();
  for (const path of paths) {
    try {
      for (const file of await filesOf(path)) if (!read.has(file)) read.set(file, { file, text: await readFile(file, 'utf8') });
    } catch (error) {
      throw error instanceof SfcError ? error : unreadable(path, error);
    }
  }
  return [...read.values()];
}
