/** Reading a manifest directory: bounded, tolerant of files that come and go meanwhile. */

import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** A Kubernetes object is at most 1.5 MiB in etcd; a file may hold several. */
export const LARGEST_FILE_BYTES = 4 << 20;
export const MOST_FILES = 4096;

export interface ManifestText {
  /** Full path, for messages. */
  readonly file: string;
  readonly text: string;
}

/** A file that was not read. */
export interface Skipped {
  readonly file: string;
  readonly message: string;
}

export interface DirectoryContent {
  /** Sorted by name. */
  readonly files: readonly ManifestText[];
  readonly skipped: readonly Skipped[];
  /** Changes exactly when names or bytes do. */
  readonly hash: string;
}

interface Seen {
  readonly file: string;
  readonly size: number;
  readonly isFile: boolean;
}

/** What stat says of every manifest: cheap to compare before anything is read. */
export interface DirectoryGlance {
  readonly seen: readonly Seen[];
  readonly fingerprint: string;
}

const isManifest = (name: string) => !name.startsWith('.') && /\.(ya?ml|json)$/i.test(name);

function gone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ELOOP';
}

/**
 * Symbolic links are followed (a mounted ConfigMap swaps `..data`). Hidden files are not manifests.
 * @throws the file system's error when the directory itself cannot be read
 */
export async function glance(directory: string): Promise<DirectoryGlance> {
  const names = (await readdir(directory)).filter(isManifest).sort();
  const seen: Seen[] = [];
  const marks: string[] = [];
  for (const name of names) {
    const file = join(directory, name);
    try {
      const facts = await stat(file, { bigint: true });
      seen.push({ file, size: Number(facts.size), isFile: facts.isFile() });
      marks.push(`${name} ${facts.dev} ${facts.ino} ${facts.size} ${facts.mtimeNs} ${facts.ctimeNs}`);
    } catch (error) {
      // Removed between the listing and the look: the next rescan agrees.
      if (!gone(error)) throw error;
      marks.push(`${name} gone`);
    }
  }
  return { seen, fingerprint: marks.join('\n') };
}

export async function readManifests({ seen }: DirectoryGlance): Promise<DirectoryContent> {
  const files: ManifestText[] = [];
  const skipped: Skipped[] = [];
  for (const { file, size, isFile } of seen) {
    if (!isFile) continue;
    if (files.length >= MOST_FILES) {
      skipped.push({ file, message: `not read: more than ${MOST_FILES} manifests in the directory` });
      continue;
    }
    if (size > LARGEST_FILE_BYTES) {
      skipped.push({ file, message: `not read: ${size} bytes, more than ${LARGEST_FILE_BYTES}` });
      continue;
    }
    try {
      files.push({ file, text: await readFile(file, 'utf8') });
    } catch (error) {
      if (!gone(error)) skipped.push({ file, message: `not read: ${(error as Error).message}` });
    }
  }
  const hash = createHash('sha256');
  for (const { file, text } of files) hash.update(`${file}\0${Buffer.byteLength(text)}\0`).update(text);
  for (const { file, message } of skipped) hash.update(`${file}\0skipped\0${message}\0`);
  return { files, skipped, hash: hash.digest('hex') };
}
