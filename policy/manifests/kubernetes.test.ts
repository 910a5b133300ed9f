import { describe, expect, it } from 'vitest';
import { changed, POD, read } from './cast.js';

const NODE = `apiVersion: v1
kind: Node
metadata:
  name: node-one
spec:
  podCIDR: 10.1.0.0/24
  podCIDRs:
    - 10.1.0.0/24
    - 2001:db8:1::/64
  taints: []
`;
const SERVICE = `apiVersion: v1
kind: Service
metadata:
  name: sf-firewall-5a5a5a5a
  namespace: firewall
  labels:
    app: x
spec:
  clusterIP: 10.4.10.124
  ports: []
`;
const NAMESPACE = `apiVersion: v1
kind: Namespace
metadata:
  name: vpn
  labels:
    team: network
`;

describe('a Pod', () => {
  it('is read as far as steering needs it', () => {
    const { world, problems } = read(POD);
    expect(problems).toEqual([]);
    expect(world.pods).toMatchObject([
      {
        namespace: 'vpn',
        name: 'vpn',
        labels: { app: 'vpn' },
        nodeName: 'node-one',
        addresses: [
          { family: 1, text: '10.1.0.10' },
          { family: 2, text: '2001:db8::10' },
        ],
        hostNetwork: false,
        phase: 'Running',
        ready: true,
        terminating: false,
      },
    ]);
  });

  it('needs nothing but its name', () => {
    expect(read('apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n').world.pods).toEqual([
      {
        namespace: 'default',
        name: 'x',
        labels: {},
        nodeName: '',
        addresses: [],
        hostNetwork: false,
        phase: '',
        ready: undefined,
        terminating: false,
      },
    ]);
  });

  it.each([
    ['the host network', 'nodeName: node-one', 'hostNetwork: true', { hostNetwork: true, nodeName: '' }],
    ['a deletion time', '  labels:', '  deletionTimestamp: 2026-01-01T00:00:00Z\n  labels:', { terminating: true }],
    ['no deletion time', '  labels:', '  deletionTimestamp: null\n  labels:', { terminating: false }],
    [
      'nulls everywhere',
      'nodeName: node-one\n  containers: []',
      'nodeName: null\n  hostNetwork: null',
      { nodeName: '', hostNetwork: false },
    ],
    ['not ready', 'Ready\n      status: "True"', 'Ready\n      status: "False"', { ready: false }],
    ['an unknown readiness', 'Ready\n      status: "True"', 'Ready\n      status: Unknown', { ready: false }],
    ['no readiness', '    - type: Ready\n      status: "True"\n', '', { ready: undefined }],
    ['no address yet', '  podIP: 10.1.0.10\n  podIPs:\n    - ip: 10.1.0.10\n    - ip: 2001:db8::10', '  podIP: ""', { addresses: [] }],
    ['one address', '  podIPs:\n    - ip: 10.1.0.10\n    - ip: 2001:db8::10\n', '', { addresses: [{ text: '10.1.0.10' }] }],
    ['any other field', 'spec:', 'extra: [1]\nspec:\n  what: {}', { nodeName: 'node-one' }],
  ])('is read with %s', (_, from, to, expected) => {
    const { world, problems } = read(changed(POD, from, to).text);
    expect(problems).toEqual([]);
    expect(world.pods[0]).toMatchObject(expected);
  });
});

describe('other kinds', () => {
  it('a Namespace always has its name as a label', () => {
    expect(read(NAMESPACE).world.namespaces).toEqual([{ name: 'vpn', labels: { team: 'network', 'kubernetes.io/metadata.name': 'vpn' } }]);
  });

  it('a Node has each of its prefixes once', () => {
    const { world, problems } = read(NODE);
    expect(problems).toEqual([]);
    expect(world.nodes).toMatchObject([{ name: 'node-one', podCidrs: [{ text: '10.1.0.0/24' }, { text: '2001:db8:1::/64' }] }]);
    expect(world.nodes[0]?.podCidrs).toHaveLength(2);
  });

  it('a Node may have only the older field, or neither', () => {
    const older = changed(NODE, '  podCIDRs:\n    - 10.1.0.0/24\n    - 2001:db8:1::/64\n', '').text;
    expect(read(older).world.nodes).toMatchObject([{ podCidrs: [{ text: '10.1.0.0/24' }] }]);
    expect(read('apiVersion: v1\nkind: Node\nmetadata: {name: x}\n').world.nodes).toEqual([{ name: 'x', podCidrs: [] }]);
  });

  it.each([
    ['10.4.10.124', { family: 1, text: '10.4.10.124' }],
    ['2001:db8::7c', { family: 2, text: '2001:db8::7c' }],
    ['None', undefined],
    ['""', undefined],
  ])('a Service at %s', (address, expected) => {
    const { world, problems } = read(SERVICE.replace('10.4.10.124', address));
    expect(problems).toEqual([]);
    if (expected === undefined) expect(world.services[0]?.clusterIP).toBeUndefined();
    else expect(world.services).toMatchObject([{ namespace: 'firewall', labels: { app: 'x' }, clusterIP: expected }]);
  });

  it.each([
    [POD, 'podIP: 10.1.0.10', 'podIP: 10.1.0', 'status.podIP', '"10.1.0" is not an address; expected an IPv4 or IPv6 address'],
    [
      POD,
      '- ip: 10.1.0.10',
      '- ip: fe80::1%eth0',
      'status.podIPs[0].ip',
      '"fe80::1%eth0" is not an address; expected an IPv4 or IPv6 address',
    ],
    [POD, '- ip: 10.1.0.10', '- 10.1.0.10', 'status.podIPs[0]', '"10.1.0.10" stands here; expected a mapping with ip'],
    [POD, 'nodeName: node-one', 'nodeName: 1', 'spec.nodeName', '1 is not a node name; expected a string'],
    [POD, 'nodeName: node-one', 'hostNetwork: yes', 'spec.hostNetwork', '"yes" stands here; expected true or false'],
    [POD, 'phase: Running', 'phase: {}', 'status.phase', 'a mapping is not a phase; expected a string'],
    [POD, 'app: vpn', 'app: true', 'metadata.labels.app', /^true is not a label value/],
    [POD, 'namespace: vpn', 'namespace: V', 'metadata.namespace', /^"V" is not a namespace/],
    [POD, 'name: vpn', 'name: V', 'metadata.name', /^"V" is not a name/],
    [POD, 'spec:', 'spec: []\nspecs:', 'spec', 'a list stands here; expected a mapping with nodeName and hostNetwork'],
    [NODE, 'podCIDR: 10.1.0.0/24', 'podCIDR: 10.1.0.0', 'spec.podCIDR', /^"10.1.0.0" is not a prefix/],
    [NODE, '- 2001:db8:1::/64', '- "2001:db8:1::"', 'spec.podCIDRs[1]', /^"2001:db8:1::" is not a prefix/],
    [
      SERVICE,
      '10.4.10.124',
      '10.4.10.124/32',
      'spec.clusterIP',
      '"10.4.10.124/32" is not a cluster address; expected an IPv4 or IPv6 address, or None',
    ],
    [NAMESPACE, 'name: vpn', 'name: v.p.n', 'metadata.name', /^"v.p.n" is not a name/],
  ])('%# what steering uses is checked', (text, from, to, path, message) => {
    const edit = changed(text, from, to);
    const { world, problems } = read(edit.text);
    expect(problems).toMatchObject([
      { severity: 'error', line: edit.line, path, message: typeof message === 'string' ? message : expect.stringMatching(message) },
    ]);
    expect(Object.values(world).flat()).toEqual([]);
  });
});
