/** The benchmarks still run: a quick pass of each. Figures are not judged here; they depend on the machine. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROJECT } from '../demo/project.js';

const bench = (...args: string[]) => execFileSync(process.execPath, [join(PROJECT, 'dist/bench/main.js'), ...args], { encoding: 'utf8' });

describe('the benchmarks', () => {
  it('measure packets at every number of selectors, beside the floor', () => {
    const text = bench('--quick', 'packets');
    for (const version of ['IPv4', 'IPv6']) {
      for (const name of ['no match', 'first packet', 'established', 'decapsulation', 'uplink: other', 'uplink: answer']) {
        expect(text).toMatch(new RegExp(`${name}, ${version}( +-?\\d+ \\(-?\\d+–-?\\d+\\)){3}`));
      }
      expect(text).toMatch(new RegExp(`established ÷ add, ${version}( +-?\\d+\\.\\d\\d){3}`));
    }
  });

  it('measure throughput every way', () => {
    const text = bench('--quick', 'throughput');
    for (const way of ['direct', 'detour', 'kernel', 'userspace', 'packets']) {
      expect(Number(new RegExp(`${way} +(\\d+\\.\\d\\d) Gbit/s`).exec(text)?.[1])).toBeGreaterThan(0);
      expect(Number(new RegExp(`${way} .* (\\d+) k/s`).exec(text)?.[1])).toBeGreaterThan(0);
    }
  });

  it('measure how long pods are held, and that nothing passes by the chain', () => {
    const text = bench('--quick', 'starts');
    expect(text).toMatch(/packets at the server +[1-9]\d* by the chain, 0 past it/);
    expect(text).toMatch(/pods that got nothing out +0$/m);
    expect(text).toMatch(/all +\d+ ms +\d+ ms/);
  });

  it('measure the memory of an agent', () => {
    expect(bench('--quick', 'memory')).toMatch(/resident +\d+ MiB, of which \d+ MiB are its own/);
  });
});
