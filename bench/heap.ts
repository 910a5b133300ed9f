/** What the JavaScript heap says: bytes that a piece of work allocates, bytes that are held. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const TURNS = 7;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Least growth of the heap over several runs, bytes: a collection or a compiler's work in between disturbs single ones. */
export function bytesAllocated(run: () => unknown): number {
  let least = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < TURNS; turn++) {
    const before = process.memoryUsage().heapUsed;
    run();
    const grown = process.memoryUsage().heapUsed - before;
    if (grown >= 0) least = Math.min(least, grown);
  }
  return least;
}

/** Bytes of live objects and of array buffers. */
export function bytesHeld(): number {
  collect();
  collect(); // waits for array buffers that the first one lets go
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
