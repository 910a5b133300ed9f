import { describe, expect, it } from 'vitest';
import { parseAddress, parseCidr } from '../../geneve/index.js';
import { FAMILY } from '../../maps/index.js';
import { type Address, type Cidr, type DesiredPath, type DesiredState, EMPTY_WORLD, SELECT_EVERYTHING } from '../../policy/index.js';
import { destinationsOf, outerFamilies } from './destinations.js';

const { ipv4, ipv6 } = FAMILY;

function compiled(peers: readonly (readonly [string, string])[], backends: readonly (readonly [string, string])[]): DesiredState {
  const instances = backends.map(([node, text]) => ({ pod: text, address: parseAddress(text) as Address, node, weight: 100 }));
  const path = { backends: instances.slice(0, 1), others: instances.slice(1) } as unknown as DesiredPath;
  return {
    selects: [],
    ports: [],
    conflicts: [],
    paths: [path],
    peers: peers.map(([node, cidr]) => ({ node, cidr: parseCidr(cidr) as Cidr })),
  };
}

function selecting(...cidrs: readonly (string | undefined)[]) {
  const rules = cidrs.map((cidr) => ({
    direction: 'egress' as const,
    cidr: cidr === undefined ? undefined : parseCidr(cidr),
    except: [],
    ports: [{ protocol: 6, port: 0, lastPort: 0 }],
  }));
  const subject = { namespaceSelector: SELECT_EVERYTHING, podSelector: SELECT_EVERYTHING };
  return { ...EMPTY_WORLD, selectors: [{ name: 's', chain: 'c', ...subject, rules, resource: {} }] };
}

describe('outer families', () => {
  const one = compiled([], [['node2', '10.244.2.5']]);

  it.each([
    ['of what is selected and of the instances', selecting('10.0.0.0/8'), one, [ipv4]],
    ['are both where no destination is named', selecting(undefined), one, [ipv4, ipv6]],
    ['are both where IPv6 goes to instances of IPv4', selecting('fd00::/8'), one, [ipv4, ipv6]],
    ['are both where IPv4 goes to instances of IPv6', selecting('10.0.0.0/8'), compiled([], [['node2', 'fd00:2::5']]), [ipv4, ipv6]],
    ['are none where nothing is selected', EMPTY_WORLD, one, []],
  ])('%s', (_, world, state, expected) => {
    expect([...outerFamilies(world, state)].sort()).toEqual(expected);
  });
});

describe('destinations', () => {
  const state = compiled(
    [
      ['node1', '10.244.1.0/24'],
      ['node2', '10.244.2.0/24'],
      ['node2', 'fd00:2::/64'],
    ],
    [
      ['node2', '10.244.2.5'],
      ['node1', '10.244.1.5'],
      ['node3', '10.9.9.9'],
    ],
  );
  const told = (families: readonly (1 | 2)[]) =>
    destinationsOf(state, 'node1', new Set(families)).map(({ node, prefixLength, family }) => `${node} /${prefixLength} ${family}`);

  it('are the ranges of the other nodes and the instances there, ready for new flows or not', () => {
    expect(told([ipv4])).toEqual(['node2 /24 1', 'node2 /32 1', 'node3 /32 1']);
  });

  it('are of families that this node can send', () => {
    expect(told([ipv6])).toEqual(['node2 /64 2']);
    expect(told([])).toEqual([]);
  });
});
