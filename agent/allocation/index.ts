export * from './allocations.js';
export * from './lock-file.js';
export * from './state.js';
