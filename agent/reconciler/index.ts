export type { Refusal } from './capacity.js';
export { applyToMirror, type Change } from './changes.js';
export { ClientsSeen, clientsPeriodMs } from './clients.js';
export type { Owed } from './execute.js';
export * from './model.js';
export { type Plan, planChanges } from './plan.js';
export { type ReconcileResult, Reconciler } from './reconciler.js';
export { buildTarget, type LayBackends, type LocatedEndpoint, maglevLayer, pathNumber } from './target.js';
