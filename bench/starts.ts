/**
 * How long is a pod held when it starts, and does anything of it pass by its chain? Pods come and go on one node under
 * its agent, some lanes at a time, each sending from its first moment on; their manifests come before their
 * interfaces, after them, or with them (`demo/churn.ts`), and what a pod waits for its manifest is part of what
 * it is held. The server counts what came past the chain (`demo/starts.ts`).
 */

import { comeAndGo } from '../demo/churn.js';
import { Starts, type Story } from '../demo/starts.js';
import type { Attachment } from '../demo/testbed/index.js';
import { median, quantile } from './statistics.js';

export interface StartsBenchOptions {
  readonly count: number;
  readonly parallel: number;
  readonly attachment?: Attachment;
  readonly flags?: readonly string[];
}

export async function startsReport(options: StartsBenchOptions, onProgress: (done: number, of: number) => void): Promise<string> {
  const { count, parallel, attachment = 'routed', flags = [] } = options;
  const starts = await Starts.open({ prefix: 'sfc-bench', attachment, flags });
  try {
    let done = 0;
    const began = performance.now();
    const ids = Array.from({ length: count }, (_, id) => id);
    const stories = await comeAndGo(starts, { ids, parallel, lifeMs: 100, onEnded: () => onProgress(++done, count) });
    const seconds = (performance.now() - began) / 1000;
    const { steered, unsteered } = await starts.judged();
    const { guard, datapath } = await starts.cluster.status('node1');
    /** By when the manifest came: before the interface, after it, with it. */
    const held = (which: number | undefined) =>
      stories.flatMap(({ id, heldMs }: Story) => (heldMs !== undefined && (which === undefined || id % 3 === which) ? [heldMs] : []));
    const row = (name: string, samples: readonly number[]) =>
      `  ${name.padEnd(28)}${median(samples).toFixed(0).padStart(6)} ms${quantile(samples, 0.99).toFixed(0).padStart(10)} ms`;
    return [
      `${count} pod starts, ${parallel} at a time, ${(count / seconds).toFixed(1)} a second, ${attachment} pods, ${datapath.kind} datapath`,
      `  packets at the server        ${steered} by the chain, ${unsteered} past it`,
      `  the node's own counters      ${guard.held.fromPod} from pods held, ${guard.unsteered} unsteered`,
      `  pods that got nothing out    ${stories.filter(({ heldMs }) => heldMs === undefined).length}`,
      `  held, manifest came          median       99 %`,
      row('before the interface', held(0)),
      row('100 ms after it', held(1)),
      row('with it', held(2)),
      row('all', held(undefined)),
    ].join('\n');
  } finally {
    await starts.close();
  }
}
