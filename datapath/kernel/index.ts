export { type AttachMethod, hasTcx } from './attach.js';
export { checkLayouts, layoutDifferences } from './layout-check.js';
export { hasPinnedState, type KernelDatapath, type KernelOptions, openKernelDatapath } from './open.js';
export { type PreparedRun, prepareRun, type TestRun, testRun } from './test-run.js';
