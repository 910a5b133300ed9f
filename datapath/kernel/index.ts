export type { AttachMethod } from './attach.js';
export { checkLayouts, layoutDifferences } from './layout-check.js';
export { hasPinnedState, type KernelDatapath, type KernelOptions, openKernelDatapath } from './open.js';
export type { AttachOrder } from './program.js';
export { hasTcx } from './tcx.js';
export { type PreparedRun, prepareRun, type TestRun, testRun } from './test-run.js';
