import { describe, expect, it } from 'vitest';
import { told } from './cast.js';
import { checkWorld, validateManifests } from './check.js';
import { parseManifests } from './parse.js';

const chain = (name: string, spi?: number) => `apiVersion: networking.gke.io/v1
kind: ServiceFunctionChain
metadata: {name: ${name}}
spec:
  serviceFunctions:
    - {name: ${name}, namespace: ${name}, podSelector: {matchLabels: {app: ${name}}}}
${spi === undefined ? '' : `status: {servicePathId: ${spi}}\n`}`;

const selector = (
  name: string,
  from: string,
  to: string,
  egress = '{ports: [allPorts: {protocol: TCP}]}',
) => `apiVersion: networking.gke.io/v1
kind: TrafficSelector
metadata: {name: ${name}}
spec:
  serviceFunctionChain: ${to}
  subject:
    pods:
      namespaceSelector: {}
      podSelector: {matchLabels: {app: ${from}}}
  egress: ${egress}
`;

const pod = (app: string, extra = '') => `apiVersion: v1
kind: Pod
metadata: {name: ${app}, namespace: ${app}, labels: {app: ${app}${extra}}}
spec: {nodeName: node-one}
status: {podIP: 10.1.0.10}
`;

const validate = (...documents: readonly string[]) => validateManifests([{ file: 'a.yaml', text: documents.join('---\n') }]);
const messages = (...documents: readonly string[]) =>
  validate(...documents).problems.map(({ severity, line, resource, message }) => `${severity} ${line} ${resource}: ${message}`);

describe('validating', () => {
  it('lists what is good', () => {
    expect(validate(chain('proxy'), pod('vpn'), chain('bad').replace('name: bad', 'nam: bad'))).toMatchObject({
      documents: 3,
      resources: [
        { kind: 'ServiceFunctionChain', namespace: '', name: 'proxy' },
        { kind: 'Pod', namespace: 'vpn', name: 'vpn' },
      ],
    });
  });

  it('misses a chain where the selector names it', () => {
    expect(told(validate(chain('proxy'), selector('s', 'vpn', 'poxy')).problems)).toEqual([
      'error a.yaml#2:12 TrafficSelector/s spec.serviceFunctionChain: there is no ServiceFunctionChain poxy; there are: proxy',
    ]);
  });

  it('tells of files that were not read', () => {
    expect(validateManifests([], [{ file: 'b.yaml', message: 'not read: too large' }]).problems).toMatchObject([
      { file: 'b.yaml', line: 0, message: 'not read: too large' },
    ]);
  });
});

describe('chains that lead in a ring', () => {
  const ring = [chain('a'), chain('b'), pod('a'), pod('b'), selector('ab', 'a', 'b'), selector('ba', 'b', 'a')];

  it('are named', () => {
    expect(messages(...ring)).toEqual(['warning 1 ServiceFunctionChain/a: chains lead in a ring: a -> b -> a']);
  });

  it('are named once, and the chain that only leads into them is not', () => {
    expect(messages(...ring, chain('c'), pod('c'), selector('ca', 'c', 'a'))).toEqual([
      'warning 1 ServiceFunctionChain/a: chains lead in a ring: a -> b -> a',
    ]);
  });

  it('are no ring while one link is missing', () => {
    expect(messages(...ring.slice(0, -1))).toEqual([]);
    expect(messages(...ring.slice(0, 3), ...ring.slice(4))).toEqual([]);
  });

  it('are found, a ring for each chain, though all follow each other', () => {
    const names = Array.from({ length: 40 }, (_, index) => `c${index}`);
    const text = [
      ...names.map((name) => chain(name)),
      ...names.map((name) => pod(name)),
      ...names.map((name) => selector(`all-to-${name}`, 'x', name).replace('{matchLabels: {app: x}}', '{}')),
    ];
    const rings = checkWorld(parseManifests([{ file: 'a.yaml', text: text.join('---\n') }]).world);
    expect(rings.length).toBeGreaterThanOrEqual(20);
    expect(rings.length).toBeLessThanOrEqual(40);
    for (const name of names) expect(rings.some(({ message }) => message.includes(`${name} -> `))).toBe(true);
  });
});

describe('a chain of more functions than a packet passes', () => {
  const long = (count: number) => {
    const functions = Array.from(
      { length: count },
      (_, n) => `    - {name: f${n}, namespace: f, podSelector: {matchLabels: {app: f${n}}}}`,
    );
    const head = 'apiVersion: networking.gke.io/v1\nkind: ServiceFunctionChain\nmetadata: {name: long}\nspec:\n  serviceFunctions:\n';
    return `${head}${functions.join('\n')}\n`;
  };

  it('is told, and is no error', () => {
    expect(told(validate(long(62)).problems)).toEqual([]);
    expect(told(validate(long(255)).problems)).toEqual([
      'warning a.yaml#1:5 ServiceFunctionChain/long spec.serviceFunctions: has 255 functions; a packet passes 62, then its NSH TTL ends and it is dropped (nsh-ttl)',
    ]);
  });
});

/** What is sent is told apart by the port. */
const INGRESS = (port: number) => `{ports: [portNumber: {port: ${port}}]}\n  ingress: {ports: [allPorts: {}]}`;
const EXCEPT = (prefix: string) => `{to: {ipBlock: {cidr: 10.0.0.0/8, except: [${prefix}]}}, ports: [allPorts: {}]}`;

describe('selectors that claim the same packets', () => {
  const chains = [chain('one'), chain('two')];

  it('conflict when they have the same subject, pods or no pods', () => {
    expect(told(validate(...chains, selector('a', 'vpn', 'one'), selector('b', 'vpn', 'two')).problems)).toEqual([
      'warning a.yaml#3:18 TrafficSelector/a spec: claims the same packets as TrafficSelector/b, which leads to chain two: egress, 0/TCP, 0.0.0.0/0 of the same pods',
      'warning a.yaml#4:29 TrafficSelector/b spec: claims the same packets as TrafficSelector/a, which leads to chain one: egress, 0/TCP, 0.0.0.0/0 of the same pods',
    ]);
  });

  it('conflict when a pod has the labels of both', () => {
    const other = selector('b', 'vpn', 'two').replace('app: vpn', 'tier: x');
    expect(messages(...chains, selector('a', 'vpn', 'one'), other)).toEqual([]);
    expect(messages(...chains, selector('a', 'vpn', 'one'), other, pod('vpn', ', tier: x'))).toEqual([
      expect.stringContaining('TrafficSelector/a: claims the same packets as TrafficSelector/b'),
      expect.stringContaining(
        'TrafficSelector/b: claims the same packets as TrafficSelector/a, which leads to chain one: egress, 0/TCP, 0.0.0.0/0 of vpn/vpn',
      ),
    ]);
  });

  it('conflict in two spellings of one prefix', () => {
    const to = (cidr: string) => `{to: {ipBlock: {cidr: "${cidr}"}}, ports: [portNumber: {port: 53, protocol: UDP}]}`;
    const told = messages(...chains, selector('a', 'vpn', 'one', to('10.0.0.0/8')), selector('b', 'vpn', 'two', to('10.1.0.0/8')));
    const both = expect.stringContaining('egress, 53/UDP, 10.0.0.0/8 of the same pods');
    expect(told).toEqual([expect.stringContaining('has bits set'), both, both]);
  });

  it.each([
    [
      'ranges of one width that overlap',
      '{ports: [portNumber: {port: 80, endPort: 89}]}',
      '{ports: [portNumber: {port: 85, endPort: 94}]}',
      '85-89/TCP',
    ],
    ['what they receive', INGRESS(1), INGRESS(2), 'ingress, 0/TCP, 0.0.0.0/0'],
    ['any protocol', '{ports: [allPorts: {protocol: Any}]}', '{ports: [allPorts: {protocol: Any}]}', '0/Any, 0.0.0.0/0'],
    ['a prefix with different exceptions', EXCEPT('10.0.0.0/9'), EXCEPT('10.0.0.0/10'), 'egress, 0/TCP, 10.0.0.0/8'],
  ])('conflict in %s, whatever their order', (_, one, other, what) => {
    const [a, b] = [selector('a', 'vpn', 'one', one), selector('b', 'vpn', 'two', other)];
    const expected = [expect.stringMatching(`/a: .*/b, .*${what}`), expect.stringMatching(`/b: .*/a, .*${what}`)];
    expect(messages(...chains, a, b)).toEqual(expected);
    expect(messages(...chains, b, a)).toEqual(expected);
  });

  it.each([
    ['another prefix', '{to: {ipBlock: {cidr: 10.0.0.0/9}}, ports: [allPorts: {protocol: TCP}]}'],
    ['another port', '{ports: [portNumber: {port: 80}]}'],
    ['another protocol', '{ports: [allPorts: {protocol: UDP}]}'],
    ['another direction', INGRESS(1)],
    ['a narrower range', '{ports: [portNumber: {port: 80, endPort: 89}]}'],
  ])('do not conflict in %s', (_, egress) => {
    expect(messages(...chains, selector('a', 'vpn', 'one'), selector('b', 'vpn', 'two', egress))).toEqual([]);
  });

  it('do not conflict when they lead to one chain', () => {
    expect(messages(...chains, selector('a', 'vpn', 'one'), selector('b', 'vpn', 'one'))).toEqual([]);
  });
});
