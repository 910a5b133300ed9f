/**
 * The CRDs at a real API server: it and our own validation say the same of a document, but for differences
 * that have a name and a reason; and what kubectl does to labels that stand directly under a selector.
 */

import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Resource, readResource } from '../policy/manifests/read-resource.js';
import type { Fault } from '../policy/schema/index.js';
import { type ApiServer, administrator } from './crds/api-server.js';
import { DIFFERENCES, differenceOf, WIDENS } from './crds/differences.js';
import { documentOf, drawnSpec, type Json, PLURAL, STEERING, type SteeringKind } from './crds/draw.js';
import { type ControlPlane, startControlPlane } from './kube/index.js';

const DOCUMENTS = Number(process.env.N ?? 1500);
const AT_ONCE = 8;

let directory: string;
let plane: ControlPlane;
let server: ApiServer;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sfcc-'));
  plane = await startControlPlane({ directory, name: `sfcc${process.pid}`, scheduler: false, controllerManager: false });
  await plane.kubectl([
    'apply',
    '-f',
    'deploy/crds/servicefunctionchains.yaml',
    '-f',
    'deploy/crds/trafficselectors.yaml',
    '-f',
    'deploy/crds/steeringnodes.yaml',
  ]);
  await plane.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
  server = await administrator(plane);
});

afterAll(async () => {
  server?.close();
  await plane?.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Told {
  /** What each has against the document. */
  readonly ours: readonly string[];
  readonly theirs: string | undefined;
  /** What is wrong with what the API server made of it. */
  readonly stored: readonly string[];
}

const errorsOf = (faults: readonly Fault[]) =>
  faults.flatMap(({ severity, path, message }) => (severity === 'error' ? [`${path.join('.')}: ${message}`] : []));

/** What it means, without who wrote it how. */
function meaningOf(resource: Resource | undefined): unknown {
  if (resource === undefined) return undefined;
  const { resource: _written, uid: _uid, ...meaning } = { uid: '', ...resource.value } as Record<string, unknown>;
  return meaning;
}

/** An API server sorts the fields, and the order of labels is no meaning. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

async function judge(kind: SteeringKind, spec: Json): Promise<Told> {
  const document = sorted(documentOf(kind, spec)) as Record<string, unknown>;
  const read = readResource(kind, document);
  const ours = errorsOf(read.faults);
  const { accepted, body } = await server.judge(PLURAL[kind], document);
  if (!accepted) return { ours, theirs: body.message ?? 'no reason', stored: [] };
  const again = readResource(kind, sorted(body) as Record<string, unknown>);
  if (read.resource !== undefined) expect(meaningOf(again.resource), JSON.stringify(spec)).toEqual(meaningOf(read.resource));
  return { ours, theirs: undefined, stored: errorsOf(again.faults) };
}

/** An API server that drops what we refuse must not leave a resource behind that steers more. */
function steersMore({ ours, theirs, stored }: Told): boolean {
  return theirs === undefined && stored.length === 0 && ours.some((why) => WIDENS.test(why));
}

describe.each(STEERING)('a drawn %s', (kind) => {
  it(`is judged alike by the API server and by us, ${DOCUMENTS} times`, async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
    const specs = fc.sample(drawnSpec(kind), { numRuns: DOCUMENTS, seed });
    const counts = { accepted: 0, refused: 0 };
    const met = new Map<string, number>();
    const apart: unknown[] = [];
    for (let at = 0; at < specs.length; at += AT_ONCE) {
      await Promise.all(
        specs.slice(at, at + AT_ONCE).map(async (spec) => {
          const told = await judge(kind, spec);
          if (told.theirs === undefined && told.ours.length === 0) counts.accepted++;
          else if (told.theirs !== undefined && told.ours.length > 0) counts.refused++;
          else {
            const name = differenceOf(kind, spec, told)?.name;
            if (name === undefined || steersMore(told)) apart.push({ ...told, spec: JSON.stringify(spec) });
            else met.set(name, (met.get(name) ?? 0) + 1);
          }
        }),
      );
    }
    expect(apart.slice(0, 5), `seed ${seed}: ${apart.length} of ${DOCUMENTS}; ${JSON.stringify([counts, ...met])}`).toEqual([]);
    // Neither side of it is empty.
    expect(Math.min(counts.accepted, counts.refused), JSON.stringify(counts)).toBeGreaterThan(DOCUMENTS / 10);
  }, 300_000);
});

describe('a difference that is meant', () => {
  it.each(DIFFERENCES)('$name: $reason', async ({ name, kind, example, stricter }) => {
    const told = await judge(kind, example);
    expect([told.theirs === undefined, told.ours.length === 0]).toEqual([stricter === 'we', stricter === 'the API server']);
    expect(differenceOf(kind, example, told)?.name).toBe(name);
  });
});

describe('labels that stand directly under a selector', () => {
  const WALKTHROUGH = 'demo/manifests/walkthrough/TrafficSelector.yaml';
  const pods = async () => JSON.parse(await plane.kubectl(['get', 'tsel', 'firewall-to-proxy', '-o', 'jsonpath={.spec.subject.pods}']));
  const changed = async (what: string, by: string) => {
    const file = join(directory, 'changed.yaml');
    // The last selector has its labels bare.
    const text = readFileSync(WALKTHROUGH, 'utf8');
    const at = text.lastIndexOf(what);
    await writeFile(file, text.slice(0, at) + by + text.slice(at + what.length));
    return file;
  };
  const AS_WRITTEN = { namespaceSelector: { 'kubernetes.io/metadata.name': 'firewall' }, podSelector: { app: 'firewall' } };

  it.each([
    ['apply', ['apply']],
    ['apply, by the server', ['apply', '--server-side']],
    ['apply without validation', ['apply', '--validate=ignore']],
    ['create', ['create']],
    ['replace', ['replace', '--force']],
  ])('are kept by kubectl %s, and read as meant', async (_, command) => {
    await plane.kubectl(['delete', 'tsel', '--all']);
    await plane.kubectl([...command, '-f', WALKTHROUGH]);
    // A second time changes nothing of them.
    if (command[0] === 'apply') await plane.kubectl([...command, '-f', WALKTHROUGH]);
    expect(await pods()).toEqual(AS_WRITTEN);
    const stored = JSON.parse(await plane.kubectl(['get', 'tsel', 'firewall-to-proxy', '-o', 'json']));
    const { resource, faults } = readResource('TrafficSelector', stored);
    expect(faults.map(({ severity, message }) => `${severity}: ${message}`)).toEqual([
      'warning: labels stand directly under namespaceSelector; read as matchLabels',
      'warning: labels stand directly under podSelector; read as matchLabels',
    ]);
    expect(resource?.value).toMatchObject({
      namespaceSelector: { requirements: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['firewall'] }] },
      podSelector: { requirements: [{ key: 'app', operator: 'In', values: ['firewall'] }] },
    });
  });

  it('change as any other field does', async () => {
    await plane.kubectl(['delete', 'tsel', '--all']);
    await plane.kubectl(['apply', '-f', WALKTHROUGH]);
    await plane.kubectl(['apply', '-f', await changed('app: firewall', 'tier: edge')]);
    expect((await pods()).podSelector).toEqual({ tier: 'edge' });
  });

  it('are refused beside matchLabels', async () => {
    const mixed = await changed('app: firewall\n', 'app: firewall\n        matchLabels: {tier: edge}\n');
    await expect(plane.kubectl(['create', '-f', mixed])).rejects.toThrow(/spec.subject.pods.podSelector/);
  });
});

describe('kubectl', () => {
  it('applies the walkthrough as it is, and shows it', async () => {
    await plane.kubectl(['apply', '-f', 'demo/manifests/walkthrough/ServiceFunctionChain.yaml']);
    await plane.kubectl(['apply', '-f', 'demo/manifests/walkthrough/TrafficSelector.yaml']);
    const conditions = [
      { type: 'Programmed', status: 'True', reason: 'AllNodes', message: 'on 3 of 3 nodes', lastTransitionTime: '2026-01-31T09:00:00Z' },
      { type: 'Ready', status: 'True', reason: 'Instances', message: '', lastTransitionTime: '2026-01-31T09:00:00Z' },
    ];
    const functions = [{ name: 'firewall', namespace: 'firewall', service: 'sf-firewall-5a5a5a5a', instances: 3, readyInstances: 3 }];
    const status = { servicePathId: 1, functionNames: 'firewall', functions, conditions, nodes: { programmed: 3, total: 3 } };
    await plane.kubectl(['patch', 'sfc', 'firewall', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })]);
    const [titles, row] = (await plane.kubectl(['get', 'sfc', 'firewall'])).split('\n');
    expect(titles?.split(/ +/)).toEqual(['NAME', 'PATH', 'FUNCTIONS', 'READY', 'PROGRAMMED', 'AGE']);
    expect(row?.split(/ +/).slice(0, 5)).toEqual(['firewall', '1', 'firewall', 'True', 'True']);
    expect((await plane.kubectl(['get', 'steering', '-o', 'name'])).split('\n').filter(Boolean).length).toBe(4);
  });

  it.each([
    ['an id beyond the range', { servicePathId: 2 ** 24 - 1 }],
    [
      'two conditions of one type',
      {
        conditions: ['a', 'b'].map((reason) => ({
          type: 'Ready',
          status: 'True',
          reason,
          message: '',
          lastTransitionTime: '2026-01-31T09:00:00Z',
        })),
      },
    ],
    [
      'a condition without a reason',
      { conditions: [{ type: 'Ready', status: 'True', reason: '', message: '', lastTransitionTime: '2026-01-31T09:00:00Z' }] },
    ],
  ])('is refused a status with %s', async (_, status) => {
    const patch = ['patch', 'sfc', 'firewall', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
    await expect(plane.kubectl(patch)).rejects.toThrow(/invalid|Duplicate/i);
  });
});

describe('the longest chain', () => {
  const labels = (value: string) => Object.fromEntries(Array.from({ length: 4 }, (_, index) => [`key-${index}`, value.repeat(63)]));
  const weights = Array.from({ length: 16 }, () => ({ podSelector: { matchLabels: labels('w') }, weight: 1 }));
  const named = (name: (index: number) => string) =>
    Array.from({ length: 62 }, (_, index) => ({
      name: name(index),
      namespace: 'n'.repeat(63),
      podSelector: { matchLabels: labels('v') },
      weights,
      probe: {},
    }));

  it.each([
    ['all of one function', (_: number) => 'f'.repeat(63), undefined],
    ['of different functions with long names', (index: number) => `f${index}${'f'.repeat(63)}`.slice(0, 63), undefined],
    ['whose functions would share a Service', (index: number) => `${'f'.repeat(59)}${index}`, 'differ in their first 51 characters'],
  ])('%s, costs no more than an API server lets a rule cost', async (_, name, refusal) => {
    const told = await judge('ServiceFunctionChain', { serviceFunctions: named(name) });
    if (refusal === undefined) expect(told).toEqual({ ours: [], theirs: undefined, stored: [] });
    else expect(told.theirs).toContain(refusal);
  });
});
