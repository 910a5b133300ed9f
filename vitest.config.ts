import { configDefaults, defineConfig } from 'vitest/config';
import { missingCapabilities, PRIVILEGED_TESTS } from './tools/privileges.js';

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: [...configDefaults.exclude, 'dist/**', ...(missingCapabilities().length > 0 ? [PRIVILEGED_TESTS] : [])],
    // Real namespaces, real programs: generous, so that a slow machine is no failure.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default', './tools/summary-reporter.ts'],
  },
});
