export { Pipeline, type PipelineOptions, VERDICT } from './pipeline.js';
export { OVERHEAD, overheadOf } from './tunnel.js';
