import { describe, expect, it } from 'vitest';
import type { Datapath } from '../../datapath/index.js';
import { type ErrorCode, SfcError } from '../../errors/index.js';
import { chooseDatapath } from './choice.js';

const opens = (kind: 'kernel' | 'userspace') => () => ({ kind }) as Datapath;
const refuses = (code: ErrorCode, words: string) => (): Datapath => {
  throw new SfcError(code, words);
};
const mustNotOpen = (): Datapath => {
  throw new Error('nobody asked for this one');
};

describe('the datapath', () => {
  it('is the kernel’s wherever the kernel takes it', () => {
    const { datapath, chosen } = chooseDatapath('auto', { kernel: opens('kernel'), userspace: mustNotOpen });
    expect([datapath.kind, chosen]).toEqual(['kernel', 'auto: this kernel takes BPF programs']);
  });

  it.each<[ErrorCode, string]>([
    ['BPF_UNAVAILABLE', 'bpf(2): EPERM'],
    ['BPF_LOAD', 'the verifier refuses sfc_from_pod\nline 1\nline 2'],
  ])('is the userspace one after %s, and says why in one line', (code, words) => {
    const { datapath, chosen } = chooseDatapath('auto', { kernel: refuses(code, words), userspace: opens('userspace') });
    expect([datapath.kind, chosen]).toEqual(['userspace', `auto: no BPF here (${words.split('\n')[0]})`]);
  });

  it.each<ErrorCode>(['PINNED_STATE', 'ALREADY_RUNNING', 'COMMAND_FAILED'])('does not evade %s', (code) => {
    const choose = () => chooseDatapath('auto', { kernel: refuses(code, 'words'), userspace: mustNotOpen });
    expect(choose).toThrow(expect.objectContaining({ code }));
  });

  it('names both reasons when neither can be had', () => {
    const neither = { kernel: refuses('BPF_UNAVAILABLE', 'no BPF'), userspace: refuses('USERSPACE_UNAVAILABLE', 'no TUN') };
    expect(() => chooseDatapath('auto', neither)).toThrow('no datapath can be had: kernel: no BPF; userspace: no TUN');
  });

  it('is the configured one, or none', () => {
    expect(chooseDatapath('userspace', { kernel: mustNotOpen, userspace: opens('userspace') }).chosen).toBe('configured');
    expect(() => chooseDatapath('kernel', { kernel: refuses('BPF_UNAVAILABLE', 'no BPF'), userspace: mustNotOpen })).toThrow('no BPF');
  });
});
