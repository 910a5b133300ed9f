export { Elector, type ElectorOptions } from './elector.js';
export type { LeaseTimes } from './lease.js';
