import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseManifests } from '../policy/index.js';
import { expectedEntries } from './cluster.js';
import { drawingOf } from './drawing.js';
import { forFamilies, type Manifest, worldOf } from './manifests.js';
import { WALKTHROUGH_MANIFESTS } from './project.js';
import { SHOWS } from './shows.js';
import { type FamilyForm, walkthroughCast } from './testbed/index.js';

const bed = walkthroughCast({ prefix: 'sfc-demo' });

const named = (family: FamilyForm, kind: string, name: string): Manifest | undefined =>
  worldOf(walkthroughCast({ prefix: 'sfc-demo', family })).find(
    (manifest) => manifest.kind === kind && (manifest.metadata as { name: string }).name === name,
  );

describe("the testbed's manifests", () => {
  it('place each pod: its address, its node, running and ready', () => {
    const vpn = worldOf(bed).find((manifest) => manifest.kind === 'Pod' && (manifest.metadata as { name: string }).name === 'vpn');
    expect(vpn).toMatchObject({
      metadata: { namespace: 'vpn', labels: { app: 'vpn' } },
      spec: { nodeName: 'node1' },
      status: { phase: 'Running', podIP: '10.244.1.10', conditions: [{ type: 'Ready', status: 'True' }] },
    });
  });

  it.each<[FamilyForm, readonly string[], readonly string[]]>([
    ['4', ['10.244.1.10'], ['10.244.1.0/24']],
    ['6', ['fd44:1::10'], ['fd44:1::/64']],
    ['dual', ['10.244.1.10', 'fd44:1::10'], ['10.244.1.0/24', 'fd44:1::/64']],
    ['6-in-4', ['10.244.1.10', 'fd44:1::10'], ['10.244.1.0/24', 'fd44:1::/64']],
    ['4-in-6', ['fd44:1::10', '10.244.1.10'], ['fd44:1::/64', '10.244.1.0/24']],
  ])('of form %s tell every address of a pod, the primary one first', (family, podIPs, podCIDRs) => {
    const status = { podIP: podIPs[0], podIPs: podIPs.map((ip) => ({ ip })) };
    expect(named(family, 'Pod', 'vpn')).toMatchObject({ status });
    expect(named(family, 'Node', 'node1')).toMatchObject({ spec: { podCIDR: podCIDRs[0], podCIDRs } });
  });

  it('name each namespace once, labelled as Kubernetes labels it', () => {
    const namespaces = worldOf(bed).filter((manifest) => manifest.kind === 'Namespace');
    expect(namespaces.map((manifest) => manifest.metadata)).toEqual(
      ['vpn', 'firewall', 'proxy'].map((name) => ({ name, labels: { 'kubernetes.io/metadata.name': name } })),
    );
  });
});

describe('what each node must have programmed', () => {
  it('follows from the pods on it', () => {
    expect(bed.nodes.map(({ name }) => expectedEntries(bed, name))).toEqual([
      { sfcselect: 2, sfcpath: 2, endpoint: 2 },
      { sfcselect: 4, sfcpath: 2, endpoint: 3 },
      { sfcselect: 2, sfcpath: 2, endpoint: 2 },
    ]);
  });
});

describe('the drawing', () => {
  it('shows every pod and address, in lines of even boxes that fit a terminal', () => {
    const drawing = drawingOf(bed);
    for (const { name, address } of bed.pods) expect(drawing).toMatch(new RegExp(`${name} +${address}`));
    for (const line of drawing.split('\n')) expect(line.length).toBeLessThanOrEqual(110);
    const boxes = drawing.split('\n').filter((line) => line.startsWith(' │') || line.startsWith(' ┌') || line.startsWith(' └'));
    expect(new Set(boxes.map((line) => line.length)).size).toBe(1);
  });
});

describe('selectors', () => {
  const written = readFileSync(join(WALKTHROUGH_MANIFESTS, 'TrafficSelector.yaml'), 'utf8');
  const of = (family: FamilyForm) => forFamilies(walkthroughCast({ prefix: 'sfc-demo', family }), written);

  it('of IPv4 are the walkthrough’s, to the letter', () => {
    expect(of('4')).toBe(written);
    expect(of('4-in-6')).toBe(written);
  });

  it.each<[FamilyForm, readonly (readonly [name: string, cidr: string])[]]>([
    [
      '6',
      [
        ['vpn-to-firewall', '::/0'],
        ['firewall-to-proxy', '::/0'],
      ],
    ],
    [
      '6-in-4',
      [
        ['vpn-to-firewall', '::/0'],
        ['firewall-to-proxy', '::/0'],
      ],
    ],
    [
      'dual',
      [
        ['vpn-to-firewall', '0.0.0.0/0'],
        ['vpn-to-firewall-ipv6', '::/0'],
        ['firewall-to-proxy', '0.0.0.0/0'],
        ['firewall-to-proxy-ipv6', '::/0'],
      ],
    ],
  ])('of form %s name every destination of the families that clients speak', (family, expected) => {
    const { world, problems } = parseManifests([{ file: 'TrafficSelector.yaml', text: of(family) }]);
    expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(world.selectors.map(({ name, rules }) => [name, rules[0]?.cidr?.text])).toEqual(expected);
  });

  it('of other shows do so in one, where both are spoken by leaving the destination out', () => {
    const to = (family: FamilyForm) =>
      SHOWS.chain
        .policy(SHOWS.chain.bed('sfc-demo', family))
        .flatMap(({ kind, spec }) => (kind === 'TrafficSelector' ? [(spec as { egress: { to?: unknown } }).egress.to] : []));
    expect(to('6')).toEqual([{ ipBlock: { cidr: '::/0' } }]);
    expect(to('dual')).toEqual([undefined]);
  });
});
