/**
 * A runtime's directory as its owners have it, with `sfc-cni` put in, taken out, and put back when an owner writes anew.
 * The texts are those that the owners install (Flannel's ConfigMap, containerd's example), shortened.
 */

import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PluginEntry, withoutPlugin, withPlugin } from './configuration.js';
import { putConfiguration, takeConfiguration } from './directory.js';
import { type Keeper, keepInstalled, pauseAfter } from './keeper.js';

const ENTRY: PluginEntry = { type: 'sfc-cni', socket: '/run/sfc/sfcd.sock', whenAway: 'hold' };
const FLANNEL = JSON.stringify({
  name: 'cbr0',
  cniVersion: '0.3.1',
  plugins: [
    { type: 'flannel', delegate: { hairpinMode: true, isDefaultGateway: true } },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
});
const BRIDGE = JSON.stringify({ cniVersion: '0.4.0', name: 'net', type: 'bridge', bridge: 'cni0', ipam: { type: 'host-local' } });

const typesOf = (text: string) => (JSON.parse(text) as { plugins: { type: string }[] }).plugins.map(({ type }) => type);

describe('a network configuration', () => {
  it('has the plugin at its end, once, and everything else as it was', () => {
    const text = withPlugin(FLANNEL, ENTRY) ?? '';
    expect(JSON.parse(text)).toEqual({ ...JSON.parse(FLANNEL), plugins: [...JSON.parse(FLANNEL).plugins, ENTRY] });
    expect(withPlugin(text, ENTRY)).toBeUndefined();
    expect(JSON.parse(withoutPlugin(text) ?? '')).toEqual(JSON.parse(FLANNEL));
    expect(withoutPlugin(FLANNEL)).toBeUndefined();
  });

  it('has it anew where it says something else, or stands elsewhere', () => {
    const other = withPlugin(FLANNEL, { ...ENTRY, whenAway: 'fail' }) ?? '';
    expect(JSON.parse(withPlugin(other, ENTRY) ?? '').plugins.at(-1)).toEqual(ENTRY);
    const first = JSON.stringify({ ...JSON.parse(FLANNEL), plugins: [ENTRY, ENTRY, ...JSON.parse(FLANNEL).plugins] });
    expect(typesOf(withPlugin(first, ENTRY) ?? '')).toEqual(['flannel', 'portmap', 'sfc-cni']);
  });

  it('of one plugin becomes a list', () => {
    const { cniVersion, name, ...bridge } = JSON.parse(BRIDGE);
    expect(JSON.parse(withPlugin(BRIDGE, ENTRY) ?? '')).toEqual({ cniVersion, name, plugins: [bridge, ENTRY] });
  });

  it.each([
    ['no JSON', '{', 'it is no JSON'],
    ['no version', JSON.stringify({ name: 'x', plugins: [{ type: 'bridge' }] }), 'names no cniVersion'],
    ['a version without chains', JSON.stringify({ cniVersion: '0.2.0', name: 'x', type: 'bridge' }), 'is of version "0.2.0"'],
    ['nothing but ours', JSON.stringify({ cniVersion: '1.0.0', name: 'x', plugins: [ENTRY] }), 'no plugin that makes an interface'],
    ['plugins that are no list', JSON.stringify({ cniVersion: '1.0.0', name: 'x', plugins: {} }), 'its plugins are no list'],
  ])('with %s is refused, and says so', (_what, text, words) => {
    expect(() => withPlugin(text, ENTRY)).toThrow(
      expect.objectContaining({ code: 'CNI_INSTALL', message: expect.stringContaining(words) }),
    );
  });
});

describe('the directory', () => {
  let directory: string;
  let keeper: Keeper | undefined;
  const path = (name: string) => join(directory, name);
  const read = (name: string) => readFileSync(path(name), 'utf8');

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'sfc-cni-'));
  });
  afterEach(async () => {
    await keeper?.close();
    keeper = undefined;
    rmSync(directory, { recursive: true, force: true });
  });

  it('without a configuration is waited for', () => {
    writeFileSync(path('README'), '');
    expect(putConfiguration(directory, ENTRY)).toEqual({ file: undefined, changed: false });
    expect(putConfiguration(path('none'), ENTRY)).toEqual({ file: undefined, changed: false });
  });

  it('has it in the first by name, which the runtime takes, and there alone', () => {
    writeFileSync(path('10-flannel.conflist'), FLANNEL, { mode: 0o600 });
    writeFileSync(path('20-bridge.conf'), BRIDGE);
    expect(putConfiguration(directory, ENTRY)).toEqual({ file: path('10-flannel.conflist'), changed: true });
    expect(putConfiguration(directory, ENTRY)).toEqual({ file: path('10-flannel.conflist'), changed: false });
    expect(typesOf(read('10-flannel.conflist'))).toEqual(['flannel', 'portmap', 'sfc-cni']);
    expect(read('20-bridge.conf')).toBe(BRIDGE);
    expect(takeConfiguration(directory)).toEqual([path('10-flannel.conflist')]);
    expect(JSON.parse(read('10-flannel.conflist'))).toEqual(JSON.parse(FLANNEL));
    expect(readdirSync(directory).sort()).toEqual(['10-flannel.conflist', '20-bridge.conf']);
  });

  it('has a list in place of a single plugin, until it goes', () => {
    writeFileSync(path('10-bridge.conf'), BRIDGE);
    expect(putConfiguration(directory, ENTRY)).toEqual({ file: path('10-bridge.conflist'), changed: true });
    expect(readdirSync(directory).sort()).toEqual(['10-bridge.conf.before-sfc-cni', '10-bridge.conflist']);
    expect(typesOf(read('10-bridge.conflist'))).toEqual(['bridge', 'sfc-cni']);
    // Its owner writes it again: it is the first once more.
    writeFileSync(path('10-bridge.conf'), BRIDGE.replace('cni0', 'cni1'));
    expect(putConfiguration(directory, ENTRY).changed).toBe(true);
    expect(read('10-bridge.conflist')).toContain('cni1');
    expect(takeConfiguration(directory)).toEqual([path('10-bridge.conflist')]);
    expect(readdirSync(directory)).toEqual(['10-bridge.conf']);
    expect(read('10-bridge.conf')).toContain('cni1');
  });

  it('names the file that cannot be a chain', () => {
    writeFileSync(path('10-broken.conflist'), '{');
    expect(() => putConfiguration(directory, ENTRY)).toThrow(/10-broken\.conflist: it is no JSON/);
  });

  it('has it again when its owner has written its own', async () => {
    const put: string[] = [];
    const troubles: string[] = [];
    keeper = keepInstalled({
      directory,
      put: () => {
        const { file, changed } = putConfiguration(directory, ENTRY);
        return changed ? String(file) : '';
      },
      onPut: (what) => put.push(what),
      onTrouble: (message) => troubles.push(message),
    });
    const has = () => existsSync(path('10-flannel.conflist')) && typesOf(read('10-flannel.conflist')).includes('sfc-cni');
    for (const count of [1, 2, 3]) {
      writeFileSync(path('.draft'), FLANNEL);
      renameSync(path('.draft'), path('10-flannel.conflist'));
      await expect.poll(() => [put.length, has()], { timeout: 10_000 }).toEqual([count, true]);
    }
    writeFileSync(path('10-flannel.conflist'), '{');
    await expect.poll(() => troubles.length, { timeout: 10_000 }).toBe(1);
    expect(troubles[0]).toContain('it is no JSON');
    writeFileSync(path('10-flannel.conflist'), FLANNEL);
    await expect.poll(() => [put.length, troubles.at(-1)], { timeout: 10_000 }).toEqual([4, '']);
  });

  it('is left alone for longer the oftener somebody takes it away', () => {
    expect(pauseAfter([], 0)).toBe(50);
    expect(pauseAfter([0, 1, 2, 3], 4)).toBe(50);
    expect(pauseAfter([0, 1, 2, 3, 4], 5)).toBe(1000);
    expect(pauseAfter([0, 1, 2, 3, 4, 5, 6], 7)).toBe(4000);
    expect(
      pauseAfter(
        Array.from({ length: 32 }, () => 0),
        1,
      ),
    ).toBe(60_000);
    expect(pauseAfter([0, 1, 2, 3, 4, 5, 6], 70_000)).toBe(50);
  });
});
