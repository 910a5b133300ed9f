/** Hundreds of chains and selectors on a hundred nodes: what a change costs does not depend on how many there are. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { type KubernetesObject, RESOURCES, type Resource } from '../kubernetes/index.js';
import { Cast, chainOf, condition, eventually, type Process, selectorOf } from './cast.js';
import type { ChainObject, SelectorObject } from './cluster/index.js';

/** `SFC_SCALE=1000 make test-kube` takes minutes more. */
const COUNT = Number(process.env.SFC_SCALE ?? 300);
const NODES = 100;

let cast: Cast;
let leader: Process;
beforeAll(async () => {
  cast = await Cast.start();
  await cast.namespaces('functions', 'clients');
  // The lease of every day: a busy machine is no reason to lose it.
  leader = await cast.leader('--log-level=info', '--lease-duration-ms=15000', '--lease-renew-deadline-ms=10000', '--lease-retry-ms=2000');
});
afterAll(() => cast?.stop());

async function createAll(resource: Resource, objects: readonly KubernetesObject[]): Promise<void> {
  const rest = [...objects];
  const worker = async () => {
    for (let one = rest.shift(); one !== undefined; one = rest.shift()) await cast.client.create(resource, one);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

const writes = () => leader.metric('sfc_controller_writes_total');
const isProgrammed = (object: ChainObject | SelectorObject) =>
  condition(object, 'Programmed') === `True Programmed: on ${NODES} of ${NODES} nodes`;

async function reportAll(): Promise<void> {
  const names = Array.from({ length: NODES }, (_, at) => `node-${at}`);
  await cast.report('node-0');
  const { status } = await cast.get<KubernetesObject & { status: object }>(RESOURCES.steeringNodes, 'node-0');
  for (const name of names) {
    const object = { apiVersion: 'networking.gke.io/v1', kind: 'SteeringNode', metadata: { name } };
    await cast.client.apply(RESOURCES.steeringNodes, object, { fieldManager: 'test' });
    await cast.client.mergePatch(RESOURCES.steeringNodes, name, { status }, { subresource: 'status' });
  }
}

it(`${COUNT} chains and ${COUNT} selectors`, { timeout: 600_000 }, async () => {
  const figures: Record<string, number> = {};
  const timed = async (what: string, run: () => Promise<unknown>) => {
    const [begin, before] = [performance.now(), await writes()];
    await run();
    figures[`${what}, s`] = Math.round((performance.now() - begin) / 100) / 10;
    figures[`${what}, writes`] = (await writes()) - before;
  };
  const named = (at: number) => `n${at}`;
  await timed('chains with ids and Services', async () => {
    await createAll(
      RESOURCES.chains,
      Array.from({ length: COUNT }, (_, at) => chainOf(named(at), [{ name: `f${at}` }])),
    );
    await eventually(
      async () => {
        const chains = await cast.all<ChainObject>(RESOURCES.chains);
        expect(new Set(chains.map(({ status }) => status?.servicePathId)).size, leader.log().slice(-3000)).toBe(COUNT);
        expect(chains.every(({ status }) => status?.servicePathId !== undefined)).toBe(true);
      },
      100_000,
      1000,
    );
  });
  await timed('selectors', async () => {
    await createAll(
      RESOURCES.selectors,
      Array.from({ length: COUNT }, (_, at) => selectorOf(named(at), named(at), `a${at}`)),
    );
    await eventually(
      async () => {
        const selectors = await cast.all<SelectorObject>(RESOURCES.selectors);
        expect(selectors.every((one) => condition(one, 'Accepted') !== undefined)).toBe(true);
      },
      100_000,
      1000,
    );
  });
  await timed('programmed on all nodes', async () => {
    await reportAll();
    await eventually(
      async () => {
        expect((await cast.all<ChainObject>(RESOURCES.chains)).every(isProgrammed)).toBe(true);
        expect((await cast.all<SelectorObject>(RESOURCES.selectors)).every(isProgrammed)).toBe(true);
      },
      100_000,
      1000,
    );
  });
  await timed('one more chain', async () => {
    await cast.client.create(RESOURCES.chains, chainOf('one-more', [{ name: 'one' }]));
    await eventually(async () => expect((await cast.chain('one-more')).status?.servicePathId).toBe(COUNT + 1));
  });
  // Its record, its Service, its status, two events; of the others nothing.
  expect(figures['one more chain, writes']).toBeLessThanOrEqual(6);
  await timed('the same on all nodes', async () => {
    await reportAll();
    await eventually(async () => expect(isProgrammed(await cast.chain('one-more'))).toBe(true));
  });
  // Nodes report one after another: of that one chain a status every half second while they do, and its event.
  expect(figures['the same on all nodes, writes']).toBeLessThanOrEqual(10 + 2 * (figures['the same on all nodes, s'] ?? 0));
  figures['resident memory of the controller, MiB'] = Math.round((await leader.metric('process_resident_memory_bytes')) / 2 ** 20);
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
  // Record writes are shared by many; then Service, event, status: and one status and one event for Programmed.
  expect(figures['chains with ids and Services, writes']).toBeLessThan(6 * COUNT);
});
