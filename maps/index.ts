export * from './layouts.js';
export * from './reasons.js';
export * from './store.js';
