export { missingOf } from './complete.js';
export type { HostFacts } from './decide.js';
export { GuardKeeper, type GuardTables } from './keeper.js';
export { exceptions, holdAll, openGuard, removeGuardIfAny } from './lifecycle.js';
export { markGuard } from './mark.js';
