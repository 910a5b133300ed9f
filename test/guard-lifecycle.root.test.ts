/** The guard itself: put in place, taken away by others and by command, not to be had, and what is counted without it. */

import { readFile, realpath } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AGENT_PROGRAM } from '../demo/project.js';
import { Starts } from '../demo/starts.js';
import { inNamespace, nodeNamed, run, startInNamespace } from '../demo/testbed/index.js';
import { ERRORS } from '../errors/index.js';

describe('the guard', () => {
  let starts: Starts;

  beforeAll(async () => {
    starts = await Starts.open({ prefix: `sfcgl${process.pid}`, attachment: 'routed' });
  }, 120_000);

  afterAll(async () => {
    await starts?.close();
  }, 60_000);

  const node = () => nodeNamed(starts.bed, 'node1').namespace;
  const arrives = (id: number) => expect.poll(() => starts.hasArrived(id), { timeout: 20_000 }).toBe(true);

  function commandLine(...flags: readonly string[]): readonly string[] {
    const { runDirectory, stateDirectory, socket } = starts.cluster.paths('node1');
    const given = {
      'node-name': 'node1',
      manifests: starts.cluster.manifests,
      'run-dir': runDirectory,
      'state-dir': stateDirectory,
      socket,
    };
    const allocations = ['--allocations', `${starts.bed.directory}/allocations.json`];
    return [
      process.execPath,
      AGENT_PROGRAM,
      ...Object.entries(given).flatMap(([flag, value]) => [`--${flag}`, value]),
      ...allocations,
      ...flags,
    ];
  }

  /** Runs `sfcd` on the node, to its end. */
  const sfcd = (...flags: readonly string[]) =>
    inNamespace(node(), commandLine(...flags), { accept: [0, ERRORS.GUARD_UNAVAILABLE.exit], timeout: 20_000 });

  /** The same where there is no libnftables, for as long as it runs. */
  async function withoutNftables(...flags: readonly string[]): Promise<readonly string[]> {
    const listed = (await run(['ldconfig', '-p'])).stdout;
    const library = await realpath(/libnftables\.so\.1 .*=> (\S+)/.exec(listed)?.[1] ?? '');
    const script = `mount --bind /dev/null ${library} && exec "$@"`;
    return ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', script, 'sh', ...commandLine(...flags)];
  }

  /** Interfaces in a set of the guard, by name; undefined: there is no guard. */
  async function listed(set: string): Promise<readonly string[] | undefined> {
    const { stdout, status } = await inNamespace(node(), ['nft', 'list', 'set', 'inet', 'sfc_guard', set], { accept: [0, 1] });
    return status === 0 ? [...stdout.matchAll(/"([^"]+)"/g)].map(([, name]) => name ?? '') : undefined;
  }

  async function heldPackets(): Promise<number> {
    const { stdout } = await inNamespace(node(), ['nft', 'list', 'counter', 'inet', 'sfc_guard', 'from_pod']);
    return Number(/packets (\d+)/.exec(stdout)?.[1]);
  }

  it('is there again after somebody has flushed the rules, and what was settled still is', async () => {
    await Promise.all([starts.announce(1), starts.create(1)]);
    await arrives(1);
    await inNamespace(node(), ['nft', 'flush', 'ruleset']);
    expect(await listed('settled')).toBeUndefined();
    // Whatever happens on the host makes the agent look.
    await inNamespace(node(), ['ip', 'link', 'add', 'any', 'type', 'bridge']);
    await expect.poll(() => listed('settled'), { timeout: 20_000 }).toEqual(expect.arrayContaining(['eth0', 's1']));
    await Promise.all([starts.announce(2), starts.create(2)]);
    await arrives(2);
    for (const id of [1, 2]) {
      await starts.destroy(id);
      await starts.withdraw(id);
    }
  }, 60_000);

  it('goes with everything else at `sfcd --remove`', async () => {
    const agent = starts.cluster.agent('node1');
    await agent.stop();
    expect(await listed('settled')).toContain('eth0');
    await sfcd('--remove');
    expect(await listed('settled')).toBeUndefined();
    expect((await inNamespace(node(), ['nft', 'list', 'ruleset'])).stdout).toBe('');
  }, 60_000);

  it('holds pods before there is an agent, after `sfcd --hold`, and leaves the way out of the node alone', async () => {
    const { unsteered } = await starts.judged();
    await sfcd('--hold');
    expect(await listed('settled')).toEqual(['eth0']);
    await Promise.all([starts.announce(3), starts.create(3)]);
    await expect.poll(heldPackets, { timeout: 20_000 }).toBeGreaterThan(20);
    starts.cluster.startAgent('node1');
    await arrives(3);
    expect(await starts.judged()).toMatchObject({ unsteered });
    expect((await starts.cluster.status('node1')).guard).toMatchObject({ state: 'on', unsteered: 0 });
    await starts.destroy(3);
    await starts.withdraw(3);
  }, 60_000);

  it('is said to be unavailable where there are no nftables, and everything else goes on', async () => {
    await starts.cluster.agent('node1').stop();
    const agent = startInNamespace(node(), await withoutNftables());
    try {
      await expect.poll(async () => (await starts.cluster.status('node1').catch(() => undefined))?.ready, { timeout: 20_000 }).toBe(true);
      const { guard } = await starts.cluster.status('node1');
      expect(guard).toMatchObject({ state: 'unavailable', why: expect.stringContaining('libnftables.so.1') });
      expect(await starts.cluster.sfc('node1', 'status')).toMatch(/^guard +unavailable: libnftables/m);
    } finally {
      await agent.stop();
    }
  }, 60_000);

  it('is asked for in vain where it is required: the agent does not start', async () => {
    const { status, stdout } = await inNamespace(node(), await withoutNftables('--guard', 'required'), {
      accept: [ERRORS.GUARD_UNAVAILABLE.exit],
      timeout: 20_000,
    });
    expect(status).toBe(ERRORS.GUARD_UNAVAILABLE.exit);
    expect(stdout).toContain('GUARD_UNAVAILABLE');
  }, 60_000);
});

describe('without the guard', () => {
  it('packets of a starting pod pass by its chain: at the server, and in the node’s own count', async () => {
    const starts = await Starts.open({ prefix: `sfcgo${process.pid}`, attachment: 'routed', flags: ['--guard', 'off'] });
    try {
      await starts.create(1);
      await expect.poll(async () => (await starts.judged()).unsteered, { timeout: 20_000 }).toBeGreaterThan(20);
      await starts.announce(1);
      await expect.poll(async () => (await starts.judged()).steered, { timeout: 20_000 }).toBeGreaterThan(5);
      const { guard } = await starts.cluster.status('node1');
      expect(guard).toMatchObject({ state: 'off', settled: 0, holding: [] });
      expect(guard.unsteered).toBeGreaterThan(20);
      expect(await readFile(starts.cluster.paths('node1').log, 'utf8')).toContain('had left before its programs were there');
      await starts.destroy(1);
    } finally {
      await starts.close();
    }
  }, 90_000);
});
