import { describe, expect, it } from 'vitest';
import { type Machine, missingRequirements, thisMachine, type WantedDatapath } from './requirements.js';

const able: Machine = {
  platform: 'linux',
  uid: 0,
  initialUserNamespace: true,
  kernel: '6.1.0-18-amd64',
  capabilities: 0x1ffffffffffn,
  filesystems: 'nodev\tsysfs\nnodev\tbpf\n\text4\n',
  hasProgram: () => true,
  hasFile: () => true,
  mayUse: () => true,
};

describe('the demo', () => {
  it('runs where nothing is missing', () => {
    expect(missingRequirements(able)).toEqual([]);
  });

  it('runs without root where unshare and TUN devices are to be had', () => {
    const anybody = { ...able, uid: 1000, capabilities: 0n };
    expect(missingRequirements(anybody)).toEqual([]);
    expect(missingRequirements(anybody, 'userspace')).toEqual([]);
    expect(missingRequirements({ ...able, initialUserNamespace: false })).toEqual([]);
  });

  it('needs no BPF for the userspace datapath, and none that it could not do without', () => {
    const old = { ...able, kernel: '4.19.0', filesystems: 'nodev\tsysfs\n' };
    expect(missingRequirements(old, 'userspace')).toEqual([]);
    expect(missingRequirements(old, 'auto')).toEqual([]);
  });

  it.each<[string, WantedDatapath, Partial<Machine>, string]>([
    ['another system', 'auto', { platform: 'darwin' }, 'Linux'],
    ['another user and the kernel datapath', 'kernel', { uid: 1000 }, 'sudo make demo'],
    ['another user and no unshare', 'auto', { uid: 1000, hasProgram: (name) => name !== 'unshare' }, 'apt-get install util-linux'],
    ['another user and a closed /dev/net/tun', 'auto', { uid: 1000, mayUse: () => false }, 'this user may not open'],
    ['no /dev/net/tun', 'userspace', { mayUse: () => false, hasFile: (path) => !path.endsWith('/tun') }, 'modprobe tun'],
    ['an unprivileged container', 'auto', { capabilities: 0xa80425fbn }, 'CAP_NET_ADMIN'],
    ['an old kernel', 'kernel', { kernel: '5.10.0' }, 'Linux 5.15 or later, this is 5.10.0'],
    ['a kernel without BPF', 'kernel', { filesystems: 'nodev\tsysfs\n' }, 'no BPF file system'],
    ['a missing program', 'auto', { hasProgram: (name) => name !== 'nft' }, 'nft not found (apt-get install nftables)'],
    ['an unbuilt tree', 'auto', { hasFile: (path) => !path.endsWith('agent/main.js') }, 'make build'],
  ])('says why not, for %s, in one line', (_, datapath, differs, words) => {
    const missing = missingRequirements({ ...able, ...differs }, datapath);
    expect(missing.join('; ')).toContain(words);
    expect(missing.join('; ')).not.toContain('\n');
  });

  it('needs a kernel with IPv6 where it is to speak it', () => {
    const without = { ...able, hasFile: (path: string) => path !== '/proc/sys/net/ipv6' };
    expect(missingRequirements(without)).toEqual([]);
    expect(missingRequirements(without, 'auto', true).join('; ')).toContain('no IPv6');
    expect(missingRequirements(able, 'auto', true)).toEqual([]);
  });

  it('looks at this machine without failing', () => {
    expect(thisMachine().kernel).toMatch(/^\d+\.\d+/);
    expect(thisMachine().hasProgram('no-such-program-anywhere')).toBe(false);
    expect(thisMachine().hasProgram('node')).toBe(true);
  });
});
