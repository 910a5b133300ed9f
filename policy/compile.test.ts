import { describe, expect, it } from 'vitest';
import { parseAddress } from '../geneve/index.js';
import { type Address, type Chain, compileNode, EMPTY_WORLD, type Pod, type ServiceFunction, type Spi } from './index.js';

const labelled = (value: string) => ({ requirements: [{ key: 'app', operator: 'In' as const, values: [value] }] });
const addressOf = (text: string): Address => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(text);
  return address;
};

const pod = (app: string, index: number, other: Partial<Pod> = {}): Pod => ({
  namespace: 'functions',
  name: `${app}-${index}`,
  labels: { app },
  nodeName: 'node1',
  addresses: [addressOf(`10.244.1.${index}`)],
  hostNetwork: false,
  phase: 'Running',
  ready: true,
  terminating: false,
  ...other,
});

const functionOf = (name: string, app = name): ServiceFunction => ({
  name,
  namespace: 'functions',
  podSelector: labelled(app),
  weights: [],
});

function chain(...serviceFunctions: readonly ServiceFunction[]): Chain {
  return {
    name: 'chain',
    uid: undefined,
    serviceFunctions,
    affinityTimeout: undefined,
    locality: 'None',
    onInstanceLoss: 'Move',
    failurePolicy: 'Drop',
    servicePathId: undefined,
    resource: {},
  };
}

function paths(described: Chain, pods: readonly Pod[]) {
  const world = { ...EMPTY_WORLD, chains: [described], pods };
  const allocations = { spiOf: () => 7 as Spi, serviceAddressOf: () => addressOf('10.96.0.2') };
  return compileNode({ world, node: 'node1', endpoints: new Map(), allocations }).paths;
}

describe('instances', () => {
  const address = (...texts: readonly string[]) => ({ addresses: texts.map(addressOf) });
  const backends = (...pods: readonly Pod[]) => paths(chain(functionOf('firewall')), pods)[0]?.backends.map((one) => one.address.text);

  it('are reached at their primary address, of whatever family', () => {
    expect(backends(pod('firewall', 1, address('10.1.0.1', 'fd00:1::1')))).toEqual(['10.1.0.1']);
    expect(backends(pod('firewall', 1, address('fd00:1::1', '10.1.0.1')))).toEqual(['fd00:1::1']);
  });

  it('may have IPv6 alone, beside others that have IPv4', () => {
    const pods = [pod('firewall', 1, address('fd00:1::1')), pod('firewall', 2, address('10.1.0.2'))];
    expect(backends(...pods)).toEqual(['fd00:1::1', '10.1.0.2']);
  });

  it('come with what becomes of packets without any', () => {
    for (const failurePolicy of ['Drop', 'Bypass', 'Reject'] as const)
      expect(paths({ ...chain(functionOf('firewall')), failurePolicy }, [])).toMatchObject([{ failurePolicy, backends: [] }]);
  });
});

describe('positions of a chain', () => {
  const [firewall, inspector] = [functionOf('firewall'), functionOf('inspector')];
  const pods = [pod('firewall', 1), pod('firewall', 2), pod('inspector', 3)];
  const revisits = (...arguments_: Parameters<typeof paths>) => paths(...arguments_).map((path) => path.revisits);

  it('with pods that have another position too are told', () => {
    expect(revisits(chain(firewall, inspector, firewall), pods)).toEqual([true, false, true]);
    expect(revisits(chain(firewall, inspector), pods)).toEqual([false, false]);
  });

  it('of two functions with a pod in common are such, whatever their names', () => {
    expect(revisits(chain(firewall, inspector, functionOf('filter', 'firewall')), pods)).toEqual([true, false, true]);
  });

  it('count pods that are not ready: flows are with them still', () => {
    expect(revisits(chain(firewall, firewall), [pod('firewall', 1, { ready: false })])).toEqual([true, true]);
  });

  it('are up to 255, from service index 255 to 1', () => {
    const many = Array.from({ length: 255 }, (_, index) => functionOf(`f${index}`));
    const compiled = paths(
      chain(...many),
      many.map(({ name }, index) => pod(name, 1, { addresses: [addressOf(`10.244.${index}.1`)] })),
    );
    expect(compiled.map(({ spi, si }) => spi * 256 + si)).toEqual(many.map((_, position) => 7 * 256 + 255 - position));
    expect(compiled.map(({ backends }) => backends.map((backend) => backend.pod))).toEqual(many.map(({ name }) => [`functions/${name}-1`]));
    expect(compiled.some((path) => path.revisits)).toBe(false);
  });
});
