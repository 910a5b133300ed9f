import { describe, expect, it } from 'vitest';
import type { DirectoryContent } from './files.js';
import { manifestReader } from './manifests.js';

const chain = (name: string, timeout: number) => `apiVersion: networking.gke.io/v1
kind: ServiceFunctionChain
metadata: {name: ${name}}
spec:
  sessionAffinity: {clientIPNoDestination: {timeoutSeconds: ${timeout}}}
  serviceFunctions: [{name: ${name}, namespace: ${name}, podSelector: {matchLabels: {app: ${name}}}}]
`;
const selector = (from: string, to: string) => `apiVersion: networking.gke.io/v1
kind: TrafficSelector
metadata: {name: ${from}-to-${to}}
spec:
  serviceFunctionChain: ${to}
  subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: ${from}}}}}
  egress: {ports: [allPorts: {protocol: TCP}]}
`;
const pod = (app: string) => `apiVersion: v1
kind: Pod
metadata: {name: ${app}, namespace: ${app}, labels: {app: ${app}}}
spec: {nodeName: node-one}
status: {podIP: 10.1.0.10}
`;

function content(texts: Readonly<Record<string, string>>, skipped: DirectoryContent['skipped'] = []): DirectoryContent {
  return { files: Object.entries(texts).map(([file, text]) => ({ file, text })), skipped, hash: '' };
}

describe('the manifest reader', () => {
  it('reads what is good beside what is bad', () => {
    const { world, problems, documents } = manifestReader().read(content({ '/m/a.yaml': `${chain('a', 60)}---\n${chain('b', 0)}` }));
    expect([world.chains.map(({ name }) => name), documents]).toEqual([['a'], 2]);
    expect(problems).toMatchObject([{ severity: 'error', file: '/m/a.yaml', document: 2, resource: 'ServiceFunctionChain/b' }]);
  });

  it('remembers the last good version of what turns bad, or can no longer be read', () => {
    const reader = manifestReader();
    reader.read(content({ '/m/a.yaml': chain('a', 60), '/m/b.yaml': chain('b', 60) }));
    const { world, problems } = reader.read(
      content({ '/m/a.yaml': chain('a', 0) }, [{ file: '/m/b.yaml', message: 'not read: too large' }]),
    );
    expect(world.chains.map(({ name, affinityTimeout }) => [name, affinityTimeout])).toEqual([
      ['a', 60],
      ['b', 60],
    ]);
    expect(problems.map(({ file, message }) => [file, message])).toEqual([
      ['/m/a.yaml', '0 is not a timeout; expected an integer from 1 to 86400 (the last good version stays in force)'],
      ['/m/b.yaml', 'not read: too large (the last good version of ServiceFunctionChain/b stays in force)'],
    ]);
    expect(reader.read(content({})).world.chains).toEqual([]);
  });

  it('names a ring of chains', () => {
    const texts = [chain('a', 1), chain('b', 1), pod('a'), pod('b'), selector('a', 'b'), selector('b', 'a')];
    const { problems } = manifestReader().read(content({ '/m/a.yaml': texts.join('---\n') }));
    expect(problems).toMatchObject([{ severity: 'warning', message: 'chains lead in a ring: a -> b -> a' }]);
  });

  it('forgets nothing of one directory in another', () => {
    const [one, other] = [manifestReader(), manifestReader()];
    one.read(content({ '/m/a.yaml': chain('a', 60) }));
    expect(other.read(content({ '/m/a.yaml': chain('a', 0) })).world.chains).toEqual([]);
  });

  it('knows where a resource stands, for problems that only the whole shows', () => {
    const { locate } = manifestReader().read(content({ '/m/a.yaml': `${pod('a')}---\n${selector('a', 'nowhere')}` }));
    const problem = { severity: 'error', file: '', document: 0, line: 0, message: 'no such chain', hint: '' } as const;
    const place = { resource: 'TrafficSelector/a-to-nowhere', path: 'spec.serviceFunctionChain' };
    expect(locate({ ...problem, ...place })).toMatchObject({ file: '/m/a.yaml', document: 2, line: 11 });
    const elsewhere = { ...problem, resource: 'TrafficSelector/of-nobody', path: '' };
    expect(locate(elsewhere)).toEqual(elsewhere);
  });
});
