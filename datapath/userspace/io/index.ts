/** Packets for the pipeline from real interfaces, and back. */

export {
  abandonedInterfaces,
  openUserspaceDatapath,
  removeUserspaceLeftovers,
  type UserspaceDatapath,
  type UserspaceOptions,
} from './open.js';
