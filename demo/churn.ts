/** Pods come and go in every order that a cluster knows. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Starts, Story } from './starts.js';

export interface ChurnOptions {
  /** Numbers of the pods. */
  readonly ids: readonly number[];
  /** Pods that start and end at a time. */
  readonly parallel: number;
  /** Milliseconds that a pod lives after its first packet has arrived. */
  readonly lifeMs: number;
  /** Milliseconds after which a pod is given up of which nothing arrives; default 15,000. */
  readonly patienceMs?: number;
  readonly onEnded?: (story: Story) => void;
}

/** Between manifest and interface, where one comes first, and between the manifest's end and the pod's. */
const APART_MS = 100;

/** By its number, a pod's manifest is there before its interface, after it, or about when it is. */
async function begin(starts: Starts, id: number): Promise<void> {
  if (id % 3 === 2) await Promise.all([starts.announce(id), starts.create(id)]);
  else if (id % 3 === 0) {
    await starts.announce(id);
    await sleep(APART_MS);
    await starts.create(id);
  } else {
    await starts.create(id);
    await sleep(APART_MS);
    await starts.announce(id);
  }
}

/** Every other pod goes on sending when its manifest is gone. */
async function end(starts: Starts, id: number): Promise<Story> {
  if (id % 2 === 0) {
    await starts.withdraw(id);
    await sleep(APART_MS);
    return starts.destroy(id);
  }
  const story = await starts.destroy(id);
  await starts.withdraw(id);
  return story;
}

/** All of them, one after the other in some lanes at a time. */
export async function comeAndGo(starts: Starts, options: ChurnOptions): Promise<readonly Story[]> {
  const { ids, parallel, lifeMs, patienceMs = 15_000, onEnded } = options;
  const stories: Story[] = [];
  const left = [...ids];
  const lane = async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      await begin(starts, id);
      const until = performance.now() + patienceMs;
      while (!starts.hasArrived(id) && performance.now() < until) await sleep(10);
      await sleep(lifeMs);
      const story = await end(starts, id);
      stories.push(story);
      onEnded?.(story);
    }
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  return stories;
}
