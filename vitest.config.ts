import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', 'dist/**'],
    // Real namespaces, real programs: generous, so that a slow machine is no failure.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default', './tools/summary-reporter.ts'],
  },
});
