export { shorten, show } from './expectation.js';
export type { Fault } from './faults.js';
export {
  apiVersionOf,
  type Document,
  isKind,
  isNamespaced,
  isSteeringKind,
  type Kind,
  SCHEMAS,
  STEERING_GROUP,
  STEERING_KINDS,
  STEERING_VERSION,
} from './kinds.js';
export { nearestName } from './nearest.js';
export { formatPath, type Path } from './path.js';
export { DEFAULT_AFFINITY_TIMEOUT, DEFAULT_PROBE } from './service-function-chain.js';
export {
  type ChainStatus,
  type Condition,
  chainStatusSchema,
  type FunctionStatus,
  MOST_FAILING,
  type SelectorStatus,
  type SteeringNodeStatus,
  selectorStatusSchema,
  steeringNodeStatusSchema,
} from './status.js';
export { checkDocument } from './validate.js';
