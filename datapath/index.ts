export type { AttachedInterface, Datapath, TroubledInterface, UplinkInterface } from './datapath.js';
export * from './guard/index.js';
export * from './half-seen/index.js';
export * from './kernel/index.js';
export { interfaceNumber } from './libc.js';
export { isPodKind } from './pod-kinds.js';
export { openRawIp, type RawIp } from './raw-ip.js';
export * from './userspace/index.js';
export * from './userspace/io/index.js';
