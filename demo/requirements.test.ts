import { describe, expect, it } from 'vitest';
import { type Machine, missingRequirements, thisMachine } from './requirements.js';

const able: Machine = {
  platform: 'linux',
  uid: 0,
  kernel: '6.1.0-18-amd64',
  capabilities: 0x1ffffffffffn,
  filesystems: 'nodev\tsysfs\nnodev\tbpf\n\text4\n',
  hasProgram: () => true,
  hasFile: () => true,
};

describe('the demo', () => {
  it('runs where nothing is missing', () => {
    expect(missingRequirements(able)).toEqual([]);
  });

  it.each<[string, Partial<Machine>, string]>([
    ['another system', { platform: 'darwin' }, 'Linux'],
    ['another user', { uid: 1000 }, 'sudo make demo'],
    ['an unprivileged container', { capabilities: 0xa80425fbn }, 'CAP_NET_ADMIN'],
    ['an old kernel', { kernel: '5.10.0' }, 'Linux 5.15 or later, this is 5.10.0'],
    ['a kernel without BPF', { filesystems: 'nodev\tsysfs\n' }, 'no BPF file system'],
    ['a missing program', { hasProgram: (name) => name !== 'nft' }, 'nft not found (apt-get install nftables)'],
    ['an unbuilt tree', { hasFile: (path) => !path.endsWith('agent/main.js') }, 'make build'],
  ])('says why not, for %s, in one line', (_, differs, words) => {
    const missing = missingRequirements({ ...able, ...differs });
    expect(missing.join('; ')).toContain(words);
    expect(missing.join('; ')).not.toContain('\n');
  });

  it('looks at this machine without failing', () => {
    expect(thisMachine().kernel).toMatch(/^\d+\.\d+/);
    expect(thisMachine().hasProgram('no-such-program-anywhere')).toBe(false);
    expect(thisMachine().hasProgram('node')).toBe(true);
  });
});
