export { EMPTY_DIGEST } from './digest.js';
export { History } from './history.js';
export { type Nodes, type Progress, progressOf, type Report, type Standing, type SteeringKind, standing } from './programmed.js';
