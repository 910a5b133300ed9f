import { describe, expect, it } from 'vitest';
import { parseAddress } from '../geneve/index.js';
import {
  type Address,
  type Chain,
  compileNode,
  EMPTY_WORLD,
  type Pod,
  type Si,
  type Spi,
  serviceKey,
  type Weight,
  type World,
} from './index.js';

const labelled = (key: string, value: string) => ({ requirements: [{ key, operator: 'In' as const, values: [value] }] });
const addressOf = (text: string): Address => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(text);
  return address;
};

/** Firewall 0 on node 0, and so on: three on three nodes, nodes 0 and 1 in zone a, node 2 in zone b. */
const firewall = (index: number, other: Partial<Pod> = {}): Pod => ({
  namespace: 'firewall',
  name: `firewall-${index}`,
  labels: { app: 'firewall', track: index === 2 ? 'canary' : 'stable' },
  nodeName: `node${index}`,
  addresses: [addressOf(`10.244.${index}.2`)],
  hostNetwork: false,
  phase: 'Running',
  ready: true,
  terminating: false,
  ...other,
});

function chain(weights: readonly Weight[] = [], other: Partial<Chain> = {}): Chain {
  return {
    name: 'firewall',
    uid: undefined,
    serviceFunctions: [{ name: 'firewall', namespace: 'firewall', podSelector: labelled('app', 'firewall'), weights }],
    affinityTimeout: undefined,
    locality: 'None',
    onInstanceLoss: 'Move',
    failurePolicy: 'Drop',
    servicePathId: undefined,
    resource: {},
    ...other,
  };
}

const nodes = [0, 1, 2].map((index) => ({ name: `node${index}`, zone: index === 2 ? 'b' : 'a', podCidrs: [] }));

/** Who takes new flows from the node, with weights, and who is ready beside them. */
function placed(described: Chain, pods: readonly Pod[], node = 'node0', of: World['nodes'] = nodes, failing = '') {
  const world = { ...EMPTY_WORLD, chains: [described], pods, nodes: of };
  const allocations = { spiOf: () => 1 as Spi, serviceAddressOf: () => addressOf('10.96.0.2') };
  const [path] = compileNode({ world, node, endpoints: new Map(), allocations, failsProbes: ({ text }) => failing.includes(text) }).paths;
  const text = ({ pod, weight }: { readonly pod: string; readonly weight: number }) => `${pod.slice(-1)}:${weight}`;
  expect(path?.si).toBe(1 satisfies number as Si);
  return { takes: path?.backends.map(text).join(' '), others: path?.others.map(text).join(' ') };
}

const all = [firewall(0), firewall(1), firewall(2)];
const canary = (weight: number) => [{ podSelector: labelled('track', 'canary'), weight }];

describe('instances that a cluster names', () => {
  const key = serviceKey(chain(), { name: 'firewall', namespace: 'firewall' });
  const named = (described: Chain, weights?: ReadonlyMap<string, number>) => {
    // Labels of other nodes' pods are not known; nor is it asked for those of this node's.
    const pods = [firewall(0, { labels: {} }), firewall(1, { labels: {} })];
    const world = { ...EMPTY_WORLD, chains: [described], pods: [firewall(2)], nodes, instances: new Map([[key, { pods, weights }]]) };
    const allocations = { spiOf: () => 1 as Spi, serviceAddressOf: () => addressOf('10.96.0.2') };
    const [path] = compileNode({ world, node: 'node0', endpoints: new Map(), allocations }).paths;
    const text = ({ pod, weight }: { readonly pod: string; readonly weight: number }) => `${pod.slice(-1)}:${weight}`;
    return { takes: path?.backends.map(text).join(' '), others: path?.others.map(text).join(' ') };
  };

  it('are they, and not those that labels select', () => {
    expect(named(chain())).toEqual({ takes: '0:100 1:100', others: '' });
  });

  it('have the weights that they are told, and none as long as they are not weighed', () => {
    expect(named(chain(canary(20)), new Map([['firewall-1', 20]]))).toEqual({ takes: '1:20', others: '0:0' });
    expect(named(chain(canary(20)))).toEqual({ takes: '0:100 1:100', others: '' });
    // A chain that weighs nothing any more does not ask.
    expect(named(chain(), new Map([['firewall-1', 20]]))).toEqual({ takes: '0:100 1:100', others: '' });
  });
});

describe('new flows go', () => {
  it('to every ready instance, evenly', () => {
    expect(placed(chain(), all)).toEqual({ takes: '0:100 1:100 2:100', others: '' });
    expect(placed(chain(), [firewall(0), firewall(1, { ready: false }), firewall(2, { terminating: true })])).toEqual({
      takes: '0:100',
      others: '',
    });
  });

  it('by the weight of the first entry that names an instance', () => {
    expect(placed(chain(canary(10)), all)).toEqual({ takes: '0:100 1:100 2:10', others: '' });
    const both = [...canary(10), { podSelector: labelled('app', 'firewall'), weight: 50 }];
    expect(placed(chain(both), all)).toEqual({ takes: '0:50 1:50 2:10', others: '' });
  });

  it('not to an instance of weight 0, which keeps the flows that it has', () => {
    expect(placed(chain(canary(0)), all)).toEqual({ takes: '0:100 1:100', others: '2:0' });
    expect(placed(chain(canary(0)), [firewall(2)])).toEqual({ takes: '', others: '2:0' });
  });

  it('to instances of the own node where those are preferred and there, else to all', () => {
    const near = chain([], { locality: 'PreferNode' });
    expect(placed(near, all)).toEqual({ takes: '0:100', others: '1:100 2:100' });
    expect(placed(near, all, 'node9')).toEqual({ takes: '0:100 1:100 2:100', others: '' });
    expect(placed(near, [firewall(0, { ready: false }), firewall(1)])).toEqual({ takes: '1:100', others: '' });
  });

  it('to instances of the own zone where those are preferred and there, else to all', () => {
    const near = chain([], { locality: 'PreferZone' });
    expect(placed(near, all)).toEqual({ takes: '0:100 1:100', others: '2:100' });
    expect(placed(near, all, 'node2')).toEqual({ takes: '2:100', others: '0:100 1:100' });
    expect(placed(near, [firewall(0), firewall(1)], 'node2')).toEqual({ takes: '0:100 1:100', others: '' });
    const unlabelled = nodes.map((node) => ({ ...node, zone: undefined }));
    expect(placed(near, all, 'node0', unlabelled)).toEqual({ takes: '0:100 1:100 2:100', others: '' });
  });

  it('not to one that fails probes, nor do its flows stay; it is asked all the same', () => {
    const probe = { periodMs: 1000, failureThreshold: 3, successThreshold: 2, port: 7082 };
    const asked = (other: Partial<Chain> = {}, weights: readonly Weight[] = []): Chain => {
      const described = chain(weights, other);
      return { ...described, serviceFunctions: described.serviceFunctions.map((one) => ({ ...one, probe })) };
    };
    const failing = (...numbers: number[]) => numbers.map((number) => `10.244.${number}.2`).join(' ');
    expect(placed(asked(), all, 'node0', nodes, failing(1))).toEqual({ takes: '0:100 2:100', others: '' });
    expect(placed(asked(), all, 'node0', nodes, failing(0, 1, 2))).toEqual({ takes: '', others: '' });
    expect(placed(asked({}, canary(0)), all, 'node0', nodes, failing(2))).toEqual({ takes: '0:100 1:100', others: '' });
    // A near one that hangs is no reason to go nowhere.
    expect(placed(asked({ locality: 'PreferNode' }), all, 'node0', nodes, failing(0))).toEqual({ takes: '1:100 2:100', others: '' });
    // Without a probe nobody fails.
    expect(placed(chain(), all, 'node0', nodes, failing(1))).toEqual({ takes: '0:100 1:100 2:100', others: '' });
    const world = { ...EMPTY_WORLD, chains: [asked()], pods: [firewall(0), firewall(1), firewall(2, { ready: false })], nodes };
    const allocations = { spiOf: () => 1 as Spi, serviceAddressOf: () => addressOf('10.96.0.2') };
    const [path] = compileNode({ world, node: 'node0', endpoints: new Map(), allocations, failsProbes: () => true }).paths;
    expect([path?.probe, path?.ready.map(({ pod }) => pod)]).toEqual([probe, ['firewall/firewall-0', 'firewall/firewall-1']]);
  });

  it('to others when the near ones all have weight 0', () => {
    expect(placed(chain(canary(0), { locality: 'PreferNode' }), all, 'node2')).toEqual({ takes: '0:100 1:100', others: '2:0' });
  });
});
