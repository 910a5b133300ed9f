/** Some of the agents of `bench/watch.ts`, in a process of their own. Told what to do by messages of its parent. */

import { kubeconfigFile } from '../kubernetes/index.js';
import { type MemoryAgent, startMemoryAgent } from '../test/kube/memory-agent.js';
import { type AgentsOrder, type Answered, type Asked, nodeName } from './watch-orders.js';

/**
 * An agent looks its host over every 30 s and compiles all anew for it, and reads its maps again each minute: a node's processor
 * does not notice, but that of a thousand nodes' agents would do nothing else. Here (ms) rounds come of news alone.
 */
const NEVER_MS = 3_600_000;
/** Agents that read the whole cluster at one time: their first list is most of their work. */
const AT_ONCE = 4;

const tell = (message: Answered) => process.send?.(message);
/** Maps as small as they can be: what is measured is what the agents know, not what their maps could hold. */
const CAPACITIES = {
  sfcselect: 2048,
  sfcports: 64,
  sfcpath: 64,
  sfcbackend: 32_768,
  sfcaffinity: 16,
  sfcflow: 16,
  sfcfragment: 16,
  sfcquota: 16,
  endpoint: 16,
  peer: 2048,
  sfcprobe: 16,
};

interface Followed {
  readonly one: MemoryAgent;
  digest: string;
}

async function main({ kubeconfig, from, to }: AgentsOrder): Promise<void> {
  const followed: Followed[] = [];
  let armed: { readonly before: ReadonlyMap<Followed, string>; readonly at: Map<Followed, number> } | undefined;
  const reached = (one: Followed, digest: string) => {
    one.digest = digest;
    if (armed === undefined || armed.at.has(one) || armed.before.get(one) === digest) return;
    armed.at.set(one, Date.now());
    if (armed.at.size < followed.length) return;
    tell({ what: 'programmed', at: [...armed.at.values()] });
    armed = undefined;
  };
  const begin = (number: number) =>
    new Promise<void>((resolve) => {
      const one = startMemoryAgent({
        node: nodeName(number),
        config: kubeconfigFile(kubeconfig),
        capacities: CAPACITIES,
        intervalMs: NEVER_MS,
        resyncMs: NEVER_MS,
      });
      const entry: Followed = { one, digest: '' };
      followed.push(entry);
      const { source } = one;
      const original = source.reached.bind(source);
      source.reached = (view) => {
        original(view);
        reached(entry, source.programmed?.selectors.digest ?? '');
        resolve();
      };
    });
  const waiting = Array.from({ length: to - from }, (_, index) => from + index);
  let ready = 0;
  const work = async () => {
    for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) {
      await begin(number);
      tell({ what: 'ready', count: ++ready });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));

  process.on('message', ({ what }: Asked) => {
    if (what === 'arm') {
      armed = { before: new Map(followed.map((one) => [one, one.digest])), at: new Map() };
      tell({ what: 'armed' });
      return;
    }
    global.gc?.();
    const traffic = followed.map(({ one }) => one.client.traffic);
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
    const statuses = followed.map(({ one }) => one.agent.status());
    tell({
      what: 'figures',
      requests: sum(traffic.map(({ requests }) => requests)),
      received: sum(traffic.map(({ received }) => received)),
      connections: sum(traffic.map(({ connections }) => connections)),
      reports: sum(statuses.map(({ source }) => source.report?.writes ?? 0)),
      watches: sum(statuses.flatMap(({ source }) => source.watches.map(({ watches }) => watches))),
      lists: sum(statuses.flatMap(({ source }) => source.watches.map(({ lists }) => lists))),
      troubled: statuses.filter(({ source }) => source.trouble !== '').length,
      resident: rss,
      heap: heapUsed + arrayBuffers,
      cpu: (user + system) / 1e6,
      rounds: statuses.map(({ reconcile }) => reconcile.lastDurationMs),
      entries: followed.map(({ one }) => one.maps.sfcselect.size()),
    });
  });
}

process.on('disconnect', () => process.exit());
await main(JSON.parse(process.argv[2] ?? '{}') as AgentsOrder);
