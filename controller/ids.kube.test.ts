/**
 * servicePathIds on a real API server: whoever dies between any two writes, writes late, loses or edits the record, no id is two
 * chains', moves, or is reused before it has rested.
 */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { clusterConfig, KubernetesClient, RESOURCES } from '../kubernetes/index.js';
import type { Api } from './api.js';
import { Cast, chainOf, condition, eventually, NAMESPACE, type Process } from './cast.js';
import type { ChainObject } from './cluster/index.js';
import { Controller } from './controller.js';
import { formatRecord, IdKeeper, LAST_ID, parseRecord, RECORD_NAME } from './ids/index.js';

let cast: Cast;
const processes: Process[] = [];

beforeAll(async () => {
  cast = await Cast.start();
  await cast.namespaces('functions');
});
afterAll(() => cast?.stop());
afterEach(async () => {
  for (const process of processes.splice(0)) await process.end();
  for (const { metadata } of await cast.all(RESOURCES.chains)) await cast.client.delete(RESOURCES.chains, metadata.name);
  for (const { metadata } of await cast.all(RESOURCES.services, 'networking.gke.io/managed-by')) {
    const { namespace = '', name } = metadata;
    await cast.client.delete(RESOURCES.services, name, { namespace });
  }
  await cast.client.delete(RESOURCES.configMaps, RECORD_NAME, { namespace: NAMESPACE });
});

async function leader(...flags: readonly string[]): Promise<Process> {
  const process = await cast.leader(...flags);
  processes.push(process);
  return process;
}

async function idOf(name: string): Promise<number> {
  return eventually(async () => {
    const id = (await cast.chain(name)).status?.servicePathId;
    expect(id).toBeDefined();
    return id as number;
  });
}

const assigned = async () => Object.fromEntries([...parseRecord(await cast.record()).assigned].map(([id, { name }]) => [name, id]));

const stateByHand = (name: string, servicePathId: number) =>
  cast.client.mergePatch<ChainObject>(RESOURCES.chains, name, { status: { servicePathId } }, { subresource: 'status' });

describe('a status that somebody wrote', () => {
  it('is set right, and told', async () => {
    await leader();
    await cast.apply(chainOf('a', [{ name: 'fw' }]), chainOf('b', [{ name: 'fw' }]));
    const [a, b] = [await idOf('a'), await idOf('b')];
    await stateByHand('a', b);
    await eventually(async () => expect((await cast.chain('a')).status?.servicePathId).toBe(a));
    await eventually(async () => {
      const events = (await cast.all(RESOURCES.events)) as unknown as readonly { reason: string; note: string }[];
      const notes = events.filter(({ reason }) => reason === 'ServicePathIdRepaired').map(({ note }) => note);
      expect(notes).toContain(`status named ${b}, and the chain has ${a}`);
    });
  });

  it('names an id that is another’s, or of no chain: the one is refused, the other kept', async () => {
    await cast.apply(chainOf('a', [{ name: 'fw' }]), chainOf('b', [{ name: 'fw' }]), chainOf('c', [{ name: 'fw' }]));
    await stateByHand('a', 700);
    await stateByHand('b', 700);
    await stateByHand('c', LAST_ID + 1);
    // It is the older of two that keeps it; kubectl applies them in order, within one second or two.
    const [older, younger] = (await cast.all<ChainObject>(RESOURCES.chains))
      .filter(({ metadata: { name } }) => name !== 'c')
      .sort((one, other) =>
        `${one.metadata.creationTimestamp} ${one.metadata.name}` < `${other.metadata.creationTimestamp} ${other.metadata.name}` ? -1 : 1,
      )
      .map(({ metadata: { name } }) => name);
    await leader();
    await eventually(async () => {
      const ids = Object.fromEntries(
        (await cast.all<ChainObject>(RESOURCES.chains)).map(({ metadata, status }) => [metadata.name, status?.servicePathId]),
      );
      expect(ids[older ?? '']).toBe(700);
      expect([ids[younger ?? ''], ids.c].sort()).toEqual([701, 702]);
    });
  });
});

describe('the record', () => {
  it('that is deleted is made anew: chains keep their ids, and what was somebody’s rests', async () => {
    await leader('--resync-seconds=1');
    for (const name of ['a', 'b', 'c']) await cast.apply(chainOf(name, [{ name: 'fw' }]));
    const ids = [await idOf('a'), await idOf('b'), await idOf('c')];
    await cast.client.delete(RESOURCES.chains, 'b');
    await eventually(async () => expect((await cast.record()).resting).toContain(`Z ${ids[1]}`));
    await cast.client.delete(RESOURCES.configMaps, RECORD_NAME, { namespace: NAMESPACE });
    // The one that leads knows it still.
    await eventually(async () => expect((await cast.record()).resting).toContain(`Z ${ids[1]}`));
    await processes.pop()?.end();
    await cast.client.delete(RESOURCES.configMaps, RECORD_NAME, { namespace: NAMESPACE });
    await leader();
    await cast.apply(chainOf('d', [{ name: 'fw' }]));
    expect([await idOf('a'), await idOf('c'), await idOf('d')]).toEqual([ids[0], ids[2], (ids[2] ?? 0) + 1]);
    expect((await cast.record()).resting).toContain(`Z ${ids[1]}`);
  });

  it('that is not readable stops the giving, not the rest, and says so', async () => {
    await leader('--resync-seconds=1');
    await cast.apply(chainOf('a', [{ name: 'fw' }]));
    const id = await idOf('a');
    const good = await cast.record();
    await cast.client.mergePatch(RESOURCES.configMaps, RECORD_NAME, { data: { next: 'x' } }, { namespace: NAMESPACE });
    await eventually(async () => {
      await cast.apply(chainOf('b', [{ name: 'fw' }]));
      expect(condition(await cast.chain('b'), 'Programmed')).toBe('False NoServicePathId: next: "x" is no number of 1 to 1048576');
    });
    expect((await cast.record()).next).toBe('x');
    expect((await cast.chain('a')).status?.servicePathId).toBe(id);
    await cast.client.mergePatch(RESOURCES.configMaps, RECORD_NAME, { data: { next: good.next } }, { namespace: NAMESPACE });
    expect(await idOf('b')).toBe(id + 1);
  });

  it('whose range is used up gives what has rested, in its time', async () => {
    await cast.client.create(RESOURCES.configMaps, recordObject({ next: LAST_ID, assigned: new Map(), resting: [] }), {
      namespace: NAMESPACE,
    });
    const process = await leader('--path-id-rest-seconds=3');
    await cast.apply(chainOf('a', [{ name: 'fw' }]));
    expect(await idOf('a')).toBe(LAST_ID);
    await cast.apply(chainOf('b', [{ name: 'fw' }]));
    expect(await idOf('b')).toBe(1);
    await cast.client.delete(RESOURCES.chains, 'b');
    await eventually(async () => expect((await cast.record()).resting).toContain('Z 1\n'));
    await cast.apply(chainOf('c', [{ name: 'fw' }]));
    expect(await idOf('c')).toBe(2);
    await eventually(async () => expect(await process.metric('sfc_controller_path_ids_resting')).toBe(1));
    const rested = Date.parse((await cast.record()).resting?.split(' ')[0] ?? '') + 3000;
    await eventually(() => expect(Date.now()).toBeGreaterThan(rested));
    await cast.apply(chainOf('d', [{ name: 'fw' }]));
    expect(await idOf('d')).toBe(1);
  });
});

function recordObject(record: Parameters<typeof formatRecord>[0]) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: RECORD_NAME, namespace: NAMESPACE }, data: formatRecord(record) };
}

describe('a controller that dies', () => {
  /** A controller in this process, which is dead from its n-th write on: that is sent, or not even sent. */
  function mortal(dies: { readonly at: number; readonly sent: boolean }) {
    const client = new KubernetesClient(clusterConfig(cast.kubeconfig, {}), 'mortal');
    let writes = 0;
    let dead = false;
    const controller = new Controller({
      client,
      namespace: NAMESPACE,
      identity: 'mortal',
      log: { debug() {}, info() {}, warn() {}, error() {} },
      clock: { wall: () => new Date(), monotonic: () => performance.now() },
      random: Math.random,
      parallel: 4,
      restMs: 3_600_000,
      serviceGraceMs: 0,
      resyncMs: 600_000,
      mayWrite: () => {
        if (!dead && !dies.sent && writes + 1 === dies.at) dead = true;
        return !dead;
      },
      onWrite: () => {
        writes++;
        if (dies.sent && writes === dies.at) dead = true;
      },
      onLook: () => {},
      onFatal: () => {},
    });
    const close = async () => {
      await controller.close();
      client.close();
    };
    return { controller, close, isDead: () => dead };
  }

  it('between any two writes leaves nothing that the next one does not finish', async () => {
    let longest = 0;
    for (const sent of [true, false]) {
      for (let at = 1; ; at++) {
        await cast.apply(chainOf('stays', [{ name: 'fw' }]), chainOf('goes', [{ name: 'fw' }, { name: 'px' }]));
        const first = mortal({ at, sent });
        await first.controller.run();
        // It dies, or has nothing left to write.
        await eventually(() => expect(first.isDead() || (first.controller.depth === 0 && first.controller.ids.assigned === 2)).toBe(true));
        const before = await statedIds();
        await cast.client.delete(RESOURCES.chains, 'goes');
        if (!first.isDead()) await eventually(() => expect(first.isDead() || first.controller.ids.assigned === 1).toBe(true));
        await first.close();
        const finished = !first.isDead();

        const second = mortal({ at: Number.POSITIVE_INFINITY, sent: true });
        await second.controller.run();
        await cast.apply(chainOf('new', [{ name: 'px' }]));
        const where = `died at write ${at}, which was ${sent ? '' : 'not '}sent`;
        await eventually(async () => {
          const ids = await statedIds();
          expect(Object.keys(ids).sort(), where).toEqual(['new', 'stays']);
          expect(await assigned(), where).toEqual(ids);
          if (before.stays !== undefined) expect(ids.stays, where).toBe(before.stays);
          // Whoever had been given an id keeps it from others.
          expect(
            Object.values(before).filter((id) => id === ids.new),
            where,
          ).toEqual([]);
          const services = await cast.all(RESOURCES.services, 'networking.gke.io/managed-by');
          expect(services.length, where).toBe(2);
        });
        await second.close();
        await cast.client.delete(RESOURCES.chains, 'new');
        await cast.client.delete(RESOURCES.chains, 'stays');
        for (const { metadata } of await cast.all(RESOURCES.services, 'networking.gke.io/managed-by'))
          await cast.client.delete(RESOURCES.services, metadata.name, { namespace: metadata.namespace ?? '' });
        longest = Math.max(longest, at);
        if (finished) break;
      }
    }
    // Record, three Services, two statuses, events: it has died in every place.
    expect(longest).toBeGreaterThan(8);
  }, 300_000);

  const statedIds = async () =>
    Object.fromEntries(
      (await cast.all<ChainObject>(RESOURCES.chains)).flatMap(({ metadata, status }) =>
        status?.servicePathId === undefined ? [] : [[metadata.name, status.servicePathId] as const],
      ),
    );
});

describe('two that give ids at once', () => {
  it('never give one twice: whoever is later is refused and reads again', async () => {
    const api = cast.client as Api;
    const keepers = [0, 1].map(() => new IdKeeper({ api, namespace: NAMESPACE, restMs: 3_600_000, now: Date.now }));
    for (let at = 0; at < 12; at++) await cast.apply(chainOf(`both${at}`, [{ name: 'fw' }]));
    const chains = (await cast.all<ChainObject>(RESOURCES.chains)).map(({ metadata: { name, uid = '', creationTimestamp = '' } }) => ({
      name,
      uid,
      createdAt: creationTimestamp,
      stated: undefined,
    }));
    let refused = 0;
    const give = async (keeper: IdKeeper, seen: typeof chains) => {
      for (;;) {
        try {
          return await keeper.settle(seen);
        } catch (error) {
          expect(error).toMatchObject({ code: 'KUBERNETES_CONFLICT' });
          refused++;
        }
      }
    };
    // Each sees the chains come in another order; neither waits for the other.
    const run = async (keeper: IdKeeper, order: typeof chains) => {
      for (let count = 1; count <= order.length; count++) await give(keeper, order.slice(0, count));
    };
    await Promise.all([run(keepers[0] as IdKeeper, chains), run(keepers[1] as IdKeeper, [...chains].reverse())]);
    expect(refused).toBeGreaterThan(0);
    const { assigned } = parseRecord(await cast.record());
    expect([...assigned.keys()].sort((a, b) => a - b)).toEqual(chains.map((_, at) => at + 1));
    for (const keeper of keepers) keeper.doubt();
    for (const keeper of keepers) await give(keeper, chains);
    for (const { uid } of chains) expect(keepers[0]?.idOf(uid)).toBe(keepers[1]?.idOf(uid));
  });
});
