export { type Collected, type CollectorOptions, FLOW_PAUSE_MS, FlowCollector } from './collector.js';
export { ExpiryReader, type FlowTimeouts, timeoutOf } from './expiry.js';
export { Quotas } from './quotas.js';
export type { WalkVisitor } from './walk.js';
