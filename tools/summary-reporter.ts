/** Closes a test run with one plain line: `N passed, N failed, N skipped`, and says what was left out and why. */

import { readdirSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';
import { isPrivilegedTest, missingCapabilities } from './privileges.js';

const LEFT_OUT = new Set(['node_modules', 'dist', '.git']);

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) {
      if (module.state() === 'failed' && module.children.size === 0) count.failed += 1; // did not even load
      for (const test of module.children.allTests()) count[test.result().state] += 1;
    }
    const missing = missingCapabilities();
    if (missing.length > 0) {
      const folders = readdirSync('.', { withFileTypes: true }).filter((entry) => entry.isDirectory() && !LEFT_OUT.has(entry.name));
      const files = folders.flatMap(({ name }) => readdirSync(name, { recursive: true, encoding: 'utf8' })).filter(isPrivilegedTest).length;
      process.stdout.write(`left out: ${files} files of tests that need root (${missing.join(', ')}); run \`make test\` as root\n`);
    }
    process.stdout.write(`${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped\n`);
  }
}
