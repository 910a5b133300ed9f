/**
 * A selector moves, a chain is replaced, a range is cut: what was selected and will be is selected at every step between.
 * Policies are drawn, compiled, and brought about step by step; after each, packets are classified by the
 * entries as they stand, with a linear scan.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type IpAddress, parseAddress, parseCidr } from '../../geneve/index.js';
import { ENDPOINT_FLAG, PORTS_STATIC_BITS, SELECT_STATIC_BITS } from '../../maps/index.js';
import {
  type Chain,
  type Cidr,
  compileNode,
  EMPTY_WORLD,
  type PortMatch,
  SELECT_EVERYTHING,
  type Selector,
  type Spi,
} from '../../policy/index.js';
import { applyToMirror } from './changes.js';
import { backendTable, emptyObserved, type Observed, type Target } from './model.js';
import { planChanges } from './plan.js';
import { buildTarget } from './target.js';

const ENDPOINT = 7;
const ROOMY = { sfcselect: 4000, sfcports: 4000, sfcpath: 100, sfcbackend: 1000, endpoint: 100, peer: 100 };

const addressOf = (text: string): IpAddress => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const cidrOf = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

interface Rule {
  readonly chain: string;
  readonly cidr: string;
  readonly except: readonly string[];
  readonly ports: readonly PortMatch[];
}

function targetOf(rules: readonly Rule[]): Target {
  const chains = ['one', 'two'].map(
    (name): Chain => ({
      name,
      uid: undefined,
      serviceFunctions: [{ name, namespace: name, podSelector: SELECT_EVERYTHING, weights: [] }],
      affinityTimeout: undefined,
      locality: 'None',
      onInstanceLoss: 'Move',
      failurePolicy: 'Drop',
      servicePathId: undefined,
      resource: {},
    }),
  );
  const selectors = rules.map(
    ({ chain, cidr, except, ports }, index): Selector => ({
      name: `selector-${index}`,
      chain,
      namespaceSelector: SELECT_EVERYTHING,
      podSelector: SELECT_EVERYTHING,
      rules: [{ direction: 'egress', cidr: cidrOf(cidr), except: except.map(cidrOf), ports }],
      resource: {},
    }),
  );
  const address = addressOf('10.244.1.2');
  const pod = { namespace: 'a', name: 'a', labels: {}, nodeName: 'n', addresses: [address], hostNetwork: false, phase: 'Running' };
  const compiled = compileNode({
    world: { ...EMPTY_WORLD, chains, selectors, pods: [{ ...pod, ready: true, terminating: false }] },
    node: 'n',
    endpoints: new Map([['a/a', ENDPOINT]]),
    allocations: { spiOf: (chain) => (chain === 'one' ? 1 : 2) as Spi, serviceAddressOf: () => addressOf('10.96.0.1') },
  });
  return buildTarget(compiled, [{ id: ENDPOINT, ifindex: 3, mtu: 1500, addresses: [address] }], () => backendTable([]));
}

interface Packet {
  readonly protocol: number;
  readonly port: number;
  readonly address: Uint8Array;
}

/** Do the first bits agree? */
function agrees(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  for (let bit = 0; bit < bits; bit++) if ((((a[bit >> 3] ?? 0) ^ (b[bit >> 3] ?? 0)) & (0x80 >> (bit & 7))) !== 0) return false;
  return true;
}

/** As docs/dataplane.md says it, "Classifying". */
function isSelected(observed: Observed, { protocol, port, address }: Packet): boolean {
  const flags = observed.endpoints.get(3)?.flags ?? 0;
  let ranged = port;
  let bits = -1;
  for (const { key, value } of observed.ports.values()) {
    const length = key.prefix_len - PORTS_STATIC_BITS;
    if (key.protocol !== protocol || length <= bits || (key.port ^ port) >> (16 - length) !== 0) continue;
    bits = length;
    ranged = value.first_port;
  }
  if ((flags & ENDPOINT_FLAG.selectsRanges) === 0) ranged = port;
  const finds = (wantedProtocol: number, wantedPort: number): boolean => {
    let best = { length: -1, path: 0 };
    for (const { key, value } of observed.selects.values()) {
      const length = key.prefix_len - SELECT_STATIC_BITS;
      if (key.protocol !== wantedProtocol || key.port !== wantedPort || length <= best.length) continue;
      if (agrees(key.address, address, length)) best = { length, path: value.path };
    }
    return best.path !== 0 && observed.paths.has(best.path);
  };
  return (
    ((flags & ENDPOINT_FLAG.selectsPorts) !== 0 && finds(protocol, ranged)) ||
    ((flags & ENDPOINT_FLAG.selectsAllPorts) !== 0 && finds(protocol, 0)) ||
    ((flags & ENDPOINT_FLAG.selectsAnyProtocol) !== 0 && finds(0, 0))
  );
}

const PACKETS: readonly Packet[] = ['10.1.2.3', '10.1.9.9', '10.9.9.9', '192.0.2.1'].flatMap((text) =>
  [79, 80, 8000, 8200, 8500, 8999].map((port) => ({ protocol: 6, port, address: addressOf(text).bytes })),
);

const port = (protocol: number, from = 0, to = from): PortMatch => ({ protocol, port: from, lastPort: to });
const rule: fc.Arbitrary<Rule> = fc.record({
  chain: fc.constantFrom('one', 'two'),
  cidr: fc.constantFrom('0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16'),
  except: fc.subarray(['10.1.2.0/24', '10.1.2.3/32']).map((found) => found.slice(0, 1)),
  ports: fc.subarray([port(6), port(0), port(6, 80), port(6, 8000, 8999), port(6, 8200, 8600), port(6, 1, 65535)], { minLength: 1 }),
});
const rules = fc.array(rule, { minLength: 1, maxLength: 4 });

describe('between one policy and the next', () => {
  it('no packet that both select is selected by neither', () => {
    fc.assert(
      fc.property(rules, rules, (before, after) => {
        const observed = emptyObserved();
        for (const change of planChanges(targetOf(before), observed, ROOMY).changes) applyToMirror(observed, change);
        const selectedBefore = PACKETS.filter((packet) => isSelected(observed, packet));
        const { changes } = planChanges(targetOf(after), observed, ROOMY);
        const moments: boolean[][] = [];
        for (const change of changes) {
          applyToMirror(observed, change);
          moments.push(selectedBefore.map((packet) => isSelected(observed, packet)));
        }
        const selectedAfter = selectedBefore.map((packet) => isSelected(observed, packet));
        moments.forEach((selected, step) => {
          const missed = selectedBefore.filter((_, index) => selectedAfter[index] === true && selected[index] !== true);
          expect(missed, `after ${changes[step]?.id}`).toEqual([]);
        });
      }),
      { numRuns: 1000 },
    );
  });
});
