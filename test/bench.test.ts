/** The benchmarks that need no root still run: a quick pass of each. Figures are not judged here; they depend on the machine. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROJECT } from '../demo/project.js';

const bench = (name: string) =>
  execFileSync(process.execPath, [join(PROJECT, 'dist/bench/main.js'), '--quick', name], { encoding: 'utf8' });

describe('the benchmarks', () => {
  it('measure the matcher beside its rivals, which all find the same', () => {
    const text = bench('matcher');
    for (const family of ['IPv4', 'IPv6']) expect(text).toMatch(new RegExp(`${family} entries +1 +100\n`));
    for (const rival of ['sfc', 'linear scan', 'arkime-iptrie', 'longest-prefix-match']) {
      for (const traffic of ['uniform', 'skewed']) expect(text).toMatch(new RegExp(`${traffic}, ${rival}( +\\d+ \\(\\d+\\.\\d\\d\\)){2}`));
      expect(text).toMatch(new RegExp(`insertion, ${rival}( +\\d+\\.\\d+ s){2}`));
    }
  });

  it('measure the pipeline at every number of selectors and flows', () => {
    const text = bench('pipeline');
    for (const name of ['floor', 'no match', 'first packet', 'established', 'decapsulation']) {
      expect(text).toMatch(new RegExp(`${name}( +\\d+ \\(\\d+–\\d+\\)){6}`));
      expect(text).toMatch(new RegExp(`${name}( +\\d+){6}\n?`));
    }
  });
});
