export type { ArrayMap } from './array-map.js';
export type { HashMap } from './hash-map.js';
export type { LpmMap } from './lpm-map.js';
export { checkEntry, checkKey } from './refusals.js';
export type { PortTable, SelectTable } from './select.js';
export { createMemoryStore, type MemoryStore } from './store.js';
