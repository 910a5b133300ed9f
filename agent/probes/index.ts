export { type Aim, aimKey, aimsOf } from './aims.js';
export { nodeAddress } from './node-address.js';
export { failure, type ProbeCounts, type Probed, Prober, type ProberOptions } from './prober.js';
