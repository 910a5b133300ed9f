/** Chains, their Services and what becomes of both, on a real API server and with the rights that the controller has there. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RESOURCES } from '../kubernetes/index.js';
import { MANAGED_BY, MANAGED_BY_LABEL, serviceName } from '../policy/index.js';
import { Cast, chainOf, condition, eventually, type Process, selectorOf } from './cast.js';
import type { ServiceObject } from './services/index.js';

let cast: Cast;
let leader: Process;

beforeAll(async () => {
  cast = await Cast.start();
  await cast.namespaces('functions', 'others', 'clients');
  leader = await cast.leader('--resync-seconds=1');
});
afterAll(() => cast?.stop());

/** The chain when it has an id, and the names of its Services. */
async function settled(name: string) {
  return eventually(async () => {
    const chain = await cast.chain(name);
    expect(chain.status?.servicePathId).toBeDefined();
    return { chain, uid: chain.metadata.uid ?? '', of: (one: string) => serviceName(one, chain.metadata.uid ?? '') };
  });
}

describe('a chain', () => {
  it('gets an id, and each of its functions a Service', async () => {
    const affinity = { sessionAffinity: { clientIPNoDestination: { timeoutSeconds: 1800 } } };
    await cast.apply(chainOf('first', [{ name: 'firewall' }, { name: 'proxy', namespace: 'others' }], affinity));
    const { chain, uid, of } = await settled('first');
    expect(chain.status).toMatchObject({ servicePathId: 1, functionNames: 'firewall,proxy' });
    expect((await cast.record()).assigned).toContain(`1 ${uid} first\n`);
    const service = await cast.service('functions', of('firewall'));
    expect(service.metadata).toMatchObject({
      labels: { [MANAGED_BY_LABEL]: MANAGED_BY },
      annotations: { 'networking.gke.io/service-function-chain': 'first', 'networking.gke.io/service-function': 'firewall' },
      ownerReferences: [{ apiVersion: 'networking.gke.io/v1', kind: 'ServiceFunctionChain', name: 'first', uid, controller: true }],
    });
    expect(service.spec).toMatchObject({
      type: 'ClusterIP',
      selector: { app: 'firewall' },
      ports: [{ name: 'service-steering', protocol: 'UDP', port: 7081, targetPort: 7081 }],
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 1800 } },
      ipFamilyPolicy: 'PreferDualStack',
    });
    expect((await cast.service('others', of('proxy'))).spec).toMatchObject({ selector: { app: 'proxy' } });
    const listed = await cast.plane.kubectl(['get', 'svc', '-A', '-l', `${MANAGED_BY_LABEL}=${MANAGED_BY}`, '-o', 'name']);
    expect(listed.trim().split('\n').sort()).toEqual([`service/${of('firewall')}`, `service/${of('proxy')}`].sort());
  });

  it('without affinity has Services without', async () => {
    await cast.apply(chainOf('plain', [{ name: 'firewall' }]));
    const { of } = await settled('plain');
    const { spec } = await cast.service('functions', of('firewall'));
    expect([spec?.sessionAffinity, spec?.sessionAffinityConfig]).toEqual(['None', undefined]);
  });

  it('costs few writes, and none when nothing changes', async () => {
    const writes = () => leader.metric('sfc_controller_writes_total');
    const looks = () => leader.metric('sfc_controller_looks_total{kind="chain",result="done"}');
    const quiet = async () => {
      // The looks of three rounds at everything that write nothing.
      const [before, from] = [await writes(), await looks()];
      await eventually(async () => expect(await looks()).toBeGreaterThan(from + 6));
      expect(await writes(), leader.log()).toBe(before);
    };
    await eventually(quiet, 60_000);
    const before = await writes();
    await cast.apply(chainOf('counted', [{ name: 'firewall' }]));
    await settled('counted');
    await eventually(quiet, 60_000);
    // The record, the Service, one status, and events: the Service was made, nothing is ready.
    expect((await writes()) - before).toBe(5);
    await cast.apply(selectorOf('counted', 'counted', 'counted'));
    await eventually(async () => expect(condition(await cast.selector('counted'), 'Ready')).toBeDefined());
    await eventually(quiet, 60_000);
    expect((await writes()) - before).toBe(6);
  });

  it('that is edited has the Services of its new functions, and those of the old go', async () => {
    await cast.apply(chainOf('edited', [{ name: 'one' }, { name: 'two' }]));
    const { chain, of } = await settled('edited');
    const two = await eventually(() => cast.service('functions', of('two')));
    await cast.apply(chainOf('edited', [{ name: 'two' }, { name: 'three' }, { name: 'one', namespace: 'others' }]));
    await eventually(() => cast.service('functions', of('three')));
    await eventually(() => cast.service('others', of('one')));
    await eventually(async () => expect(await cast.find(RESOURCES.services, of('one'), 'functions')).toBeUndefined());
    expect((await cast.service('functions', of('two'))).metadata.uid).toBe(two.metadata.uid);
    expect((await cast.chain('edited')).status?.servicePathId).toBe(chain.status?.servicePathId);
  });

  it('that is deleted and made anew is another: its id is, and its Services go where no collector runs', async () => {
    await cast.apply(chainOf('again', [{ name: 'one' }]));
    const { chain, of } = await settled('again');
    await cast.client.delete(RESOURCES.chains, 'again');
    await eventually(async () => expect(await cast.find(RESOURCES.services, of('one'), 'functions')).toBeUndefined());
    await cast.apply(chainOf('again', [{ name: 'one' }]));
    const next = await settled('again');
    expect(next.chain.status?.servicePathId).toBe((chain.status?.servicePathId ?? 0) + 1);
    expect((await cast.record()).resting).toContain(`Z ${chain.status?.servicePathId}`);
  });
});

describe('a Service', () => {
  it.each<[string, object]>([
    ['its selector', { spec: { selector: { app: null, role: 'other' } } }],
    ['its affinity', { spec: { sessionAffinity: 'ClientIP' } }],
    ['addresses from outside', { spec: { externalIPs: ['192.0.2.1'] } }],
    ['its label', { metadata: { labels: { [MANAGED_BY_LABEL]: null } } }],
    ['its owner', { metadata: { ownerReferences: null } }],
    ['its annotations', { metadata: { annotations: null } }],
    ['its type', { spec: { type: 'NodePort' } }],
    ['its address', { spec: { type: 'ExternalName', externalName: 'elsewhere.example', clusterIP: null, clusterIPs: null } }],
  ])('is as it was after somebody changes %s', async (_, patch) => {
    const name = `drift${Math.floor(Math.random() * 1e9)}`;
    await cast.apply(chainOf(name, [{ name: 'firewall' }]));
    const { of } = await settled(name);
    const facts = ({ metadata: { labels, annotations, ownerReferences }, spec }: ServiceObject) => {
      const { type, selector, ports, sessionAffinity, ipFamilyPolicy } = spec ?? {};
      const { externalIPs = [] } = (spec ?? {}) as { readonly externalIPs?: readonly string[] };
      return { labels, annotations, ownerReferences, type, selector, ports, sessionAffinity, ipFamilyPolicy, externalIPs };
    };
    const before = facts(await eventually(() => cast.service('functions', of('firewall'))));
    await cast.client.mergePatch(RESOURCES.services, of('firewall'), patch, { namespace: 'functions' });
    await eventually(async () => {
      const service = await cast.service('functions', of('firewall'));
      expect(facts(service)).toEqual(before);
      expect(service.spec?.clusterIP).toMatch(/^10\.96\./);
    });
  });

  it('keeps what others have added', async () => {
    await cast.apply(chainOf('kept', [{ name: 'firewall' }]));
    const { of } = await settled('kept');
    const patch = { metadata: { labels: { team: 'network' }, annotations: { note: 'x' } }, spec: { sessionAffinity: 'ClientIP' } };
    await cast.client.mergePatch(RESOURCES.services, of('firewall'), patch, { namespace: 'functions' });
    const service = await eventually(async () => {
      const found = await cast.service('functions', of('firewall'));
      expect(found.spec?.sessionAffinity).toBe('None');
      return found;
    });
    expect(service.metadata).toMatchObject({ labels: { team: 'network' }, annotations: { note: 'x' } });
  });

  it('that is deleted comes back; one that somebody made without an address is made anew with one', async () => {
    await cast.apply(chainOf('back', [{ name: 'firewall' }]));
    const { chain, uid, of } = await settled('back');
    const first = await cast.service('functions', of('firewall'));
    await cast.client.delete(RESOURCES.services, of('firewall'), { namespace: 'functions' });
    const second = await eventually(() => cast.service('functions', of('firewall')));
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    const owner = { apiVersion: 'networking.gke.io/v1', kind: 'ServiceFunctionChain', name: 'back', uid };
    const headless = { metadata: { name: of('firewall'), namespace: 'functions', ownerReferences: [owner] }, spec: { clusterIP: 'None' } };
    await leader.end();
    await cast.client.delete(RESOURCES.services, of('firewall'), { namespace: 'functions' });
    await cast.client.create(RESOURCES.services, { apiVersion: 'v1', kind: 'Service', ...headless }, { namespace: 'functions' });
    leader = await cast.leader('--resync-seconds=1');
    await eventually(async () => expect((await cast.service('functions', of('firewall'))).spec?.clusterIP).toMatch(/^10\.96\./));
    expect((await cast.chain('back')).status?.servicePathId).toBe(chain.status?.servicePathId);
  });

  it('of somebody else is never taken over, and is told', async () => {
    await leader.end();
    await cast.apply(chainOf('foreign', [{ name: 'firewall' }, { name: 'proxy' }]));
    const uid = (await cast.chain('foreign')).metadata.uid ?? '';
    const name = serviceName('firewall', uid);
    const theirs = { metadata: { name, namespace: 'functions' }, spec: { ports: [{ port: 80 }] } };
    await cast.apply({ apiVersion: 'v1', kind: 'Service', ...theirs });
    const before = await cast.service('functions', name);
    leader = await cast.leader('--resync-seconds=1');
    await eventually(async () => {
      const chain = await cast.chain('foreign');
      expect(condition(chain, 'Conflicted')).toBe(
        `True ServiceNotOurs: Service functions/${name} is in the way: it was made by somebody else`,
      );
      expect(condition(chain, 'Ready')).toContain('False ServiceNotOurs: firewall: Service');
    });
    await cast.service('functions', serviceName('proxy', uid));
    expect((await cast.service('functions', name)).metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    await cast.client.delete(RESOURCES.services, name, { namespace: 'functions' });
    await eventually(async () => expect(condition(await cast.chain('foreign'), 'Conflicted')).toBe('False NoConflict: none'));
    expect((await cast.service('functions', name)).spec?.selector).toEqual({ app: 'firewall' });
  });

  it('waits for its namespace', async () => {
    await cast.apply(chainOf('early', [{ name: 'firewall', namespace: 'later' }]));
    const { of } = await settled('early');
    await eventually(async () =>
      expect(condition(await cast.chain('early'), 'Ready')).toBe('False NamespaceMissing: firewall: namespace later does not exist'),
    );
    await cast.namespaces('later');
    await eventually(() => cast.service('later', of('firewall')));
  });

  it('of a function that was taken out stays until every node has programmed the chain without it', async () => {
    await cast.apply(chainOf('slow', [{ name: 'one' }, { name: 'two' }]));
    const { of } = await settled('slow');
    await eventually(() => cast.service('functions', of('one')));
    await cast.report('node-one');
    await eventually(async () => expect(condition(await cast.chain('slow'), 'Programmed')).toBe('True Programmed: on 1 of 1 nodes'));
    await cast.apply(chainOf('slow', [{ name: 'two' }]));
    await eventually(async () =>
      expect(condition(await cast.chain('slow'), 'Programmed')).toBe('False Pending: on 0 of 1 nodes; waiting for node-one'),
    );
    const looks = () => leader.metric('sfc_controller_looks_total{kind="chain",result="done"}');
    const from = await looks();
    await eventually(async () => expect(await looks()).toBeGreaterThan(from + 30));
    await cast.service('functions', of('one'));
    await cast.report('node-one');
    await eventually(async () => expect(await cast.find(RESOURCES.services, of('one'), 'functions')).toBeUndefined());
    await cast.client.delete(RESOURCES.steeringNodes, 'node-one');
  });
});
