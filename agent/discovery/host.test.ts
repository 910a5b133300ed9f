import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

import { describe, expect, it, vi } from 'vitest';
import { hostDiscovery, type RunCommand, runCommand } from './host.js';
import { startMonitor } from './monitor.js';
import type { Link } from './tables.js';

describe('discovery without a host', () => {
  const answers: Record<string, string> = {
    'ip -j -d link': JSON.stringify([
      { ifindex: 3, ifname: 'cni0', mtu: 1500, linkinfo: { info_kind: 'bridge' } },
      { ifindex: 4, ifname: 'veth-px', mtu: 1400, master: 'cni0', linkinfo: { info_kind: 'veth' } },
    ]),
    'ip -j route show table main': JSON.stringify([{ dst: '10.1.2.0/24', dev: 'cni0' }]),
    'ip -j neigh': '',
    'bridge -j fdb': JSON.stringify([{ mac: 'aa:aa:aa:aa:aa:aa', ifname: 'veth-px', flags: [], master: 'cni0', state: '' }]),
  };

  it('makes the kernel ask for an unknown neighbour and finds the pod when it answers', async () => {
    const asked: string[] = [];
    const table = { ...answers };
    const run: RunCommand = async (command, args) => {
      const line = [command, ...args].join(' ');
      if (!line.startsWith('ip neigh')) return table[line] ?? '';
      asked.push(line);
      table['ip -j neigh'] = JSON.stringify([{ dst: '10.1.2.20', dev: 'cni0', lladdr: 'aa:aa:aa:aa:aa:aa', state: ['REACHABLE'] }]);
      return '';
    };
    const { locations } = await hostDiscovery(run, async () => undefined).locateAll(['10.1.2.20']);
    expect(asked).toEqual(['ip neigh replace 10.1.2.20 dev cni0 use']);
    expect(locations.get('10.1.2.20')).toEqual({ kind: 'found', ifindex: 4, ifname: 'veth-px', mtu: 1400 });
  });

  it('gives up after a few tries on a pod that does not answer, and says so', async () => {
    const waits: number[] = [];
    const run: RunCommand = async (command, args) => answers[[command, ...args].join(' ')] ?? '';
    const { locations } = await hostDiscovery(run, async (ms) => void waits.push(ms)).locateAll(['10.1.2.20']);
    expect(waits).toEqual([5, 15]);
    expect(locations.get('10.1.2.20')).toMatchObject({ kind: 'unresolved', missing: 'neighbour' });
  });

  it('asks inside pods only by a name of their namespace, a few of those it knows again, and takes a refusal for silence', async () => {
    const asked: string[] = [];
    const run: RunCommand = async (_, args) => {
      asked.push(args.join(' '));
      if (args.includes('list-id')) return JSON.stringify([{ nsid: 1 }, { nsid: 2, name: 'broken' }, { nsid: 3, name: 'pod' }]);
      if (args.includes('broken')) throw new Error('gone');
      return JSON.stringify(Array.from({ length: 20 }, (_, index) => ({ ifindex: index, ifname: `eth${index}`, mtu: 1000 + index })));
    };
    const link = (ifindex: number, netnsid: number): Link => ({
      ifindex,
      ifname: `v${ifindex}`,
      kind: 'veth',
      ethernet: true,
      mtu: 1500,
      master: '',
      peer: { netnsid, ifindex },
    });
    const { insideMtus } = hostDiscovery(run, async () => undefined);
    expect(await insideMtus([link(1, 1), link(2, 2), link(3, 3), { ...link(4, 3), peer: undefined }])).toEqual(new Map([[3, 1003]]));
    const many = Array.from({ length: 10 }, (_, index) => link(index + 5, 3));
    expect((await insideMtus(many)).size).toBe(10);
    asked.length = 0;
    for (let round = 0; round < 5; round++) await insideMtus(many);
    expect(asked.filter((line) => line.includes('-n pod'))).toHaveLength(20);
  });

  it('names the command that failed and its own words', async () => {
    await expect(runCommand('ip', ['-j', 'link', 'show', 'dev', 'no-such-dev'])).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: expect.stringContaining('no-such-dev'),
    });
  });
});

describe('the monitor', () => {
  it('starts its child again when it dies, later each time', async () => {
    const delays: number[] = [];
    const monitor = startMonitor(
      () => undefined,
      (_message, delay) => delays.push(delay),
      ['false'],
    );
    await vi.waitFor(() => expect(delays.slice(0, 2)).toEqual([200, 400]), { timeout: 10_000 });
    monitor.stop();
  });

  it('says what is wrong when the command is missing', async () => {
    const messages: string[] = [];
    const monitor = startMonitor(
      () => undefined,
      (message) => messages.push(message),
      ['/no-such-command'],
    );
    await vi.waitFor(() => expect(messages[0]).toContain('ENOENT'), { timeout: 10_000 });
    monitor.stop();
  });

  it('does not outlive an agent that was killed', async () => {
    const script = `
      import { runnerImport } from 'vite';
      const { module } = await runnerImport('${new URL('./monitor.ts', import.meta.url).pathname}');
      module.startMonitor(() => undefined, () => undefined);
      console.log('started');`;
    const agent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const commandOf = (pid: string) => (existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '');
    let monitor = '';
    await vi.waitFor(
      () => {
        const children = readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8').trim().split(' ');
        monitor = children.find((pid) => commandOf(pid).startsWith('ip\0')) ?? '';
        expect(monitor).not.toBe('');
      },
      { timeout: 20_000 },
    );
    agent.kill('SIGKILL');
    await vi.waitFor(() => expect(commandOf(monitor)).toBe(''), { timeout: 10_000 });
  }, 40_000);
});
