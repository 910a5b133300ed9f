export { Pipeline, type PipelineOptions, VERDICT } from './pipeline.js';
export { OVERHEAD } from './tunnel.js';
