import { describe, expect, it } from 'vitest';
import { CHAIN, changed, read } from './cast.js';

const chainOf = (text: string) => read(text).world.chains[0];
const FUNCTION = `    - name: firewall
      namespace: firewall
      podSelector:
        matchLabels:
          app: firewall
`;
const FUNCTIONS = `  serviceFunctions:\n${FUNCTION}`;
const AFFINITY = `  sessionAffinity:
    clientIPNoDestination:
      timeoutSeconds: 3600
`;

describe('a ServiceFunctionChain', () => {
  it('is read with every field', () => {
    const { world, problems } = read(CHAIN);
    expect(problems).toEqual([]);
    expect(world.chains).toEqual([
      {
        name: 'firewall',
        uid: '0b0d2ad4-6f0a-4d5e-8f2b-5a5a5a5a5a5a',
        serviceFunctions: [
          {
            name: 'firewall',
            namespace: 'firewall',
            podSelector: { requirements: [{ key: 'app', operator: 'In', values: ['firewall'] }] },
            weights: [],
          },
        ],
        affinityTimeout: 3600,
        locality: 'None',
        onInstanceLoss: 'Move',
        failurePolicy: 'Drop',
        servicePathId: 7,
        resource: expect.objectContaining({ kind: 'ServiceFunctionChain', status: { servicePathId: 7, conditions: [] } }),
      },
    ]);
  });

  it('is frozen to the bottom', () => {
    expect(Object.isFrozen(chainOf(CHAIN)?.serviceFunctions[0]?.podSelector.requirements[0]?.values)).toBe(true);
  });

  it.each([
    ['the default timeout', 'clientIPNoDestination:\n      timeoutSeconds: 3600', 'clientIPNoDestination: {}', { affinityTimeout: 10_800 }],
    ["the walkthrough's spelling", 'clientIPNoDestination', 'clientIpNoDestination', { affinityTimeout: 3600 }],
    ['no affinity', AFFINITY, '', { affinityTimeout: undefined }],
    ['the shortest timeout', '3600', '1', { affinityTimeout: 1 }],
    ['the longest timeout', '3600', '86400', { affinityTimeout: 86_400 }],
    ['the lowest path', 'servicePathId: 7', 'servicePathId: 1', { servicePathId: 1 }],
    ['the highest path', 'servicePathId: 7', 'servicePathId: 16777214', { servicePathId: 16_777_214 }],
    ['no path', '  servicePathId: 7\n', '', { servicePathId: undefined }],
    ['an empty status', 'status:\n  servicePathId: 7\n  conditions: []', 'status:', { servicePathId: undefined }],
    ['no policy', '  internalTrafficPolicy: Cluster\n', '', { name: 'firewall' }],
    ['a preference for its node', 'internalTrafficPolicy: Cluster', 'locality: PreferNode', { locality: 'PreferNode' }],
    ['a preference for its zone', 'internalTrafficPolicy: Cluster', 'locality: PreferZone', { locality: 'PreferZone' }],
    ['flows that stay', 'internalTrafficPolicy: Cluster', 'onInstanceLoss: Stay', { onInstanceLoss: 'Stay' }],
    ['flows that are reset', 'internalTrafficPolicy: Cluster', 'onInstanceLoss: Reset', { onInstanceLoss: 'Reset' }],
    ['packets that are dropped', 'internalTrafficPolicy: Cluster', 'failurePolicy: Drop', { failurePolicy: 'Drop' }],
    ['packets that are refused', 'internalTrafficPolicy: Cluster', 'failurePolicy: Reject', { failurePolicy: 'Reject' }],
    ['no uid', '  uid: 0b0d2ad4-6f0a-4d5e-8f2b-5a5a5a5a5a5a\n', '', { uid: undefined }],
    ['null labels', 'labels:\n    team: network', 'labels:', { name: 'firewall' }],
  ])('is read with %s', (_, from, to, expected) => {
    const { world, problems } = read(changed(CHAIN, from, to).text);
    expect(problems).toEqual([]);
    expect(world.chains[0]).toMatchObject(expected);
  });

  it('that lets packets past its functions is told, and is good', () => {
    const bypass = changed(CHAIN, 'internalTrafficPolicy: Cluster', 'failurePolicy: Bypass');
    expect(chainOf(bypass.text)).toMatchObject({ failurePolicy: 'Bypass' });
    expect(read(bypass.text).problems).toMatchObject([
      { severity: 'warning', line: bypass.line, path: 'spec.failurePolicy', message: expect.stringMatching(/^Bypass: while a function/) },
    ]);
  });

  it('has up to 255 functions', () => {
    const functions = (count: number) =>
      FUNCTIONS + Array.from({ length: count - 1 }, (_, i) => FUNCTION.replace('firewall', `f${i}`)).join('');
    expect(chainOf(changed(CHAIN, FUNCTIONS, functions(255)).text)?.serviceFunctions).toHaveLength(255);
    expect(read(changed(CHAIN, FUNCTIONS, functions(256)).text).problems).toMatchObject([
      { path: 'spec.serviceFunctions', message: 'has 256 entries; expected a list of 1 to 255 entries' },
    ]);
  });

  it('may lead through one function twice', () => {
    const { world, problems } = read(changed(CHAIN, FUNCTIONS, FUNCTIONS + FUNCTION).text);
    expect(problems).toEqual([]);
    expect(world.chains[0]?.serviceFunctions).toHaveLength(2);
  });

  it('has weights for a canary, with the labels bare if need be', () => {
    const weighted = (podSelector: string) =>
      changed(CHAIN, FUNCTION, `${FUNCTION}      weights:\n        - { podSelector: ${podSelector}, weight: 10 }\n`);
    const { world, problems } = read(weighted('{ matchLabels: { track: canary } }').text);
    expect(problems).toEqual([]);
    expect(world.chains[0]?.serviceFunctions[0]?.weights).toEqual([
      { podSelector: { requirements: [{ key: 'track', operator: 'In', values: ['canary'] }] }, weight: 10 },
    ]);
    const bare = weighted('{ track: canary }');
    expect(read(bare.text).world.chains[0]?.serviceFunctions).toEqual(world.chains[0]?.serviceFunctions);
    expect(read(bare.text).problems).toMatchObject([{ severity: 'warning', path: 'spec.serviceFunctions[0].weights[0].podSelector' }]);
  });

  it.each(['-1', '101', '"10"', '0.5'])('has no weight of %s', (weight) => {
    const entry = `      weights: [{ podSelector: { matchLabels: { a: b } }, weight: ${weight} }]\n`;
    expect(read(changed(CHAIN, FUNCTION, FUNCTION + entry).text).problems).toMatchObject([
      {
        line: 22,
        path: 'spec.serviceFunctions[0].weights[0].weight',
        message: `${weight} is not a weight; expected an integer from 0 to 100`,
      },
    ]);
  });

  it.each([
    ['{}', { periodMs: 1000, failureThreshold: 3, successThreshold: 2, port: 7082 }],
    [
      '{ periodMilliseconds: 100, failureThreshold: 2, successThreshold: 1, port: 1 }',
      { periodMs: 100, failureThreshold: 2, successThreshold: 1, port: 1 },
    ],
    ['{ periodMilliseconds: 60000, failureThreshold: 100 }', { periodMs: 60_000, failureThreshold: 100, successThreshold: 2, port: 7082 }],
  ])('has probes: %s', (probe, expected) => {
    const { world, problems } = read(changed(CHAIN, FUNCTION, `${FUNCTION}      probe: ${probe}\n`).text);
    expect(problems).toEqual([]);
    expect(world.chains[0]?.serviceFunctions[0]?.probe).toEqual(expected);
    expect(chainOf(CHAIN)?.serviceFunctions[0]?.probe).toBeUndefined();
  });

  it.each([
    ['periodMilliseconds', '99', 'a period; expected an integer from 100 to 60000'],
    ['periodMilliseconds', '60001', 'a period; expected an integer from 100 to 60000'],
    ['failureThreshold', '1', 'a threshold; expected an integer from 2 to 100'],
    ['successThreshold', '0', 'a threshold; expected an integer from 1 to 100'],
    ['port', '0', 'a port; expected an integer from 1 to 65535'],
    ['port', '"7082"', 'a port; expected an integer from 1 to 65535'],
  ])('has no %s of %s', (field, value, expected) => {
    expect(read(changed(CHAIN, FUNCTION, `${FUNCTION}      probe: { ${field}: ${value} }\n`).text).problems).toMatchObject([
      { line: 22, path: `spec.serviceFunctions[0].probe.${field}`, message: `${value} is not ${expected}` },
    ]);
  });

  it('asks a function that it leads through twice in one way', () => {
    const asked = (probe: string) => `${FUNCTION}      probe: ${probe}\n`;
    const twice = (one: string, other: string) => read(changed(CHAIN, FUNCTIONS, `  serviceFunctions:\n${one}${other}`).text).problems;
    const [near, far] = ['{ port: 1, failureThreshold: 2 }', '{ failureThreshold: 2, port: 1 }'];
    expect(twice(asked(near), asked(far))).toEqual([]);
    for (const other of [FUNCTION, asked('{}'), asked('{ port: 1 }')])
      expect(twice(asked(near), other)).toMatchObject([{ path: 'spec.serviceFunctions[1].name' }]);
    expect(twice(FUNCTION, asked('{}'))).toMatchObject([{ path: 'spec.serviceFunctions[1].name' }]);
  });

  it('reads labels that stand directly under podSelector, and warns', () => {
    const bare = changed(CHAIN, 'podSelector:\n        matchLabels:\n          app: firewall', 'podSelector:\n        app: firewall');
    const { world, problems } = read(bare.text);
    expect(world.chains[0]?.serviceFunctions).toEqual(chainOf(CHAIN)?.serviceFunctions);
    expect(problems).toMatchObject([{ severity: 'warning', line: bare.line, path: 'spec.serviceFunctions[0].podSelector' }]);
  });
});

const SPEC = 'spec.serviceFunctions[0]';

describe('in a ServiceFunctionChain', () => {
  it.each([
    ['3600', '0', 'spec.sessionAffinity.clientIPNoDestination.timeoutSeconds', '0 is not a timeout; expected an integer from 1 to 86400'],
    [
      '3600',
      '86401',
      'spec.sessionAffinity.clientIPNoDestination.timeoutSeconds',
      '86401 is not a timeout; expected an integer from 1 to 86400',
    ],
    [
      '3600',
      '1.5',
      'spec.sessionAffinity.clientIPNoDestination.timeoutSeconds',
      '1.5 is not a timeout; expected an integer from 1 to 86400',
    ],
    [
      '3600',
      '"3600"',
      'spec.sessionAffinity.clientIPNoDestination.timeoutSeconds',
      '"3600" is not a timeout; expected an integer from 1 to 86400',
    ],
    [
      'timeoutSeconds: 3600',
      'timeout: 3600',
      'spec.sessionAffinity.clientIPNoDestination.timeout',
      'unknown field timeout; did you mean timeoutSeconds?',
    ],
    [
      'clientIPNoDestination',
      'clientIPNoDestinations',
      'spec.sessionAffinity.clientIPNoDestinations',
      'unknown field clientIPNoDestinations; did you mean clientIPNoDestination?',
    ],
    ['sessionAffinity', 'sesionAffinity', 'spec.sesionAffinity', 'unknown field sesionAffinity; did you mean sessionAffinity?'],
    [
      'sessionAffinity:\n    clientIPNoDestination:\n      timeoutSeconds: 3600',
      'sessionAffinity: {}',
      'spec.sessionAffinity',
      'is empty; expected clientIPNoDestination (or its other spelling, clientIpNoDestination) and nothing else',
    ],
    [
      'sessionAffinity:\n    clientIPNoDestination:\n      timeoutSeconds: 3600',
      'sessionAffinity: {clientIPNoDestination: {}, clientIpNoDestination: {}}',
      'spec.sessionAffinity',
      'has clientIPNoDestination and clientIpNoDestination; expected clientIPNoDestination (or its other spelling, clientIpNoDestination) and nothing else',
    ],
    [
      'sessionAffinity:\n    clientIPNoDestination:\n      timeoutSeconds: 3600',
      'sessionAffinity:',
      'spec.sessionAffinity',
      'is empty; expected clientIPNoDestination (or its other spelling, clientIpNoDestination) and nothing else',
    ],
    [
      'internalTrafficPolicy: Cluster',
      'locality: Rack',
      'spec.locality',
      '"Rack" is not a locality; expected None, PreferNode or PreferZone',
    ],
    [
      'internalTrafficPolicy: Cluster',
      'onInstanceLoss: Forget',
      'spec.onInstanceLoss',
      '"Forget" is not an instance loss policy; expected Move, Stay or Reset',
    ],
    [
      'internalTrafficPolicy: Cluster',
      'failurePolicy: bypass',
      'spec.failurePolicy',
      '"bypass" is not a failure policy; expected Drop, Bypass or Reject; did you mean Bypass?',
    ],
    ['Cluster', 'Local', 'spec.internalTrafficPolicy', '"Local" is not a traffic policy; expected Cluster, the only value there is'],
    [
      'Cluster',
      'cluster',
      'spec.internalTrafficPolicy',
      '"cluster" is not a traffic policy; expected Cluster, the only value there is; did you mean Cluster?',
    ],
    ['serviceFunctions', 'serviceFunction', 'spec.serviceFunction', 'unknown field serviceFunction; did you mean serviceFunctions?'],
    [FUNCTIONS, '  serviceFunctions: []\n', 'spec.serviceFunctions', 'is empty; expected a list of 1 to 255 entries'],
    [FUNCTIONS, '  serviceFunctions:\n', 'spec.serviceFunctions', 'is empty; expected a list of 1 to 255 entries'],
    [FUNCTIONS, '  serviceFunctions: {}\n', 'spec.serviceFunctions', 'a mapping stands here; expected a list of 1 to 255 entries'],
    [
      '- name: firewall',
      '- name: Firewall',
      `${SPEC}.name`,
      '"Firewall" is not a function name; expected up to 63 lower-case letters, digits and "-", beginning with a letter and ending with a letter or digit',
    ],
    [
      '- name: firewall',
      '- name: 1st',
      `${SPEC}.name`,
      '"1st" is not a function name; expected up to 63 lower-case letters, digits and "-", beginning with a letter and ending with a letter or digit',
    ],
    ['- name: firewall', `- name: ${'f'.repeat(64)}`, `${SPEC}.name`, /is not a function name; expected up to 63/],
    [
      'namespace: firewall',
      'namespace: fire.wall',
      `${SPEC}.namespace`,
      '"fire.wall" is not a namespace; expected up to 63 lower-case letters, digits and "-", with a letter or digit at both ends',
    ],
    ['namespace: firewall', 'nameSpace: firewall', `${SPEC}.nameSpace`, 'unknown field nameSpace; did you mean namespace?'],
    [
      'matchLabels:\n          app: firewall',
      'matchLabels: {}',
      `${SPEC}.podSelector.matchLabels`,
      'is empty; expected a mapping with at least one entry',
    ],
    [
      'podSelector:\n        matchLabels:\n          app: firewall',
      'podSelector: {}',
      `${SPEC}.podSelector.matchLabels`,
      'matchLabels is missing; expected a mapping with at least one entry',
    ],
    ['matchLabels', 'matchLabel', `${SPEC}.podSelector.matchLabel`, 'unknown field matchLabel; did you mean matchLabels?'],
    [
      'matchLabels:\n          app: firewall',
      'matchLabels: {app: x}\n        matchExpressions: []',
      `${SPEC}.podSelector.matchExpressions`,
      "matchExpressions is not supported here: a function's pods are selected by matchLabels alone",
      1,
    ],
    [
      'app: firewall',
      'app: 1',
      `${SPEC}.podSelector.matchLabels.app`,
      '1 is not a label value; expected a string of up to 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends',
    ],
    ['app: firewall', 'app: -x', `${SPEC}.podSelector.matchLabels.app`, /^"-x" is not a label value/],
    [
      'app: firewall',
      '-app: x',
      `${SPEC}.podSelector.matchLabels["-app"]`,
      /^"-app" is not a label key; expected a name of up to 63 letters/,
    ],
    ['servicePathId: 7', 'servicePathId: 0', 'status.servicePathId', '0 is not a servicePathId; expected an integer from 1 to 16777214'],
    [
      'servicePathId: 7',
      'servicePathId: 16777215',
      'status.servicePathId',
      '16777215 is not a servicePathId; expected an integer from 1 to 16777214',
    ],
    ['name: firewall', 'name: Fire_wall', 'metadata.name', /^"Fire_wall" is not a name; expected up to 253/],
    [
      'uid: 0',
      'namespace: default\n  uid: 0',
      'metadata.namespace',
      'namespace is not supported here: a ServiceFunctionChain belongs to the cluster, not to a namespace',
    ],
    ['  labels:', '  label:', 'metadata.label', 'unknown field label; did you mean labels?'],
    ['team: network', 'team: [a]', 'metadata.labels.team', /^a list is not a label value/],
    ['note: "any text: at all"', 'note: 1', 'metadata.annotations.note', '1 is not an annotation; expected a string'],
    ['spec:', 'specs: {}\nspec:', 'specs', 'unknown field specs; did you mean spec?'],
    ['status:', 'state: x\nstatus:', 'state', 'unknown field state; did you mean status?'],
  ])('%j as %j is refused', (from, to, path, message, below = 0) => {
    const { text, line } = changed(CHAIN, from, to);
    const { world, problems } = read(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({
      severity: 'error',
      file: 'a.yaml',
      document: 1,
      path,
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    });
    expect(problems[0]?.line).toBe(line + below);
    expect(problems[0]?.hint).not.toBe('');
    expect(world.chains).toEqual([]);
  });

  it('a function name stands for one namespace and selector', () => {
    const other = FUNCTION.replace('namespace: firewall', 'namespace: other');
    const { text, line } = changed(CHAIN, FUNCTIONS, FUNCTIONS + other);
    expect(read(text).problems).toMatchObject([
      {
        line: line + 6,
        path: 'spec.serviceFunctions[1].name',
        message: 'function "firewall" is already serviceFunctions[0], with another namespace, podSelector, weights or probe',
      },
    ]);
  });

  it('two functions may not come to one Service', () => {
    const long = (end: string) => FUNCTION.replace('name: firewall', `name: ${'f'.repeat(60)}${end}`);
    const { text } = changed(CHAIN, FUNCTIONS, `  serviceFunctions:\n${long('a')}${long('b')}`);
    expect(read(text).problems).toMatchObject([
      { path: 'spec.serviceFunctions[1].name', message: expect.stringContaining('would share the Service of') },
    ]);
  });

  it('a field that nobody knows does not hide that another is missing', () => {
    expect(read(changed(CHAIN, 'podSelector', 'instances').text).problems).toMatchObject([
      { line: 17, path: 'spec.serviceFunctions[0].podSelector', message: 'podSelector is missing; expected a mapping with matchLabels' },
      {
        line: 19,
        path: 'spec.serviceFunctions[0].instances',
        message: 'unknown field instances; expected name, namespace, podSelector, weights or probe',
      },
    ]);
  });

  it('every mistake is told at once, in the order of the lines', () => {
    const text = CHAIN.replace('3600', '0')
      .replace('Cluster', 'Local')
      .replace('- name: firewall', '- name: F')
      .replace('servicePathId: 7', 'servicePathId: x');
    expect(read(text).problems.map(({ line, path }) => `${line} ${path}`)).toEqual([
      '14 spec.sessionAffinity.clientIPNoDestination.timeoutSeconds',
      '15 spec.internalTrafficPolicy',
      '17 spec.serviceFunctions[0].name',
      '23 status.servicePathId',
    ]);
  });
});
