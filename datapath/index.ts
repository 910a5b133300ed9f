export type { AttachedInterface, Datapath } from './datapath.js';
export * from './kernel/index.js';
export { openRawIp, type RawIp } from './raw-ip.js';
export * from './userspace/index.js';
export * from './userspace/io/index.js';
