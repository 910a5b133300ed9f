export type { AttachedInterface, Datapath } from './datapath.js';
export * from './kernel/index.js';
