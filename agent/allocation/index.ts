export * from './allocations.js';
export * from './cluster.js';
export * from './lock-file.js';
export { parseServiceCidr } from './ranges.js';
export * from './state.js';
