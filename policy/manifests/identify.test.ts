import { describe, expect, it } from 'vitest';
import { CHAIN, changed, POD, read, SELECTOR } from './cast.js';

const of = (apiVersion: string, kind: string) => read(`apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n  name: x\n`);

describe('the kind of a document', () => {
  it.each([
    ['apps/v1', 'Deployment'],
    ['apps/v1', 'DaemonSet'],
    ['batch/v1', 'Job'],
    ['rbac.authorization.k8s.io/v1', 'Role'],
    ['networking.k8s.io/v1', 'NetworkPolicy'],
    ['apiextensions.k8s.io/v1', 'CustomResourceDefinition'],
    ['v1', 'ConfigMap'],
    ['v1', 'Endpoints'],
    ['networking.gke.io/v1', 'ManagedCertificate'],
    ['networking.gke.io/v1beta1', 'FrontendConfig'],
    ['serving.knative.dev/v1', 'Service'],
    ['sfc.example.com/v1alpha1', 'ServiceFunctionChain'],
  ])('%s %s is left alone', (apiVersion, kind) => {
    const { problems, entries, documents } = of(apiVersion, kind);
    expect([problems, entries, documents]).toEqual([[], [], 1]);
  });

  it.each([
    [
      'networking.gke.io/v1',
      'TraficSelector',
      2,
      'kind',
      'unknown kind "TraficSelector" in networking.gke.io/v1; did you mean TrafficSelector?',
      'Write kind: TrafficSelector.',
    ],
    [
      'networking.gke.io/v1',
      'ServiceFunctionChains',
      2,
      'kind',
      'unknown kind "ServiceFunctionChains" in networking.gke.io/v1; did you mean ServiceFunctionChain?',
      'Write kind: ServiceFunctionChain.',
    ],
    [
      'networking.gke.io/v1',
      'trafficselector',
      2,
      'kind',
      'unknown kind "trafficselector" in networking.gke.io/v1; did you mean TrafficSelector?',
      'Write kind: TrafficSelector.',
    ],
    [
      'networking.gke.io/v1',
      'Gadget',
      2,
      'kind',
      'unknown kind "Gadget" in networking.gke.io/v1',
      /^Read are ServiceFunctionChain and TrafficSelector/,
    ],
    [
      'networking.gke.io/v1beta1',
      'TrafficSelector',
      1,
      'apiVersion',
      'there is no TrafficSelector in "networking.gke.io/v1beta1"; expected networking.gke.io/v1',
      'Write apiVersion: networking.gke.io/v1.',
    ],
    [
      'networking.gke.io',
      'TrafficSelector',
      1,
      'apiVersion',
      '"networking.gke.io" is not an apiVersion; expected networking.gke.io/v1',
      /./,
    ],
    [
      'networking.gke.oi/v1',
      'TrafficSelector',
      1,
      'apiVersion',
      'there is no TrafficSelector in "networking.gke.oi/v1"; expected networking.gke.io/v1',
      /./,
    ],
    [
      'networking.k8s.io/v1',
      'TrafficSelector',
      1,
      'apiVersion',
      'there is no TrafficSelector in "networking.k8s.io/v1"; expected networking.gke.io/v1',
      /./,
    ],
    [
      'networking.k8s.io/v1',
      'TraficSelector',
      2,
      'kind',
      'unknown kind "TraficSelector" in networking.k8s.io/v1; did you mean TrafficSelector?',
      /./,
    ],
    ['v1', 'TrafficSelector', 1, 'apiVersion', 'there is no TrafficSelector in "v1"; expected networking.gke.io/v1', /./],
    ['v1', 'TraficSelector', 2, 'kind', 'unknown kind "TraficSelector" in v1; did you mean TrafficSelector?', /./],
    ['networking.gke.io/v1', 'Pod', 1, 'apiVersion', 'there is no Pod in "networking.gke.io/v1"; expected v1', /./],
    ['v2', 'Pod', 1, 'apiVersion', 'there is no Pod in "v2"; expected v1', /./],
    ['v1beta1', 'ConfigMap', 1, 'apiVersion', 'there is no ConfigMap in "v1beta1"; expected v1', /./],
    ['v1', 'Pdo', 2, 'kind', 'unknown kind "Pdo" in v1; did you mean Pod?', 'Write kind: Pod.'],
    ['v1', 'pod', 2, 'kind', 'unknown kind "pod" in v1; did you mean Pod?', /./],
    ['v1', 'ConfgMap', 2, 'kind', 'unknown kind "ConfgMap" in v1; did you mean ConfigMap?', /./],
    ['v1', 'Deployment', 2, 'kind', 'unknown kind "Deployment" in v1', /./],
    [
      'apps/v1',
      'deployment',
      2,
      'kind',
      '"deployment" is not a kind; expected a word such as Deployment, beginning with a capital letter',
      /./,
    ],
    ['V1', 'Pod', 1, 'apiVersion', '"V1" is not an apiVersion; expected v1', /./],
    ['apps/v1/x', 'Deployment', 1, 'apiVersion', '"apps/v1/x" is not an apiVersion; expected VERSION or GROUP/VERSION', /./],
    ['1', 'Pod', 1, 'apiVersion', '1 is not an apiVersion; expected a string', /./],
    ['v1', '[Pod]', 2, 'kind', 'a list is not a kind; expected a string', /./],
  ])('%s %s is refused', (apiVersion, kind, line, path, message, hint) => {
    const { world, problems } = of(apiVersion, kind);
    expect(problems).toMatchObject([
      { severity: 'error', document: 1, line, path, message, hint: typeof hint === 'string' ? hint : expect.stringMatching(hint) },
    ]);
    expect(Object.values(world).flat()).toEqual([]);
  });
});

describe('a document that does not say what it is', () => {
  it.each([
    ['no apiVersion', 'kind: Pod\nmetadata:\n  name: x\n', ['1 apiVersion apiVersion is missing']],
    [
      'a misspelt apiVersion',
      'apiversion: v1\nkind: Pod\nmetadata:\n  name: x\n',
      ['1 apiVersion apiVersion is missing; did you mean it by "apiversion"?'],
    ],
    ['no kind', 'apiVersion: v1\nmetadata:\n  name: x\n', ['1 kind kind is missing']],
    ['neither', 'metadata:\n  name: x\n', ['1 apiVersion apiVersion is missing', '1 kind kind is missing']],
    ['no metadata', 'apiVersion: v1\nkind: Pod\n', ['1 metadata metadata is missing; expected a mapping with name']],
    ['metadata that is text', 'apiVersion: v1\nkind: Pod\nmetadata: x\n', ['3 metadata "x" stands here; expected a mapping with name']],
    [
      'no name',
      'apiVersion: v1\nkind: Pod\nmetadata:\n  labels: {}\n',
      ['3 metadata.name name is missing; expected the name of the resource'],
    ],
    [
      'a number for a name',
      'apiVersion: v1\nkind: Pod\nmetadata:\n  name: 7\n',
      ['4 metadata.name 7 is not a name; expected a string that is not empty'],
    ],
    [
      'an empty name',
      'apiVersion: v1\nkind: Pod\nmetadata:\n  name: ""\n',
      ['4 metadata.name "" is not a name; expected a string that is not empty'],
    ],
    [
      'another kind without a name',
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: {}\n',
      ['3 metadata.name name is missing; expected the name of the resource'],
    ],
    ['text', 'hello\n', ['1  "hello" stands here; expected a resource: a mapping with apiVersion, kind and metadata']],
    ['a list', '- apiVersion: v1\n', ['1  a list stands here; expected a resource: a mapping with apiVersion, kind and metadata']],
    ['a List of nothing', 'apiVersion: v1\nkind: List\n', ['1 items a List without items; expected a list of resources']],
  ])('because there is %s', (_, text, told) => {
    const { problems, documents } = read(text);
    expect(problems.map(({ line, path, message }) => `${line} ${path} ${message}`)).toEqual(told);
    expect(documents).toBe(1);
  });

  it('is told to indent what the page has at the root', () => {
    const text = 'apiVersion: v1\nkind: Pod\nname: vpn\nnamespace: vpn\nlabels:\napp: vpn\n';
    expect(read(text).problems).toMatchObject([{ path: 'metadata', hint: 'Indent name, namespace and labels under metadata.' }]);
  });

  it('may leave its name to the server when nobody reads it here', () => {
    expect(read('apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: x-}\n').problems).toEqual([]);
  });
});

describe('a List', () => {
  const indented = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map((line, index) => (index === 0 ? `- ${line}` : `  ${line}`))
      .join('\n');
  const list = (...texts: readonly string[]) => `apiVersion: v1\nkind: List\nitems:\n${texts.map(indented).join('\n')}\n`;

  it('is its items', () => {
    const { world, problems, documents } = read(list(CHAIN, SELECTOR, POD));
    expect([problems, documents]).toEqual([[], 1]);
    expect([world.chains.length, world.selectors.length, world.pods.length]).toEqual([1, 1, 1]);
  });

  it('says in which item and line a mistake stands', () => {
    const bad = changed(SELECTOR, '443', '70000');
    const { world, problems } = read(list(POD, bad.text));
    expect(problems).toMatchObject([
      {
        line: 3 + POD.trimEnd().split('\n').length + bad.line,
        resource: 'TrafficSelector/vpn-to-firewall',
        path: 'items[1].spec.egress.ports[1].portNumber.port',
      },
    ]);
    expect([world.pods.length, world.selectors.length]).toEqual([1, 0]);
  });

  it('may be JSON, as kubectl writes it', () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'vpn', namespace: 'vpn', labels: { app: 'vpn' } },
      status: { podIP: '10.1.0.300' },
    };
    const text = JSON.stringify({ kind: 'List', apiVersion: 'v1', metadata: { resourceVersion: '' }, items: [pod] }, null, '\t');
    expect(read(text).problems).toMatchObject([
      { line: text.split('\n').findIndex((line) => line.includes('podIP')) + 1, path: 'items[0].status.podIP' },
    ]);
    expect(read(text.replace('300', '30')).world.pods).toMatchObject([{ name: 'vpn', addresses: [{ text: '10.1.0.30' }] }]);
  });
});

describe('two documents of one resource', () => {
  const files = (first: string, second: string) => read(`${first}---\n${second}`);

  it('the first counts, and the second says where that is', () => {
    const { world, problems, documents } = files(CHAIN, CHAIN.replace('3600', '60'));
    expect(documents).toBe(2);
    expect(world.chains).toMatchObject([{ affinityTimeout: 3600 }]);
    expect(problems).toMatchObject([
      {
        document: 2,
        line: CHAIN.split('\n').length + 4,
        resource: 'ServiceFunctionChain/firewall',
        path: 'metadata.name',
        message: 'ServiceFunctionChain/firewall is already defined in a.yaml line 1; that one counts',
      },
    ]);
  });

  it('the first counts even when it is bad', () => {
    const { world, problems } = files(CHAIN.replace('3600', '0'), CHAIN);
    expect(world.chains).toEqual([]);
    expect(problems.map(({ document, path }) => [document, path])).toEqual([
      [1, 'spec.sessionAffinity.clientIPNoDestination.timeoutSeconds'],
      [2, 'metadata.name'],
    ]);
  });

  it('pods of two namespaces are two', () => {
    const { world, problems } = files(POD, POD.replace('namespace: vpn', 'namespace: other'));
    expect(problems).toEqual([]);
    expect(world.pods).toHaveLength(2);
  });

  it('the namespace is default where none is written', () => {
    const { problems } = files(POD.replace('  namespace: vpn\n', ''), POD.replace('namespace: vpn', 'namespace: default'));
    expect(problems).toMatchObject([{ resource: 'Pod/default/vpn' }]);
  });
});
