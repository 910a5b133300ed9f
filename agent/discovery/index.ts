export * from './endpoint-ids.js';
export * from './host.js';
export * from './locate.js';
export * from './monitor.js';
export * from './tables.js';
