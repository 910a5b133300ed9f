export { reconcileChain } from './chain.js';
export type { Context, Log } from './context.js';
export { concernedByProgress } from './progress.js';
export { reconcileSelector } from './selector.js';
export { concerned, lookAtWhole, NOTHING_FOUND } from './whole.js';
