export * from './codec.js';
export * from './format.js';
export * from './layouts.js';
export * from './memory/index.js';
export * from './reasons.js';
export * from './records.js';
export * from './store.js';
export * from './typed.js';
