/** Two controllers and one lease; controllers that are stopped, resumed and killed while chains come and go. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RESOURCES } from '../kubernetes/index.js';
import { serviceName } from '../policy/index.js';
import { Cast, chainOf, eventually, NAMESPACE, type Process } from './cast.js';
import type { ChainObject } from './cluster/index.js';
import { parseRecord } from './ids/index.js';
import type { LeaseObject } from './leader/lease.js';
import type { ServiceObject } from './services/index.js';

let cast: Cast;
beforeAll(async () => {
  cast = await Cast.start();
  await cast.namespaces('functions', 'others');
});
afterAll(() => cast?.stop());

const leads = (process: Process) => process.metric('sfc_controller_leader');
const lease = () => cast.get<LeaseObject>(RESOURCES.leases, 'sfc-controller', NAMESPACE);

describe('two controllers', () => {
  it('lead one after the other: the second takes over at once when the first gives the lease back', async () => {
    // Its lease lasts for ten minutes: in this test only one that was given back can be taken.
    const first = await cast.leader('--lease-duration-ms=600000');
    const second = await cast.controller();
    await eventually(async () => expect((await second.http('/readyz')).status, second.log()).toBe(200));
    expect([await leads(first), await leads(second)]).toEqual([1, 0]);
    const { spec } = await lease();
    expect(await first.end()).toBe(0);
    await eventually(async () => expect(await leads(second)).toBe(1));
    const after = (await lease()).spec;
    expect(after?.holderIdentity).not.toBe(spec?.holderIdentity);
    expect(after?.leaseTransitions).toBe((spec?.leaseTransitions ?? 0) + 1);
    expect(await second.end()).toBe(0);
    expect((await lease()).spec?.holderIdentity).toBe('');
  });

  it('do not both write: one that stood still while the other took over ends without another write', async () => {
    const first = await cast.leader();
    const second = await cast.controller();
    await cast.apply(chainOf('before', [{ name: 'fw' }]));
    await eventually(async () => expect((await cast.chain('before')).status?.servicePathId).toBeDefined());
    first.child.kill('SIGSTOP');
    await eventually(async () => expect(await leads(second), second.log()).toBe(1));
    // The second one's version of the world; the first has an event of it waiting in its socket.
    await cast.apply(chainOf('after', [{ name: 'fw' }]));
    await eventually(async () => expect((await cast.chain('after')).status?.servicePathId).toBeDefined());
    const services = await cast.all(RESOURCES.services, 'networking.gke.io/managed-by');
    for (const { metadata } of services)
      await cast.client.delete(RESOURCES.services, metadata.name, { namespace: metadata.namespace ?? '' });
    const said = first.log().length;
    first.child.kill('SIGCONT');
    // EX_TEMPFAIL: LEADERSHIP_LOST.
    expect(await first.ended).toBe(75);
    expect(first.log()).toContain('LEADERSHIP_LOST');
    expect(first.log().slice(0, said)).toContain('"msg":"write"');
    expect(first.log().slice(said)).not.toContain('"msg":"write"');
    const held = (await lease()).spec?.holderIdentity;
    expect(second.log()).toContain(held as string);
    await second.end();
  });

  it('end when the lease cannot be renewed in time', async () => {
    const process = await cast.leader();
    await cast.plane.kill('kube-apiserver');
    expect(await process.ended).toBe(75);
    await cast.plane.restart('kube-apiserver');
    const next = await cast.leader();
    await next.end();
  });
});

describe('controllers that are killed at any moment', () => {
  it('leave every chain with an id and its Services in the end, and no id is given twice', async () => {
    for (const { metadata } of await cast.all(RESOURCES.chains)) await cast.client.delete(RESOURCES.chains, metadata.name);
    const seed = Number(process.env.SFC_SEED ?? Date.now() % 2 ** 31);
    let state = seed;
    // xorshift32
    const random = () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) / 2 ** 32;
    };
    /** Every id that was ever seen in a status, and whose it was. */
    const seen = new Map<number, string>();
    const look = async () => {
      for (const { metadata, status } of await cast.all<ChainObject>(RESOURCES.chains)) {
        if (status?.servicePathId === undefined) continue;
        const owner = seen.get(status.servicePathId) ?? metadata.uid;
        expect(owner, `seed ${seed}: id ${status.servicePathId} of ${metadata.name}`).toBe(metadata.uid);
        seen.set(status.servicePathId, metadata.uid ?? '');
      }
    };
    const stays = new Map<string, readonly { name: string; namespace: string }[]>();
    let count = 0;
    let running: Promise<Process> | undefined;
    // A slow machine gets less done between two kills: then there are more of them.
    for (let kills = 0; kills < 12 || (seen.size <= 10 && kills < 60); kills++) {
      running = cast.controller();
      const one = await running;
      // Until it has come so far by its own log; then a little more, and it is dead.
      const until = Date.now() + random() * 2500;
      while (Date.now() < until) {
        if (stays.size > 0 && random() < 0.3) {
          const [name] = [...stays.keys()].slice(Math.floor(random() * stays.size)) as [string];
          stays.delete(name);
          await cast.client.delete(RESOURCES.chains, name);
        } else {
          const name = random() < 0.5 && stays.size > 0 ? ([...stays.keys()][0] as string) : `c${count++}`;
          const functions = ['fw', 'px', 'av']
            .filter(() => random() < 0.6)
            .map((one) => ({ name: one, namespace: random() < 0.5 ? 'functions' : 'others' }));
          if (functions.length === 0) continue;
          stays.set(name, functions);
          const { metadata, spec } = chainOf(name, functions);
          const object = { apiVersion: 'networking.gke.io/v1', kind: 'ServiceFunctionChain', metadata };
          await cast.client.apply(RESOURCES.chains, { ...object, spec } as ChainObject, { fieldManager: 'test' });
        }
        await look();
      }
      await one.end('SIGKILL');
    }
    const last = await cast.leader();
    await eventually(async () => {
      await look();
      const chains = await cast.all<ChainObject>(RESOURCES.chains);
      const ids = chains.map(({ metadata: { name }, status }) => [name, status?.servicePathId] as const);
      expect(ids.map(([name]) => name).sort()).toEqual([...stays.keys()].sort());
      const { assigned } = parseRecord(await cast.record());
      expect(Object.fromEntries([...assigned].map(([id, { name }]) => [name, id])), `seed ${seed}`).toEqual(Object.fromEntries(ids));
      const wanted = chains.flatMap(({ metadata: { name, uid = '' } }) =>
        (stays.get(name) ?? []).map((one) => `${one.namespace}/${serviceName(one.name, uid)}`),
      );
      const services = await cast.all<ServiceObject>(RESOURCES.services, 'networking.gke.io/managed-by');
      expect(services.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).sort(), `seed ${seed}`).toEqual(wanted.sort());
    }, 120_000);
    expect(seen.size).toBeGreaterThan(10);
    await last.end();
  }, 480_000);
});
