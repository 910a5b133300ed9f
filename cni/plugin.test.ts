/** What the plugin reads and decides, without a runtime and an agent: those are in test/cni.root.test.ts. */

import { describe, expect, it } from 'vitest';
import type { Answer } from './agent-client.js';
import { type Ports, runCommand } from './commands.js';
import { commandOf, type Environment, readInvocation, settingsOf, versionOf } from './invocation.js';
import { sandboxOf } from './sandbox.js';
import { CNI_CODE, CniError, errorResult } from './spec.js';

const ENVIRONMENT: Environment = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: '4f1c',
  CNI_NETNS: '/run/netns/cni-1',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=vpn;K8S_POD_NAME=gateway;K8S_POD_INFRA_CONTAINER_ID=4f1c;K8S_POD_UID=8d0e',
};
/** As the bridge plugin answers; the address names the interface that it is on by its place. */
const BRIDGED = {
  cniVersion: '1.0.0',
  interfaces: [
    { name: 'cni0', mac: '02:00:00:00:00:01' },
    { name: 'veth0a', mac: '02:00:00:00:00:02' },
    { name: 'eth0', mac: '02:00:00:00:00:03', sandbox: '/run/netns/cni-1' },
  ],
  ips: [
    { address: '10.244.1.2/24', interface: 2, gateway: '10.244.1.1' },
    { address: 'fd44:1::2/64', interface: 2 },
  ],
};

const configuration = (more: object = {}) =>
  JSON.stringify({ cniVersion: '1.0.0', name: 'cbr0', type: 'sfc-cni', prevResult: BRIDGED, ...more });
const read = (environment: Environment = {}, more: object = {}) => {
  const all = { ...ENVIRONMENT, ...environment };
  const command = commandOf(all);
  if (command === 'VERSION') throw new Error('VERSION reads nothing');
  return readInvocation(command, all, configuration(more));
};

describe('a call of the plugin', () => {
  it('tells the pod, its interface on the host and its addresses', () => {
    const invocation = read();
    if (invocation.attachment === undefined) throw new Error('no attachment');
    expect(sandboxOf(invocation, invocation.attachment)).toEqual({
      pod: { namespace: 'vpn', name: 'gateway', uid: '8d0e' },
      network: 'cbr0',
      netns: '/run/netns/cni-1',
      interface: 'eth0',
      hostInterfaces: ['cni0', 'veth0a'],
      addresses: ['10.244.1.2', 'fd44:1::2'],
    });
  });

  it('takes addresses that name no interface, as Calico writes them, and not those of another one', () => {
    const prevResult = {
      interfaces: [{ name: 'cali0' }, { name: 'eth0', sandbox: '/n' }, { name: 'net1', sandbox: '/n' }],
      ips: [{ address: '10.1.0.7/32' }, { address: '10.9.9.9/24', interface: 2 }, { address: '10.2.0.1/32', interface: 0 }],
    };
    const invocation = read({}, { prevResult });
    if (invocation.attachment === undefined) throw new Error('no attachment');
    expect(sandboxOf(invocation, invocation.attachment)).toMatchObject({ hostInterfaces: ['cali0'], addresses: ['10.1.0.7'] });
  });

  it.each<[string, Environment, object, number, string]>([
    ['a command that there is not', { CNI_COMMAND: 'PLUG' }, {}, CNI_CODE.invalidEnvironment, 'CNI_COMMAND is PLUG'],
    ['no container ID', { CNI_CONTAINERID: '' }, {}, CNI_CODE.invalidEnvironment, 'CNI_CONTAINERID is missing'],
    ['a container ID that leads elsewhere', { CNI_CONTAINERID: '../x' }, {}, CNI_CODE.invalidEnvironment, '../x is no container ID'],
    ['no network namespace', { CNI_NETNS: '' }, {}, CNI_CODE.invalidEnvironment, 'CNI_NETNS is missing'],
    ['a version to come', {}, { cniVersion: '2.0.0' }, CNI_CODE.incompatibleVersion, 'cniVersion "2.0.0" is not supported'],
    ['a version before chains', {}, { cniVersion: '0.2.0' }, CNI_CODE.incompatibleVersion, 'supported are 0.3.0'],
    ['no result before it', {}, { prevResult: undefined }, CNI_CODE.invalidConfiguration, 'there is no prevResult'],
    ['no name', {}, { name: '' }, CNI_CODE.invalidConfiguration, 'the network has no name'],
    ['a wish that it does not know', {}, { whenAway: 'pray' }, CNI_CODE.invalidConfiguration, 'whenAway must be one of hold, fail, allow'],
    ['a time that is none', {}, { timeoutSeconds: 'long' }, CNI_CODE.invalidConfiguration, 'timeoutSeconds must be 0 to 120'],
    ['a socket that is no path', {}, { socket: 'x' }, CNI_CODE.invalidConfiguration, 'socket must be an absolute path'],
  ])('with %s is refused by the code of the specification', (_what, environment, more, code, words) => {
    expect(() => read(environment, more)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(words) }));
  });

  it('of DEL needs no network namespace: it may be gone', () => {
    expect(read({ CNI_COMMAND: 'DEL', CNI_NETNS: '' }, { prevResult: undefined }).attachment?.containerId).toBe('4f1c');
  });

  it('answers in the version that it was asked in', () => {
    expect(versionOf('{"cniVersion":"0.4.0"}')).toBe('0.4.0');
    expect(versionOf('no JSON')).toBe('1.1.0');
    expect(errorResult(new CniError(11, 'later', 'why'), '0.4.0')).toEqual({
      cniVersion: '0.4.0',
      code: 11,
      msg: 'sfc-cni: later',
      details: 'why',
    });
    expect(errorResult(new Error('x'), '1.0.0')).toMatchObject({ code: CNI_CODE.ioFailure, msg: 'sfc-cni: x' });
  });

  it('has its settings from the configuration, and a mark of the guard beside the socket', () => {
    expect(settingsOf({})).toMatchObject({
      socket: '/run/sfc/sfcd.sock',
      guardMark: '/run/sfc/guard',
      whenAway: 'hold',
      timeoutMs: 20_000,
    });
    expect(settingsOf({ socket: '/x/s', awaySeconds: 0.5 })).toMatchObject({ guardMark: '/x/guard', awayMs: 500 });
  });
});

describe('what becomes of it', () => {
  function agent(answers: Readonly<Record<string, Answer | undefined>>, isGuarded = false): Ports & { readonly asked: string[] } {
    const asked: string[] = [];
    return {
      asked,
      guarded: () => isGuarded,
      ask: async (method, path) => {
        asked.push(`${method} ${path}`);
        return answers[method];
      },
    };
  }
  const ok = { status: 200, body: {} };
  const pending = { status: 504, body: { code: 'SANDBOX_PENDING', message: 'map full' } };

  it('gives the previous result for ADD, and nothing for the others', async () => {
    const ports = agent({ PUT: ok, DELETE: ok, GET: { status: 200, body: { missing: '' } } });
    expect(await runCommand(read(), ports)).toEqual(BRIDGED);
    expect(await runCommand(read({ CNI_COMMAND: 'CHECK' }), ports)).toBeUndefined();
    expect(await runCommand(read({ CNI_COMMAND: 'DEL' }), ports)).toBeUndefined();
    expect(ports.asked).toEqual(['PUT', 'GET', 'DELETE'].map((method) => `${method} /v1/sandboxes/4f1c?interface=eth0`));
  });

  it.each<[string, 'hold' | 'fail' | 'allow', Answer | undefined, boolean, boolean]>([
    ['no agent, a guard', 'hold', undefined, true, true],
    ['no agent, no guard', 'hold', undefined, false, false],
    ['no agent, a guard', 'fail', undefined, true, false],
    ['no agent, no guard', 'allow', undefined, false, true],
    ['an agent that waits for something', 'hold', pending, true, false],
    ['an agent that waits for something', 'fail', pending, true, false],
    ['an agent that waits for something', 'allow', pending, false, true],
  ])('with %s, `%s`', async (_what, whenAway, answer, isGuarded, starts) => {
    const done = runCommand(read({}, { whenAway }), agent({ PUT: answer }, isGuarded));
    if (starts) expect(await done).toEqual(BRIDGED);
    else await expect(done).rejects.toMatchObject({ code: CNI_CODE.tryAgainLater });
  });

  it('asks nobody about what is no pod’s', async () => {
    const ports = agent({});
    expect(await runCommand(read({ CNI_ARGS: '' }), ports)).toEqual(BRIDGED);
    expect(ports.asked).toEqual([]);
  });

  it('deletes without an agent, and checks what steers without one', async () => {
    const away: Ports = { guarded: () => false, ask: () => Promise.reject(new CniError(11, 'it hangs')) };
    await expect(runCommand(read({ CNI_COMMAND: 'DEL' }), away)).resolves.toBeUndefined();
    await expect(runCommand(read({ CNI_COMMAND: 'CHECK' }), agent({}))).resolves.toBeUndefined();
    await expect(runCommand(read({ CNI_COMMAND: 'CHECK' }), agent({ GET: { status: 404, body: {} } }))).rejects.toMatchObject({
      code: CNI_CODE.containerUnknown,
    });
  });

  it('collects what is no longer valid in its network, and nothing of another', async () => {
    const items = [
      { id: 'a', network: 'cbr0', interface: 'eth0' },
      { id: 'b', network: 'cbr0', interface: 'eth0' },
      { id: 'c', network: 'other', interface: 'eth0' },
    ];
    const ports = agent({ GET: { status: 200, body: { items } }, DELETE: ok });
    const valid = { 'cni.dev/valid-attachments': [{ containerID: 'a', ifname: 'eth0' }], cniVersion: '1.1.0' };
    await runCommand(read({ CNI_COMMAND: 'GC' }, valid), ports);
    expect(ports.asked).toEqual(['GET /v1/sandboxes', 'DELETE /v1/sandboxes/b?interface=eth0']);
  });
});
