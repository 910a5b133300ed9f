/** Packets for the pipeline from real interfaces, and back. */

export { leftoverInterfaces } from './filters.js';
export { openUserspaceDatapath, removeUserspaceLeftovers, type UserspaceDatapath, type UserspaceOptions } from './open.js';
