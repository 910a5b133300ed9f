import { describe, expect, it } from 'vitest';
import { expectedEntries } from './cluster.js';
import { drawingOf } from './drawing.js';
import { worldOf } from './manifests.js';
import { walkthroughCast } from './testbed/index.js';

const bed = walkthroughCast({ prefix: 'sfc-demo' });

describe("the testbed's manifests", () => {
  it('place each pod: its address, its node, running and ready', () => {
    const vpn = worldOf(bed).find((manifest) => manifest.kind === 'Pod' && (manifest.metadata as { name: string }).name === 'vpn');
    expect(vpn).toMatchObject({
      metadata: { namespace: 'vpn', labels: { app: 'vpn' } },
      spec: { nodeName: 'node1' },
      status: { phase: 'Running', podIP: '10.244.1.10', conditions: [{ type: 'Ready', status: 'True' }] },
    });
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
