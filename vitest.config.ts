import { configDefaults, defineConfig } from 'vitest/config';
import { missingCapabilities, PRIVILEGED_TESTS } from './tools/privileges.js';

/** Minutes of real time each: they wait for time-outs, kills and restarts. `make test-long` runs them and nothing else. */
const LONG_TESTS = '**/*.long.root.test.ts';
const long = process.env.SFC_LONG === '1';
/** They need the programs of Kubernetes, which are built first. `make test-kube` runs them and nothing else. */
const KUBE_TESTS = '**/*.kube.test.ts';
const kube = process.env.SFC_KUBE === '1';

export default defineConfig({
  test: {
    include: [kube ? KUBE_TESTS : long ? LONG_TESTS : '**/*.test.ts'],
    exclude: [
      ...configDefaults.exclude,
      'dist/**',
      ...(long ? [] : [LONG_TESTS]),
      ...(kube ? [] : [KUBE_TESTS]),
      ...(missingCapabilities().length > 0 ? [PRIVILEGED_TESTS] : []),
    ],
    // Without root the long ones are left out, and said to be.
    passWithNoTests: long && missingCapabilities().length > 0,
    // Real namespaces, real programs: generous, so that a slow machine is no failure.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // One after the other and all in one process: most tests share one cluster, which is taken away after the last.
    fileParallelism: !kube,
    isolate: !kube,
    globalSetup: kube ? ['test/kube/shared-teardown.ts'] : [],
    reporters: ['default', './tools/summary-reporter.ts'],
  },
});
