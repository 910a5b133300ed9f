import { describe, expect, it } from 'vitest';
import { type Chain, MANAGED_BY, MANAGED_BY_LABEL, readResource } from '../../policy/index.js';
import { planService } from './plan.js';
import { type ServiceObject, type WantedService, wantedServices } from './wanted.js';

const UID = '0b0d2ad4-6f0a-4d5e-8f2b-5a5a5a5a5a5a';
const CHAIN = { name: 'out', uid: UID };
const LONG = `f${'x'.repeat(62)}`;

function chain(...names: readonly string[]): Chain {
  const serviceFunctions = names.map((name) => ({ name, namespace: 'functions', podSelector: { matchLabels: { app: name } } }));
  const document = {
    apiVersion: 'networking.gke.io/v1',
    kind: 'ServiceFunctionChain',
    metadata: CHAIN,
    spec: { serviceFunctions },
  };
  return readResource('ServiceFunctionChain', document).resource?.value as Chain;
}

const wanted = [...wantedServices(chain('firewall'), () => []).values()][0] as WantedService;
/** As the API server gives it back. */
const there = (): ServiceObject => {
  const step = planService(wanted, CHAIN, undefined);
  if (step.what !== 'create') throw new Error(step.what);
  const { metadata, spec } = step.object;
  const defaults = { clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7'], ipFamilies: ['IPv4'], internalTrafficPolicy: 'Cluster' };
  return { ...step.object, metadata: { ...metadata, uid: 's', resourceVersion: '1' }, spec: { ...spec, ...defaults } };
};

describe('the Services of a chain', () => {
  it('are one for each function, once, under names that fit', () => {
    const keys = [...wantedServices(chain('firewall', LONG, 'firewall'), () => []).keys()];
    expect(keys).toEqual(['functions/sf-firewall-5a5a5a5a', `functions/sf-${LONG.slice(0, 51)}-5a5a5a5a`]);
    expect(keys.every((key) => key.length <= 'functions/'.length + 63)).toBe(true);
  });

  it('are left alone as they are', () => {
    expect(planService(wanted, CHAIN, there())).toEqual({ what: 'nothing' });
  });

  it('are not fought over for fields that we do not know, nor for labels of others', () => {
    const service = there();
    const spec = { ...service.spec, trafficDistribution: 'PreferClose' };
    const metadata = { ...service.metadata, labels: { ...service.metadata.labels, team: 'x' } };
    expect(planService(wanted, CHAIN, { ...service, metadata, spec })).toEqual({ what: 'nothing' });
  });

  it('keep their address and what others added when they are set right', () => {
    const service = there();
    const metadata = { ...service.metadata, labels: { team: 'x' } };
    const step = planService(wanted, CHAIN, { ...service, metadata });
    expect(step).toMatchObject({
      what: 'update',
      fields: ['labels'],
      object: {
        metadata: { labels: { team: 'x', [MANAGED_BY_LABEL]: MANAGED_BY }, resourceVersion: '1' },
        spec: { clusterIP: '10.96.0.7' },
      },
    });
  });

  it('are adopted when they lost their owner, and left when they have another or never were ours', () => {
    const service = there();
    const { ownerReferences: _, ...orphan } = service.metadata;
    expect(planService(wanted, CHAIN, { ...service, metadata: orphan })).toMatchObject({ what: 'update', fields: ['owner'] });
    const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'theirs', uid: 'other', controller: true };
    expect(planService(wanted, CHAIN, { ...service, metadata: { ...orphan, ownerReferences: [owner] } })).toEqual({
      what: 'leave',
      owner: 'it belongs to Deployment theirs',
    });
    const { labels: __, ...bare } = orphan;
    expect(planService(wanted, CHAIN, { ...service, metadata: bare })).toEqual({ what: 'leave', owner: 'it was made by somebody else' });
  });

  it('are made anew where they have no address and can get none', () => {
    const service = there();
    expect(planService(wanted, CHAIN, { ...service, spec: { ...service.spec, clusterIP: 'None' } }).what).toBe('recreate');
  });
});
