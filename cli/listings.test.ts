/** Every listing as it is printed, from a real server on a real socket. */

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  affinityEntry,
  backendEntry,
  fakeView,
  flowEntry,
  MAP_VIEWS,
  PROBLEM,
  pathEntry,
  portsEntry,
  probeEntry,
  selectEntry,
} from '../api/fake-view.js';
import { MAP_NAMES } from '../maps/index.js';
import { fakeNode } from './fake-node.js';

const node = fakeNode();
const { serve, sfc, printed } = node;

describe('the maps', () => {
  it('sfcselect and sfcpath are listed as operators know them', async () => {
    await serve({
      entries: (map) => (map === 'sfcselect' ? [selectEntry(3783, 6, 0, [10, 0, 2, 12], 32)] : [pathEntry(0x101, [10, 4, 10, 124])]),
    });
    expect((await printed('bpf sfcselect list')) + (await printed('bpf sfcpath list'))).toBe(
      `SELECTOR                                    PATH
3783, egress, 0/TCP, 10.0.2.12/32           /32 (1, 1)
PATH      SERVICE FUNCTION ADDRESS
(1, 1)    10.4.10.124
`,
    );
  });

  it('paths that do something else than drop without an instance say so', async () => {
    const paths = [pathEntry(0x101, [10, 96, 0, 1]), pathEntry(0x201, [10, 96, 0, 2], 0, 0, 1), pathEntry(0x301, [10, 96, 0, 3], 0, 0, 2)];
    await serve({ entries: () => paths });
    expect(await printed('bpf sfcpath list')).toBe(
      `PATH      SERVICE FUNCTION ADDRESS  WITHOUT INSTANCE
(1, 1)    10.96.0.1                 drop
(2, 1)    10.96.0.2                 bypass
(3, 1)    10.96.0.3                 reject
`,
    );
  });

  it('ranges, exceptions, other protocols and what is received are listed in their place', async () => {
    const selects = [
      selectEntry(3783, 6, 8500, [10, 0, 2, 12], 32, { path: 0x201 }),
      selectEntry(3783, 6, 8000, [10, 0, 2, 12], 32, { lastPort: 8999 }),
      selectEntry(3783, 17, 0, [10, 0, 0, 0], 8, { path: 0 }),
      selectEntry(3783, 0, 0, [10, 0, 2, 12], 32, { ingress: true }),
    ];
    const ports = [portsEntry(3783, 8512, 10, 8000), portsEntry(3783, 8500, 16, 0)];
    await serve({ entries: (map) => (map === 'sfcselect' ? selects : ports) });
    expect((await printed('bpf sfcselect list')) + (await printed('bpf sfcports list'))).toBe(
      `SELECTOR                                    PATH
3783, egress, 0/UDP, 10.0.0.0/8             -
3783, egress, 8000-8999/TCP, 10.0.2.12/32   /32 (1, 1)
3783, egress, 8500/TCP, 10.0.2.12/32        /32 (2, 1)
3783, ingress, 0/Any, 10.0.2.12/32          /32 (1, 1)
PORTS                                       RANGE FROM
3783, egress, 8500/TCP                      -
3783, egress, 8512-8575/TCP                 8000
`,
    );
  });

  it('are sorted by number, not by letter', async () => {
    const selects = [
      selectEntry(12, 6, 80, [10, 0, 10, 1], 32),
      selectEntry(12, 6, 80, [10, 0, 2, 12], 32),
      selectEntry(12, 6, 8, [10, 0, 10, 1], 32),
      selectEntry(3, 17, 0, [0, 0, 0, 0], 0),
    ];
    const paths = [0xa01, 0x201, 0x102, 0x101].map((path) => pathEntry(path, [10, 96, 0, 1]));
    await serve({ entries: (map) => (map === 'sfcselect' ? selects : paths) });
    expect((await printed('bpf sfcselect list')).split('\n').map((line) => line.slice(0, 40).trimEnd())).toEqual([
      'SELECTOR',
      '3, egress, 0/UDP, 0.0.0.0/0',
      '12, egress, 8/TCP, 10.0.10.1/32',
      '12, egress, 80/TCP, 10.0.2.12/32',
      '12, egress, 80/TCP, 10.0.10.1/32',
      '',
    ]);
    expect((await printed('bpf sfcpath list')).match(/^\(.*?\)/gm)).toEqual(['(1, 1)', '(1, 2)', '(2, 1)', '(10, 1)']);
  });

  it('columns grow with what is in them', async () => {
    await serve({ entries: () => [pathEntry(0xffffffff, [10, 4, 10, 124]), pathEntry(0x101, [10, 4, 10, 125])] });
    expect(await printed('bpf sfcpath list')).toBe(
      `PATH             SERVICE FUNCTION ADDRESS
(1, 1)           10.4.10.125
(16777215, 255)  10.4.10.124
`,
    );
  });

  it('of flows tell who opened them, where they go and when they were seen', async () => {
    await serve();
    const [head = '', line = ''] = (await printed('bpf sfcflow list')).split('\n');
    expect(head).toMatch(/^ENDPOINT +PROTOCOL +SOURCE +DESTINATION +ROLE +STATE +PATH +NEXT PATH +PREVIOUS HOP +NEXT HOP +PACKETS +BYTES /);
    expect(line.trim().split(/ {2,}/)).toEqual([
      '3783',
      'TCP',
      '192.168.77.10:40000',
      '203.0.113.9:443',
      'source',
      'established',
      '(1, 1)',
      '(1, 1)',
      '-',
      '10.244.2.3',
      '12',
      '3400',
      '9',
      '1200',
      '12s ago',
    ]);
  });

  it('of backends tell who has how much of a path, and as data who has which slot', async () => {
    const slots = Array.from({ length: 8 }, (_, slot) => backendEntry(slot, [10, 244, slot % 4 === 0 ? 10 : 2, 3]));
    const left = backendEntry(20, [10, 244, 9, 9]);
    const paths = [pathEntry(0xa01, [10, 96, 0, 3], 0), pathEntry(0x201, [10, 96, 0, 2], 3, 5), pathEntry(0x101, [10, 96, 0, 1], 5)];
    await serve({ entries: (map) => (map === 'sfcpath' ? paths : [...slots, left]) });
    expect(await printed('bpf sfcbackend list')).toBe(
      `PATH     BACKEND      SLOTS  SHARE
(1, 1)   10.244.2.3       3  60.00%
(1, 1)   10.244.10.3      2  40.00%
(2, 1)   10.244.2.3       3  100.00%
(10, 1)  -                0  -
-        10.244.9.9       1  -
`,
    );
    expect(JSON.parse(await printed('bpf sfcbackend list -o json'))).toEqual([...slots, left]);
    const { exit, out, err } = await sfc('bpf sfcbackend list --limit 2');
    expect([exit, out.split('\n').length, err]).toEqual([0, 4, 'sfc: sfcbackend has more backends than --limit 2\n']);
  });

  it('of clients tell who has which instance, and since when nothing was seen of them', async () => {
    await serve({
      entries: () => [
        affinityEntry([192, 168, 77, 10], [10, 244, 2, 3], 0x201),
        affinityEntry([192, 168, 77, 10], [10, 244, 2, 3]),
        affinityEntry([192, 168, 77, 9], [10, 244, 3, 3]),
      ],
    });
    expect(await printed('bpf sfcaffinity list')).toBe(
      `CLIENT         PATH    BACKEND     SEEN
192.168.77.9   (1, 1)  10.244.3.3  12s ago
192.168.77.10  (1, 1)  10.244.2.3  12s ago
192.168.77.10  (2, 1)  10.244.2.3  12s ago
`,
    );
  });

  it('of probes tell who has answered, and when', async () => {
    await serve({ entries: () => [probeEntry([10, 244, 10, 3], 7083, 0), probeEntry([10, 244, 2, 3])] });
    expect(await printed('bpf sfcprobe list')).toBe(
      `INSTANCE     PORT  SEQUENCE    ANSWERED
10.244.2.3   7082  4000000001  12s ago
10.244.10.3  7083  4000000001  never
`,
    );
  });

  it('each have a listing, empty ones their head', async () => {
    await serve();
    for (const map of MAP_NAMES) expect((await printed(`bpf ${map} list`)).split('\n')[0]).toMatch(/^[A-Z0-9][A-Z0-9 ]*$/);
    expect(await printed('bpf peer list')).toBe(
      'RANGE          TRUSTED  DECAPSULATES  COMES BY\n10.244.2.0/24  yes      yes           -\n',
    );
    expect(await printed('bpf metrics list')).toMatch(/^no-backend +dropped +from-pod +3 +180$/m);
    await node.end();
    await serve({ entries: () => [] });
    expect(await printed('bpf sfcselect list')).toBe('SELECTOR                                    PATH\n');
    expect(await printed('bpf sfcflow list -o json')).toBe('[]\n');
    expect(await printed('bpf sfcflow list -o yaml')).toBe('[]\n');
  });

  it('are listed together', async () => {
    await serve();
    const out = await printed('bpf list');
    expect(out).toMatch(/^NAME +KIND +ENTRIES +CAPACITY +PIN PATH\n/);
    expect(out).toMatch(/^sfcselect +lpm-trie +2 +16384 +\/run\/sfc\/bpf\/v1\/sfcselect$/m);
    expect(JSON.parse(await printed('bpf list -o json'))).toEqual(MAP_VIEWS);
    expect(parse(await printed('bpf list -o yaml'))).toEqual(MAP_VIEWS);
  });

  it('give their fields by name as JSON and YAML', async () => {
    const entries = [flowEntry(1), flowEntry(2)];
    await serve({ entries: () => entries });
    expect(JSON.parse(await printed('bpf sfcflow list -o json'))).toEqual(entries);
    expect(parse(await printed('bpf sfcflow list -o yaml'))).toEqual(entries);
    expect(entries[0]).toMatchObject({ endpoint: 3783, path: '(1, 1)', next_hop: '10.244.2.3' });
  });

  it('of many entries come whole, or as many as asked for', async () => {
    const entries = Array.from({ length: 5000 }, (_, index) => flowEntry(index));
    await serve({ entries: () => entries });
    expect((await printed('bpf sfcflow list')).split('\n')).toHaveLength(5002);
    expect(JSON.parse(await printed('bpf sfcflow list -o json'))).toEqual(entries);
    const { exit, out, err } = await sfc('bpf sfcflow list --limit 2');
    expect([exit, out.split('\n').length, err]).toEqual([0, 4, 'sfc: sfcflow has more entries than --limit 2\n']);
  });
});

describe('status', () => {
  it('is the node at a glance', async () => {
    await serve();
    expect(await printed('status')).toMatch(
      /^node {7}node1\nagent {6}sfcd 0\.1\.0, process 4242, up 3h4m\nready {6}yes\ndatapath {3}kernel \(auto: the only datapath of this version\), Geneve on UDP 7081\n {11}adopted sfcselect, sfcpath\n {11}answers past their chain are known on eth0\nsource {5}directory \/etc\/sfc, 15 documents, read 3h3m ago\nreconcile {2}round 7, 2 changes, 3h3m ago\nholds {6}2 chains, 1 selector, 1 endpoint, 1 peer\nflows {6}7 idle flows forgotten since the start\ninstances {2}proxy\/px at \(2, 1\) of chain proxy: 1 pod matches, none is ready: packets that need one go on unsteered, for 3h3m\nsizes {6}MTU 1500 of eth0 towards node2 is 48 too small\n {11}Set it to 1548\.\nguard {6}3 interfaces settled, 1 held\n {11}holds veth0b: it leads to 10\.244\.1\.9\/32, and no pod is known at it\n {11}5 packets from pods and 1 to pods were held\nunsteered {2}0 packets of selected pods left before their programs were there\nproblems {3}1 \(sfc get problems\)\nconflicts {2}1 \(sfc get conflicts\)\n\nMAP +ENTRIES +CAPACITY +USED\nsfcselect +2 +16384 +0\.0%\n[\s\S]*\nCOUNTER +CLASS +DIRECTION +PACKETS +BYTES +MEANING\nsteered-source +forwarded +from-pod +12 +3400 +selected packet of a source\nno-backend +DROPPED +from-pod +3 +180 +the selected path has no ready function\n$/,
    );
  });

  it('says how the API server is watched, and since when it is away', async () => {
    const status = fakeView().status();
    const watch = { synced: true, objects: 3, watching: false, lists: 1, watches: 2, events: 5, staleSeconds: 125, trouble: 'refused' };
    const source = {
      kind: 'kubernetes' as const,
      where: 'https://10.96.0.1:443',
      documents: 9,
      readAt: status.source.readAt,
      trouble: 'KUBERNETES_UNREACHABLE: the API server is away',
      since: status.source.readAt,
      watches: [
        { ...watch, resource: 'pods' },
        { ...watch, resource: 'nodes', synced: false, watching: true, objects: 0, staleSeconds: 0 },
      ],
      report: { name: 'node1', writtenAt: '', writes: 0, trouble: 'KUBERNETES_FORBIDDEN: no rule' },
    };
    await serve({ status: () => ({ ...status, source }) });
    expect(await printed('status')).toMatch(
      /\nsource {5}kubernetes https:\/\/10\.96\.0\.1:443, 9 objects, read 3h3m ago\n {11}KUBERNETES_UNREACHABLE: the API server is away, for 3h3m: what was read before stays in force\nwatches {4}3 pods, 0 nodes \(not read yet\)\n {11}pods are not watched, last heard of 2m5s ago\nreport {5}SteeringNode node1, not written yet\n {11}KUBERNETES_FORBIDDEN: no rule\nreconcile/,
    );
  });

  it('says why the agent is not ready', async () => {
    const status = fakeView().status();
    await serve({ status: () => ({ ...status, ready: false, notReady: 'vpn/gateway: no route', counters: [] }) });
    const out = await printed('status');
    expect(out).toContain('ready      no: vpn/gateway: no route\n');
    expect(out).toContain('no packet has been counted yet');
  });

  it('names the pods that have as many flows as they may have', async () => {
    const status = fakeView().status();
    await serve({ status: () => ({ ...status, flows: { ...status.flows, limited: [{ pod: 'vpn/gateway', flows: 65_536 }] } }) });
    const out = await printed('status', { isTTY: true });
    expect(out).toContain('\n           \u001b[31mvpn/gateway has reached its limit of 65536 flows: new ones are refused (flow-limit)');
  });

  it('names the instances that fail probes, where there are probes', async () => {
    const status = fakeView().status();
    const since = '2026-01-02T03:04:05.000Z';
    const failing = [{ pod: 'security/firewall-1', address: '10.244.2.3', since, detail: '3 probes did not come back' }];
    await serve({ status: () => ({ ...status, probes: { instances: 2, failing, sent: 40, unanswered: 3 } }) });
    expect(await printed('status')).toContain(
      `probes     2 instances asked, 3 of 40 probes unanswered\n           security/firewall-1 (10.244.2.3) fails since ${since}: 3 probes did not come back\n`,
    );
  });

  it('is the bare view as JSON and YAML', async () => {
    await serve();
    expect(JSON.parse(await printed('status -o json'))).toEqual(fakeView().status());
    expect(parse(await printed('status --output=yaml'))).toEqual(fakeView().status());
  });

  it('has colours on a terminal only, and not where they are unwanted', async () => {
    await serve();
    expect(await printed('status', { isTTY: true })).toContain('\u001b[31mno-backend');
    expect(await printed('status', { isTTY: true, environment: { NO_COLOR: '1' } })).not.toContain('\u001b');
    expect(await printed('status', { isTTY: true, environment: { TERM: 'dumb' } })).not.toContain('\u001b');
    expect(await printed('status')).not.toContain('\u001b');
  });
});

describe('get', () => {
  it('lists every kind under both its names', async () => {
    await serve();
    for (const [singular, plural, expected] of [
      [
        'chain',
        'chains',
        /^NAME +PATH ID .*\nfirewall +1 +fw +True +True +True +Drop +-\nproxy +2 +- +Unknown +Unknown +False +Bypass +px: 1 pod matches, none is ready: .*\n$/,
      ],
      ['selector', 'selectors', /^NAME .*\nvpn-to-firewall +firewall +1 +2 +Unknown +True +Unknown\n$/],
      [
        'endpoint',
        'endpoints',
        /^ENDPOINT .*\n3783 +vpn\/gateway .* tcx +12 +65536 +-\n- +vpn\/lost +10\.244\.1\.9 +- +- +- +- +- +- +no route to 10\.244\.1\.9\n$/,
      ],
      ['service', 'services', /^NAMESPACE .*\nsecurity +firewall-fw +10\.4\.10\.124 +7081\/UDP +firewall\n$/],
      ['problem', 'problems', /^\/etc\/sfc\/selectors\.yaml:14: warning: TrafficSelector\/firewall-to-proxy spec\.subject/],
      ['conflict', 'conflicts', /^POD .*\nvpn\/gateway +0\/TCP, 0\.0\.0\.0\/0 +a \(firewall\) +b \(proxy\) +lower servicePathId\n$/],
    ] as const) {
      expect(await printed(`get ${plural}`)).toMatch(expected);
      expect(await printed(`get ${singular}`)).toBe(await printed(`get ${plural}`));
    }
  });

  it('shows a chain by name with its functions and what its conditions say', async () => {
    await serve();
    const out = await printed('get chain firewall');
    expect(out).toMatch(
      /^\(1, 1\) +security\/fw +security\/firewall-fw +10\.4\.10\.124 +security\/firewall-2 +10\.244\.3\.3 +node3 +no +10 +not ready$/m,
    );
    expect(out).toMatch(/^Ready +True +InstancesReady +1 of 2 instances ready$/m);
    expect(await printed('get selector vpn-to-firewall')).toMatch(/^vpn\/gateway$/m);
  });

  it('shows with each instance what probes say, where it is asked', async () => {
    const [chain] = fakeView().chains();
    const [first, second] = chain?.serviceFunctions[0]?.instances ?? [];
    if (chain === undefined || first === undefined || second === undefined) throw new Error('the view has a chain of two instances');
    const since = '2026-01-02T03:04:05.000Z';
    const instances = [
      { ...first, newFlows: 'fails probes' as const, probe: { result: 'fails' as const, since, detail: 'it is silent' } },
      { ...second, probe: { result: 'passes' as const, since, detail: '' } },
    ];
    await serve({ chains: () => [{ ...chain, serviceFunctions: chain.serviceFunctions.map((one) => ({ ...one, instances })) }] });
    const out = await printed('get chain firewall', { isTTY: true });
    expect(out).toMatch(/ NEW FLOWS +PROBES\n/);
    expect(out).toMatch(new RegExp(`\u001b\\[31m.* yes +100 +fails probes +fails since ${since}: it is silent`));
    expect(out).toMatch(new RegExp(` not ready +passes since ${since}`));
    expect(
      await node
        .end()
        .then(() => serve())
        .then(() => printed('get chain firewall')),
    ).not.toContain('PROBES');
  });

  it('prints one resource as kubectl would, and several as a List', async () => {
    await serve();
    const [first, second] = fakeView().chains();
    const yaml = await printed('get chain firewall -o yaml');
    expect(yaml).toMatch(/^apiVersion: .*\nkind: ServiceFunctionChain\n/);
    expect(yaml).toMatch(/^ {2}servicePathId: 1$/m);
    expect(parse(yaml)).toEqual(first?.resource);
    const list = { apiVersion: 'v1', kind: 'List', items: [first?.resource, second?.resource] };
    expect(JSON.parse(await printed('get chains -o json'))).toEqual(list);
    expect(parse(await printed('get chains -o yaml'))).toEqual(list);
    expect(JSON.parse(await printed('get services -o json'))).toEqual(fakeView().services());
    expect(JSON.parse(await printed('get endpoint gateway -o json'))).toEqual(fakeView().endpoints()[0]);
  });

  it('finds an endpoint by pod, name or number, and a service by name', async () => {
    await serve();
    for (const name of ['vpn/gateway', 'gateway', '3783']) expect(await printed(`get endpoint ${name}`)).toMatch(/\n3783 .*\n$/);
    expect(await printed('get service security/firewall-fw')).toBe(await printed('get services'));
  });

  it('says so when there is nothing, on the error output', async () => {
    await serve({ problems: () => [], chains: () => [] });
    expect(await sfc('get problems')).toEqual({ exit: 0, out: '', err: 'no problems\n' });
    expect(await sfc('get chains')).toEqual({ exit: 0, out: '', err: 'no chains\n' });
    expect(await printed('get problems -o json')).toBe('[]\n');
  });

  it('names what there is when the name is unknown', async () => {
    await serve();
    expect(await sfc('get chain firewal')).toMatchObject({
      exit: 66,
      err: expect.stringMatching(/^sfc: NOT_FOUND: no chain named firewal; there is firewall, proxy\n/),
    });
    expect(await sfc('get endpoint nobody')).toMatchObject({
      exit: 66,
      out: '',
      err: expect.stringContaining('there is vpn/gateway, vpn/lost'),
    });
    expect((await sfc('get chain ../status')).exit).toBe(66);
    const twice = fakeView()
      .services()
      .flatMap((service) => [service, { ...service, namespace: 'other' }]);
    await node.end();
    await serve({ services: () => twice });
    const { exit, err } = await sfc('get service firewall-fw');
    expect([exit, err.split('\n')[0]]).toEqual([
      64,
      'sfc: USAGE: several services are named firewall-fw: security/firewall-fw, other/firewall-fw',
    ]);
  });

  it('shows a problem that no file has without a place', async () => {
    await serve({ problems: () => [{ ...PROBLEM, file: '', line: 0, resource: 'Link/eth0', path: 'mtu', message: 'is 48 too small' }] });
    expect(await printed('get problems')).toMatch(/^warning: Link\/eth0 mtu: is 48 too small\n/);
  });

  it('obeys no control character of what it shows', async () => {
    await serve({ problems: () => [{ ...PROBLEM, message: 'a\u001b[2Jb\u202ec\nd' }] });
    const out = await printed('get problems');
    expect(out).toContain('a\\u{1b}[2Jb\\u{202e}c\\nd');
    expect(out.split('\n')).toHaveLength(3);
  });
});
