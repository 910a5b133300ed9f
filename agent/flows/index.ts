export { type Collected, type CollectorOptions, FlowCollector } from './collector.js';
export { ExpiryReader, type FlowTimeouts, timeoutOf } from './expiry.js';
