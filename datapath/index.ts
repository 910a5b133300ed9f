export type { AttachedInterface, Datapath } from './datapath.js';
export * from './kernel/index.js';
export * from './userspace/index.js';
export * from './userspace/io/index.js';
