export {
  type Compiled,
  type CompileInput,
  compileNode,
  functionPods,
  isSteerable,
  podKey,
  selectedPods,
  serviceIndex,
} from './compile.js';
export type * from './desired.js';
export { type LabelRequirement, type LabelSelector, matchesLabels, SELECT_EVERYTHING } from './label-selector.js';
export { MAGLEV_SLOTS, type MaglevBackend, maglevTable } from './maglev.js';
export * from './manifests/index.js';
export { chainUid, MANAGED_BY, MANAGED_BY_LABEL, SERVICE_PORT, SERVICE_PORT_NAME, serviceKey, serviceName } from './names.js';
export {
  type FailsProbes,
  FULL_WEIGHT,
  type Instance,
  isReady,
  type NewFlows,
  outerAddress,
  type Placement,
  placeInstances,
  weightOf,
} from './placement.js';
export { findRings, type Ring } from './rings.js';
export {
  apiVersionOf,
  type ChainStatus,
  type Condition,
  type FunctionStatus,
  type Kind,
  MOST_FAILING,
  nearestName,
  SCHEMAS,
  type SelectorStatus,
  STEERING_VERSION,
  type SteeringNodeStatus,
} from './schema/index.js';
export * from './world.js';
