import { describe, expect, it } from 'vitest';
import { matchesLabels } from '../label-selector.js';
import { CHAIN, changed, read, SELECTOR } from './cast.js';

const selectorOf = (text: string) => read(text).world.selectors[0];
const PODS = `    pods:
      namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: vpn
      podSelector:
        matchLabels:
          app: vpn
        matchExpressions:
          - key: tier
            operator: NotIn
            values: [test]
`;
const TO = `    to:
      ipBlock:
        cidr: 10.0.0.0/8
`;
const PORTS = `    ports:
      - allPorts:
          protocol: UDP
      - portNumber:
          protocol: TCP
          port: 443
`;
const POD_SELECTOR = PODS.slice(PODS.indexOf('      podSelector'));

describe('a TrafficSelector', () => {
  it('is read with every field', () => {
    const { world, problems } = read(SELECTOR);
    expect(problems).toEqual([]);
    expect(world.selectors).toEqual([
      {
        name: 'vpn-to-firewall',
        chain: 'firewall',
        namespaceSelector: { requirements: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['vpn'] }] },
        podSelector: {
          requirements: [
            { key: 'app', operator: 'In', values: ['vpn'] },
            { key: 'tier', operator: 'NotIn', values: ['test'] },
          ],
        },
        rules: [
          {
            direction: 'egress',
            cidr: { family: 1, prefixLength: 8, text: '10.0.0.0/8', bytes: Uint8Array.of(10, ...new Array(15).fill(0)) },
            except: [],
            ports: [
              { protocol: 17, port: 0, lastPort: 0 },
              { protocol: 6, port: 443, lastPort: 443 },
            ],
          },
        ],
        resource: expect.objectContaining({ kind: 'TrafficSelector' }),
      },
    ]);
  });

  it.each([
    ['no network', '    network: default\n', '', { chain: 'firewall' }],
    ['every destination', TO, '', { rules: [{ cidr: undefined }] }],
    ['an IPv6 prefix', '10.0.0.0/8', '"2001:DB8:0::/33"', { rules: [{ cidr: { family: 2, text: '2001:db8::/33', prefixLength: 33 } }] }],
    ['all of IPv6', '10.0.0.0/8', '::/0', { rules: [{ cidr: { family: 2, text: '::/0' } }] }],
    ['one address', '10.0.0.0/8', '10.0.2.12/32', { rules: [{ cidr: { text: '10.0.2.12/32' } }] }],
    ['the lowest port', 'port: 443', 'port: 1', { rules: [{ ports: [{ port: 0 }, { port: 1 }] }] }],
    ['the highest port', 'port: 443', 'port: 65535', { rules: [{ ports: [{ port: 0 }, { port: 65_535 }] }] }],
    [
      'the default protocol for a port',
      '          protocol: TCP\n',
      '',
      { rules: [{ ports: [{ protocol: 17 }, { protocol: 6, port: 443 }] }] },
    ],
    [
      'the default protocol for all ports',
      'allPorts:\n          protocol: UDP',
      'allPorts: {}',
      { rules: [{ ports: [{ protocol: 6, port: 0 }, {}] }] },
    ],
    [
      'Exists',
      'NotIn\n            values: [test]',
      'Exists',
      { podSelector: { requirements: [{}, { key: 'tier', operator: 'Exists', values: [] }] } },
    ],
    [
      'DoesNotExist',
      'NotIn\n            values: [test]',
      'DoesNotExist\n            values: []',
      { podSelector: { requirements: [{}, { operator: 'DoesNotExist' }] } },
    ],
    [
      'In',
      'NotIn\n            values: [test]',
      'In\n            values: [a, b]',
      { podSelector: { requirements: [{}, { operator: 'In', values: ['a', 'b'] }] } },
    ],
    [
      'empty selectors: everything',
      PODS,
      '    pods: {namespaceSelector: {}, podSelector: {}}\n',
      { namespaceSelector: { requirements: [] }, podSelector: { requirements: [] } },
    ],
    ['an empty label value', 'app: vpn', 'app: ""', { podSelector: { requirements: [{ key: 'app', values: [''] }, {}] } }],
    ['a range', 'port: 443', 'port: 8000\n          endPort: 8999', { rules: [{ ports: [{}, { port: 8000, lastPort: 8999 }] }] }],
    ['a range of one port', 'port: 443', 'port: 443\n          endPort: 443', { rules: [{ ports: [{}, { port: 443, lastPort: 443 }] }] }],
    ['SCTP', 'protocol: TCP', 'protocol: SCTP', { rules: [{ ports: [{}, { protocol: 132, port: 443 }] }] }],
    ['ICMP', 'protocol: UDP', 'protocol: ICMP', { rules: [{ ports: [{ protocol: 1, port: 0, lastPort: 0 }, {}] }] }],
    ['any protocol', 'protocol: UDP', 'protocol: Any', { rules: [{ ports: [{ protocol: 0, port: 0, lastPort: 0 }, {}] }] }],
    [
      'exceptions, the fewest that mean the same',
      'cidr: 10.0.0.0/8',
      'cidr: 10.0.0.0/8\n        except: [10.1.1.0/24, 10.2.0.0/17, 10.1.0.0/16, 10.2.128.0/17]',
      { rules: [{ except: [{ text: '10.1.0.0/16' }, { text: '10.2.0.0/16' }] }] },
    ],
    ['no exceptions in the list', 'cidr: 10.0.0.0/8', 'cidr: 10.0.0.0/8\n        except: []', { rules: [{ except: [] }] }],
    [
      'both directions',
      '  egress:',
      '  ingress:\n    from:\n      ipBlock:\n        cidr: 192.168.0.0/16\n    ports:\n      - allPorts: {}\n  egress:',
      {
        rules: [
          { direction: 'egress', cidr: { text: '10.0.0.0/8' } },
          { direction: 'ingress', cidr: { text: '192.168.0.0/16' }, except: [], ports: [{ protocol: 6, port: 0, lastPort: 0 }] },
        ],
      },
    ],
    [
      'ingress alone, from every source',
      `  egress:\n${TO}`,
      '  ingress:\n',
      { rules: [{ direction: 'ingress', cidr: undefined, ports: [{ protocol: 17 }, { protocol: 6, port: 443 }] }] },
    ],
    ['a status', 'spec:', 'status: {anything: 1}\nspec:', { chain: 'firewall' }],
  ])('is read with %s', (_, from, to, expected) => {
    const { world, problems } = read(changed(SELECTOR, from, to).text);
    expect(problems).toEqual([]);
    expect(world.selectors[0]).toMatchObject(expected);
  });

  it('has up to ten ports', () => {
    const ports = (count: number) =>
      `    ports:\n${Array.from({ length: count }, (_, i) => `      - portNumber: {port: ${i + 1}}\n`).join('')}`;
    expect(selectorOf(changed(SELECTOR, PORTS, ports(10)).text)?.rules[0]?.ports).toHaveLength(10);
    expect(read(changed(SELECTOR, PORTS, ports(11)).text).problems).toMatchObject([
      { path: 'spec.egress.ports', message: 'has 11 entries; expected a list of 1 to 10 entries' },
    ]);
  });
});

describe('what is read otherwise than it may look is told as a warning', () => {
  it('a prefix with bits behind it', () => {
    const { text, line } = changed(SELECTOR, '10.0.0.0/8', '10.1.2.3/8');
    const { world, problems } = read(text);
    expect(world.selectors[0]?.rules[0]?.cidr).toEqual({
      family: 1,
      prefixLength: 8,
      text: '10.0.0.0/8',
      bytes: Uint8Array.of(10, ...new Array(15).fill(0)),
    });
    expect(problems).toEqual([
      {
        severity: 'warning',
        file: 'a.yaml',
        document: 1,
        line,
        resource: 'TrafficSelector/vpn-to-firewall',
        path: 'spec.egress.to.ipBlock.cidr',
        message: '10.1.2.3/8 has bits set behind the prefix; read as 10.0.0.0/8',
        hint: 'Write 10.0.0.0/8.',
      },
    ]);
  });

  it('an absent selector', () => {
    const { world, problems } = read(changed(SELECTOR, POD_SELECTOR, '').text);
    expect(world.selectors[0]?.podSelector).toEqual({ requirements: [] });
    expect(problems).toMatchObject([
      {
        severity: 'warning',
        line: 9,
        path: 'spec.subject.pods.podSelector',
        message: 'podSelector is absent: every pod of those namespaces is meant',
      },
    ]);
    expect(read(changed(SELECTOR, PODS, '    pods: {}\n').text).problems.map(({ message }) => message)).toEqual([
      'namespaceSelector is absent: every namespace is meant',
      'podSelector is absent: every pod of those namespaces is meant',
    ]);
  });
});

const BARE = changed(SELECTOR, POD_SELECTOR, '      podSelector:\n        app: vpn\n        team.example.com/name: "1"\n').text;
const POD_SELECTOR_LINE = 13;

/** Read literally, unknown fields are dropped, and the selector that is left selects every pod. */
describe('labels directly under a selector', () => {
  it('are read as matchLabels, with a warning', () => {
    const { world, problems } = read(BARE);
    expect(problems).toMatchObject([
      {
        severity: 'warning',
        line: POD_SELECTOR_LINE,
        path: 'spec.subject.pods.podSelector',
        message: 'labels stand directly under podSelector; read as matchLabels',
        hint: 'Write them under matchLabels: read literally, they are unknown fields and every pod would be selected.',
      },
    ]);
    const selector = world.selectors[0]?.podSelector ?? { requirements: [] };
    expect(matchesLabels(selector, { app: 'vpn', 'team.example.com/name': '1' })).toBe(true);
    expect(matchesLabels(selector, { app: 'vpn' })).toBe(false);
    expect(matchesLabels(selector, {})).toBe(false);
  });

  it('leave the resource as it was written', () => {
    expect(selectorOf(BARE)?.resource).toMatchObject({ spec: { subject: { pods: { podSelector: { app: 'vpn' } } } } });
  });

  it('are labels, whose mistakes stand where they were written', () => {
    expect(read(BARE.replace('app: vpn', 'app: v p n')).problems).toMatchObject([
      { severity: 'warning', line: POD_SELECTOR_LINE },
      { severity: 'error', line: POD_SELECTOR_LINE + 1, path: 'spec.subject.pods.podSelector.app' },
    ]);
    expect(read(BARE.replace('app: vpn', '-app: vpn')).problems).toMatchObject([
      { severity: 'warning' },
      { severity: 'error', line: POD_SELECTOR_LINE + 1, path: 'spec.subject.pods.podSelector["-app"]' },
    ]);
  });

  it.each([
    [
      'a mix',
      'app: vpn',
      'matchLabels: {app: vpn}',
      2,
      'podSelector["team.example.com/name"]',
      'unknown field team.example.com/name; expected matchLabels or matchExpressions',
    ],
    ['a typing error', 'app: vpn', 'matchLabel: vpn', 1, 'podSelector.matchLabel', 'unknown field matchLabel; did you mean matchLabels?'],
    [
      'another typing error',
      'app: vpn',
      'matchexpression: vpn',
      1,
      'podSelector.matchexpression',
      'unknown field matchexpression; did you mean matchExpressions?',
    ],
    ['a value that is no text', 'app: vpn', 'app: 1', 1, 'podSelector.app', 'unknown field app; expected matchLabels or matchExpressions'],
    [
      'a mapping',
      'app: vpn',
      'labels: {app: vpn}',
      1,
      'podSelector.labels',
      'unknown field labels; expected matchLabels or matchExpressions',
    ],
  ])('are no longer understood when there is %s', (_, from, to, below, path, message) => {
    const { world, problems } = read(BARE.replace(from, to));
    const told = problems.find((problem) => problem.path === `spec.subject.pods.${path}`);
    expect(told).toMatchObject({ severity: 'error', line: POD_SELECTOR_LINE + below, message });
    expect(problems.some(({ severity }) => severity === 'warning')).toBe(false);
    expect(world.selectors).toEqual([]);
  });
});

const PORT = 'spec.egress.ports[1].portNumber';
const POD_SELECTOR_PATH = 'spec.subject.pods.podSelector';
const PROTOCOLS = 'expected TCP, UDP, SCTP, ICMP or Any';
const EXCEPT = (prefixes: string) => `cidr: 10.0.0.0/8\n        except: [${prefixes}]`;
const CIDR = 'expected ADDRESS/LENGTH, such as 10.0.0.0/8 or 2001:db8::/32';

describe('in a TrafficSelector', () => {
  it.each([
    ['port: 443', 'port: 70000', `${PORT}.port`, '70000 is not a port; expected an integer from 1 to 65535'],
    ['port: 443', 'port: 0', `${PORT}.port`, '0 is not a port; expected an integer from 1 to 65535'],
    ['port: 443', 'port: -1', `${PORT}.port`, '-1 is not a port; expected an integer from 1 to 65535'],
    ['port: 443', 'port: "443"', `${PORT}.port`, '"443" is not a port; expected an integer from 1 to 65535'],
    ['port: 443', 'port: .inf', `${PORT}.port`, 'Infinity is not a port; expected an integer from 1 to 65535'],
    ['port: 443', 'port: https', `${PORT}.port`, '"https" is not a port; expected an integer from 1 to 65535'],
    ['port: 443', 'port:', `${PORT}.port`, 'is empty; expected an integer from 1 to 65535'],
    ['port: 443', 'number: 443', `${PORT}.port`, 'port is missing; expected an integer from 1 to 65535', -2, 2],
    ['portNumber', 'portNumbr', 'spec.egress.ports[1].portNumbr', 'unknown field portNumbr; did you mean portNumber?'],
    ['portNumber', 'port', 'spec.egress.ports[1].port', 'unknown field port; did you mean portNumber?'],
    ['protocol: TCP', 'protocol: tcp', `${PORT}.protocol`, '"tcp" is not a protocol; expected TCP, UDP or SCTP; did you mean TCP?'],
    ['protocol: TCP', 'protocol: ICMP', `${PORT}.protocol`, '"ICMP" is not a protocol; expected TCP, UDP or SCTP'],
    ['protocol: TCP', 'protocol: Any', `${PORT}.protocol`, '"Any" is not a protocol; expected TCP, UDP or SCTP'],
    ['protocol: UDP', 'protocol: GRE', 'spec.egress.ports[0].allPorts.protocol', `"GRE" is not a protocol; ${PROTOCOLS}`],
    ['protocol: UDP', 'protocol: 17', 'spec.egress.ports[0].allPorts.protocol', `17 is not a protocol; ${PROTOCOLS}`],
    ['port: 443', 'port: 443\n          endPort: 442', `${PORT}.endPort`, '442 is before port 443', 1],
    ['port: 443', 'port: 443\n          endPort: 65536', `${PORT}.endPort`, '65536 is not a port; expected an integer from 1 to 65535', 1],
    ['port: 443', 'port: 443\n          endport: 445', `${PORT}.endport`, 'unknown field endport; did you mean endPort?', 1],
    ['protocol: UDP', 'port: 1', 'spec.egress.ports[0].allPorts.port', 'unknown field port; expected protocol'],
    [
      '- portNumber',
      '- allPorts: {}\n        portNumber',
      'spec.egress.ports[1]',
      'has allPorts and portNumber; expected exactly one of allPorts and portNumber',
    ],
    ['- allPorts:\n          protocol: UDP', '- {}', 'spec.egress.ports[0]', 'is empty; expected exactly one of allPorts and portNumber'],
    [
      '- allPorts:\n          protocol: UDP',
      '- 53',
      'spec.egress.ports[0]',
      '53 stands here; expected exactly one of allPorts and portNumber',
    ],
    [PORTS, '    ports: []\n', 'spec.egress.ports', 'is empty; expected a list of 1 to 10 entries'],
    [PORTS, '', 'spec.egress.ports', 'ports is missing; expected a list of 1 to 10 entries', -4],
    ['10.0.0.0/8', '10.0.0.0', 'spec.egress.to.ipBlock.cidr', `"10.0.0.0" is not a prefix; ${CIDR}`],
    ['10.0.0.0/8', '10.0.0.0/33', 'spec.egress.to.ipBlock.cidr', `"10.0.0.0/33" is not a prefix; ${CIDR}`],
    ['10.0.0.0/8', '010.0.0.0/8', 'spec.egress.to.ipBlock.cidr', `"010.0.0.0/8" is not a prefix; ${CIDR}`],
    ['10.0.0.0/8', '"::/129"', 'spec.egress.to.ipBlock.cidr', `"::/129" is not a prefix; ${CIDR}`],
    ['10.0.0.0/8', '10', 'spec.egress.to.ipBlock.cidr', `10 is not a prefix; ${CIDR}`],
    ['cidr: 10.0.0.0/8', 'CIDR: 10.0.0.0/8', 'spec.egress.to.ipBlock.CIDR', 'unknown field CIDR; did you mean cidr?'],
    ['cidr: 10.0.0.0/8', EXCEPT('11.0.0.0/9'), 'spec.egress.to.ipBlock.except[0]', '11.0.0.0/9 is not a part of 10.0.0.0/8', 1],
    ['cidr: 10.0.0.0/8', EXCEPT('10.0.0.0/8'), 'spec.egress.to.ipBlock.except[0]', '10.0.0.0/8 is not a part of 10.0.0.0/8', 1],
    ['cidr: 10.0.0.0/8', EXCEPT('"::/9"'), 'spec.egress.to.ipBlock.except[0]', '::/9 is not a part of 10.0.0.0/8', 1],
    ['cidr: 10.0.0.0/8', EXCEPT('10.0.0.1'), 'spec.egress.to.ipBlock.except[0]', `"10.0.0.1" is not a prefix; ${CIDR}`, 1],
    ['cidr: 10.0.0.0/8', EXCEPT('10.0.0.0/9, 10.128.0.0/9'), 'spec.egress.to.ipBlock.except', 'nothing of 10.0.0.0/8 is left', 1],
    [TO, '    to: {}\n', 'spec.egress.to.ipBlock', 'ipBlock is missing; expected a mapping with cidr and except'],
    [TO, '    to: {ipBlock: {}}\n', 'spec.egress.to.ipBlock.cidr', `cidr is missing; ${CIDR}`],
    [TO, '    to:\n', 'spec.egress.to', 'is empty; expected a mapping with ipBlock'],
    [
      'serviceFunctionChain',
      'serviceFunctionChian',
      'spec.serviceFunctionChian',
      'unknown field serviceFunctionChian; did you mean serviceFunctionChain?',
    ],
    ['  serviceFunctionChain: firewall\n', '', 'spec.serviceFunctionChain', /^serviceFunctionChain is missing; expected up to 253/, -1],
    ['Chain: firewall', 'Chain: Fire Wall', 'spec.serviceFunctionChain', /^"Fire Wall" is not a chain name; expected up to 253/],
    ['network: default', 'network: blue', 'spec.subject.network', '"blue" is not a network; expected default, the only value there is'],
    [PODS, '', 'spec.subject.pods', 'pods is missing; expected a mapping with namespaceSelector and podSelector', -2],
    [`  subject:\n    network: default\n${PODS}`, '', 'spec.subject', 'subject is missing; expected a mapping with network and pods', -2],
    [PODS, '    pods: []\n', 'spec.subject.pods', 'a list stands here; expected a mapping with namespaceSelector and podSelector'],
    ['podSelector:', 'podSelectors:', 'spec.subject.pods.podSelectors', 'unknown field podSelectors; did you mean podSelector?'],
    [POD_SELECTOR, '      podSelector:\n', POD_SELECTOR_PATH, 'is empty; expected a mapping with matchLabels and matchExpressions'],
    ['app: vpn', 'app: 5', `${POD_SELECTOR_PATH}.matchLabels.app`, /^5 is not a label value; expected a string of up to 63/],
    ['app: vpn', 'app:', `${POD_SELECTOR_PATH}.matchLabels.app`, /^is empty; expected a string of up to 63/],
    ['app: vpn', `app: ${'x'.repeat(64)}`, `${POD_SELECTOR_PATH}.matchLabels.app`, /^"x{60}…" is not a label value/],
    ['app: vpn', 'a/b/c: vpn', `${POD_SELECTOR_PATH}.matchLabels["a/b/c"]`, /^"a\/b\/c" is not a label key/],
    [
      'kubernetes.io/metadata.name: vpn',
      'Kubernetes.io/metadata.name: vpn',
      'spec.subject.pods.namespaceSelector.matchLabels["Kubernetes.io/metadata.name"]',
      /is not a label key/,
    ],
    [
      'NotIn',
      'notIn',
      `${POD_SELECTOR_PATH}.matchExpressions[0].operator`,
      '"notIn" is not an operator; expected In, NotIn, Exists or DoesNotExist; did you mean NotIn?',
    ],
    [
      'NotIn',
      'Gt',
      `${POD_SELECTOR_PATH}.matchExpressions[0].operator`,
      '"Gt" is not an operator; expected In, NotIn, Exists or DoesNotExist',
    ],
    ['NotIn', 'Exists', `${POD_SELECTOR_PATH}.matchExpressions[0].values`, 'Exists has values; expected none', 1],
    ['NotIn', 'DoesNotExist', `${POD_SELECTOR_PATH}.matchExpressions[0].values`, 'DoesNotExist has values; expected none', 1],
    ['[test]', '[]', `${POD_SELECTOR_PATH}.matchExpressions[0].values`, 'NotIn has no values; expected at least one'],
    [
      '\n            values: [test]',
      '',
      `${POD_SELECTOR_PATH}.matchExpressions[0].values`,
      'NotIn has no values; expected at least one',
      -1,
    ],
    ['[test]', '[1]', `${POD_SELECTOR_PATH}.matchExpressions[0].values[0]`, /^1 is not a label value/],
    ['[test]', 'test', `${POD_SELECTOR_PATH}.matchExpressions[0].values`, '"test" stands here; expected a list'],
    ['key: tier', 'key: ti er', `${POD_SELECTOR_PATH}.matchExpressions[0].key`, /^"ti er" is not a label key/],
    ['key: tier\n            ', '', `${POD_SELECTOR_PATH}.matchExpressions[0].key`, /^key is missing; expected a name/],
    [
      'key: tier',
      'key: tier\n            value: x',
      `${POD_SELECTOR_PATH}.matchExpressions[0].value`,
      'unknown field value; did you mean values?',
      1,
    ],
    ['egress', 'egres', 'spec.egres', 'unknown field egres; did you mean egress?'],
    ['egress:', 'ingress: {}\n  egress:', 'spec.ingress.ports', 'ports is missing; expected a list of 1 to 10 entries'],
    [`  egress:\n${TO}${PORTS}`, '', 'spec.egress', 'egress and ingress are missing; expected at least one of them', -15],
    [
      '  name: vpn',
      '  namespace: vpn\n  name: vpn',
      'metadata.namespace',
      'namespace is not supported here: a TrafficSelector belongs to the cluster, not to a namespace',
    ],
    ['metadata:', 'metadata:\n  labels: [a]', 'metadata.labels', 'a list stands here; expected a mapping', 1],
  ])('%j as %j is refused', (from, to, path, message, below = 0, count = 1) => {
    const { text, line } = changed(SELECTOR, from, to);
    const { world, problems } = read(text);
    expect(problems).toHaveLength(count);
    const told = problems.find((problem) => problem.path === path);
    expect(told).toMatchObject({
      severity: 'error',
      file: 'a.yaml',
      document: 1,
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    });
    expect(told?.line).toBe(line + below);
    expect(told?.hint).not.toBe('');
    expect(world.selectors).toEqual([]);
  });

  it('a field that nobody knows does not count as one of two', () => {
    const { problems } = read(changed(SELECTOR, '- allPorts:', '- endPort: 9\n        allPorts:').text);
    expect(problems.map(({ path, message }) => `${path}: ${message}`)).toEqual([
      'spec.egress.ports[0].endPort: unknown field endPort; expected allPorts or portNumber',
    ]);
  });

  it('a number in quotes, and text without, are told how to write', () => {
    expect(read(changed(SELECTOR, 'port: 443', 'port: "443"').text).problems[0]?.hint).toBe('Write the number without quotes.');
    expect(read(changed(SELECTOR, 'app: vpn', 'app: true').text).problems[0]?.hint).toBe('Write it in quotes: "true".');
  });

  it('lines count from the beginning of the file, documents too', () => {
    const bad = SELECTOR.replace('443', '70000');
    const { world, problems } = read(`# a comment\n---\n${CHAIN}---\n${bad}`);
    expect(problems).toMatchObject([
      { document: 2, line: 2 + CHAIN.split('\n').length + SELECTOR.split('\n').findIndex((one) => one.includes('443')) + 1 },
    ]);
    expect(world.chains).toHaveLength(1);
  });
});
