export type { SelectTable } from './select.js';
export { createMemoryStore, type MemoryStore } from './store.js';
