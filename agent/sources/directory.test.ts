import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type DirectorySource, watchDirectory } from './directory.js';
import { type DirectoryContent, LARGEST_FILE_BYTES } from './files.js';

let root: string;
let directory: string;
let source: DirectorySource | undefined;
let told: DirectoryContent[];
let troubles: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sfc-source-'));
  directory = join(root, 'manifests');
  told = [];
  troubles = [];
});
afterEach(async () => {
  await source?.close();
  rmSync(root, { recursive: true });
});

function start(rescanMs = 100) {
  source = watchDirectory({
    directory,
    rescanMs,
    onContent: (content) => told.push(content),
    onTrouble: (message) => troubles.push(message),
  });
  return source;
}

const texts = () => Object.fromEntries((told.at(-1)?.files ?? []).map(({ file, text }) => [file.slice(directory.length + 1), text]));
const eventually = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 10 });

describe('a manifest directory', () => {
  it('is read at once: manifests only, no hidden files', async () => {
    mkdirSync(join(directory, 'sub.yaml'), { recursive: true });
    for (const name of ['b.yaml', 'a.yml', 'c.json', '.hidden.yaml', 'notes.txt', 'a.yaml~']) writeFileSync(join(directory, name), name);
    start();
    await eventually(() => expect(texts()).toEqual({ 'a.yml': 'a.yml', 'b.yaml': 'b.yaml', 'c.json': 'c.json' }));
  });

  it('tells changes through its events, long before a rescan is due', async () => {
    mkdirSync(directory);
    await start(3_600_000).rescan();
    writeFileSync(join(directory, 'a.yaml'), 'one');
    await eventually(() => expect(texts()).toEqual({ 'a.yaml': 'one' }));
    rmSync(join(directory, 'a.yaml'));
    await eventually(() => expect(texts()).toEqual({}));
  });

  it('tells nothing when only time stamps change', async () => {
    mkdirSync(directory);
    writeFileSync(join(directory, 'a.yaml'), 'one');
    const watching = start();
    await watching.rescan();
    writeFileSync(join(directory, 'a.yaml'), 'one');
    await watching.rescan();
    expect(told).toHaveLength(1);
  });

  it('follows the swap of a ConfigMap mount', async () => {
    const version = (name: string, text: string) => {
      mkdirSync(join(directory, name), { recursive: true });
      writeFileSync(join(directory, name, 'a.yaml'), text);
    };
    version('..2026_1', 'one');
    symlinkSync('..2026_1', join(directory, '..data'));
    symlinkSync('..data/a.yaml', join(directory, 'a.yaml'));
    await start().rescan();
    expect(texts()).toEqual({ 'a.yaml': 'one' });
    version('..2026_2', 'two');
    symlinkSync('..2026_2', join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    await eventually(() => expect(texts()).toEqual({ 'a.yaml': 'two' }));
  });

  it('may be missing, appear, vanish and come back: what was told stays meanwhile', async () => {
    start();
    await eventually(() => expect(troubles.at(-1)).toBe(`manifest directory ${directory} does not exist; waiting for it`));
    mkdirSync(directory);
    writeFileSync(join(directory, 'a.yaml'), 'one');
    await eventually(() => expect([texts(), troubles.at(-1)]).toEqual([{ 'a.yaml': 'one' }, '']));
    renameSync(directory, `${directory}.away`);
    await eventually(() => expect(troubles.at(-1)).toContain('does not exist'));
    expect(texts()).toEqual({ 'a.yaml': 'one' });
    mkdirSync(directory);
    writeFileSync(join(directory, 'a.yaml'), 'two');
    await eventually(() => expect([texts(), troubles.at(-1)]).toEqual([{ 'a.yaml': 'two' }, '']));
  });

  it('skips a file that is too large and says so, reading the others', async () => {
    mkdirSync(directory);
    writeFileSync(join(directory, 'big.yaml'), '');
    truncateSync(join(directory, 'big.yaml'), LARGEST_FILE_BYTES + 1);
    writeFileSync(join(directory, 'a.yaml'), 'one');
    await start().rescan();
    expect(texts()).toEqual({ 'a.yaml': 'one' });
    expect(told.at(-1)?.skipped).toEqual([
      { file: join(directory, 'big.yaml'), message: `not read: ${LARGEST_FILE_BYTES + 1} bytes, more than ${LARGEST_FILE_BYTES}` },
    ]);
  });

  it('skips a dangling link', async () => {
    mkdirSync(directory);
    symlinkSync('nowhere', join(directory, 'a.yaml'));
    writeFileSync(join(directory, 'b.yaml'), 'two');
    await start().rescan();
    expect(texts()).toEqual({ 'b.yaml': 'two' });
  });
});
