/**
 * A watched directory. Events only say "look now"; what is believed is the look itself, so a lost
 * event costs one rescan interval and no more.
 */

import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type DirectoryContent, glance, readManifests } from './files.js';

/** An editor's save or a ConfigMap's swap is several events. */
const DEBOUNCE_MS = 50;

export interface DirectorySourceOptions {
  readonly directory: string;
  /** Milliseconds between looks without an event. */
  readonly rescanMs: number;
  /** Content that differs from what was told last. */
  readonly onContent: (content: DirectoryContent) => void;
  /** The directory cannot be read; what was told last stays. Told once until it changes; empty when well again. */
  readonly onTrouble: (message: string) => void;
}

export interface DirectorySource {
  /** Looks now; resolves when that look is done. */
  rescan(): Promise<void>;
  close(): Promise<void>;
}

function explain(directory: string, error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return `manifest directory ${directory} does not exist; waiting for it`;
  if (code === 'ENOTDIR') return `manifest directory ${directory} is not a directory`;
  return `manifest directory ${directory} cannot be read: ${(error as Error).message}`;
}

/** Looks at once, then after every event and every `rescanMs`. */
export function watchDirectory({ directory, rescanMs, onContent, onTrouble }: DirectorySourceOptions): DirectorySource {
  let closed = false;
  let watcher: FSWatcher | undefined;
  let watched = '';
  let fingerprint: string | undefined;
  let hash: string | undefined;
  let trouble = '';
  let debounce: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();

  const tell = (message: string) => {
    if (message === trouble) return;
    trouble = message;
    onTrouble(message);
  };

  const unwatch = () => {
    watcher?.close();
    watcher = undefined;
    watched = '';
  };

  /** A directory that was removed and made again, or a link that was turned, is another inode: watch that one. */
  const follow = async () => {
    const { dev, ino } = await stat(directory);
    const identity = `${dev}:${ino}`;
    if (closed || identity === watched) return;
    unwatch();
    watcher = watch(directory, { persistent: false }, soon);
    watcher.on('error', unwatch);
    watched = identity;
  };

  const look = async () => {
    if (closed) return;
    try {
      await follow();
      const now = await glance(directory);
      if (now.fingerprint !== fingerprint) {
        const content = await readManifests(now);
        // A file that changed while it was read shows at the next look, because its stat differs from this glance.
        fingerprint = now.fingerprint;
        if (!closed && content.hash !== hash) {
          hash = content.hash;
          onContent(content);
        }
      }
      tell('');
    } catch (error) {
      unwatch();
      fingerprint = undefined;
      if (!closed) tell(explain(directory, error));
    }
  };

  const rescan = () => {
    looking = looking.then(look);
    return looking;
  };

  function soon(): void {
    debounce ??= setTimeout(() => {
      debounce = undefined;
      void rescan();
    }, DEBOUNCE_MS);
  }

  const interval = setInterval(() => void rescan(), rescanMs);
  void rescan();

  return {
    rescan,
    async close() {
      closed = true;
      clearInterval(interval);
      clearTimeout(debounce);
      unwatch();
      await looking;
    },
  };
}
