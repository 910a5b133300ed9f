export { changeGuard, type GuardState, installGuard, readGuard, removeGuard } from './guard.js';
export type { GuardChange } from './ruleset.js';
